/* From the Prometheus API's data to rows. Pure.
 *
 * `value` is the server's own text; `sampleTime` is the Unix time in seconds of the sample itself, null while not known.
 * A range vector gives one row per sample. */

import type { Histogram, MatrixSeries, Metric, Point, QueryData, VectorSample } from "./server";

export interface Row {
  readonly key: string;
  readonly labels: Metric;
  readonly value: string;
  sampleTime: number | null;
  /** Seconds since the series' sample before, in a range vector. */
  readonly gap?: number | undefined;
  readonly evaluated: number | null;
}

export interface Rows {
  readonly type: QueryData["resultType"];
  readonly labels: string[];
  readonly rows: Row[];
  evaluated: number | null;
}

export function read(data: QueryData): Rows {
  const rows = rowsOf(data);
  return { type: data.resultType, labels: labelNames(rows), rows, evaluated: rows[0]?.evaluated ?? null };
}

function rowsOf(data: QueryData): Row[] {
  if (data.resultType === "vector") return vector(data.result);
  if (data.resultType === "matrix") return matrix(data.result);
  const [time, value] = data.result;
  return [{ key: "", labels: {}, value, sampleTime: null, evaluated: time }];
}

function vector(result: readonly VectorSample[]): Row[] {
  return result.map(({ metric, value, histogram }) => {
    const [time, content] = value ?? histogram ?? [0, ""];
    return { key: identity(metric), labels: metric, value: spoken(content), sampleTime: null, evaluated: time };
  });
}

function matrix(result: readonly MatrixSeries[]): Row[] {
  return result.flatMap(({ metric, values = [], histograms = [] }) => {
    const series = identity(metric);
    return [...values, ...histograms].sort(([a], [b]) => a - b).map(([time, content], at, samples) => (
      { key: `${series}@${time}`, labels: metric, value: spoken(content), sampleTime: time, gap: at > 0 ? time - (samples[at - 1]?.[0] ?? time) : undefined, evaluated: null }
    ));
  });
}

/** A native histogram is an object; its count and sum stand for it. */
function spoken(content: string | Histogram): string {
  return typeof content === "string" ? content : `count=${content.count} sum=${content.sum}`;
}

/** ident first, then the metric's name, then the rest by name: the order a person looks for them. */
export function labelNames(rows: readonly { labels: Metric }[]): string[] {
  const names = new Set(rows.flatMap((row) => Object.keys(row.labels)));
  const leading = ["ident", "__name__"].filter((name) => names.delete(name));
  return [...leading, ...[...names].sort()];
}

/** One text per label set. */
export function identity(labels: Metric, without: string | null = null): string {
  const pairs = Object.entries(labels).filter(([name]) => name !== without);
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export type TimeOf = (labels: Metric) => number | null;

/** Sample times out of the answer to timestamp(selector), which has dropped the metric's name. */
export function timesFromTimestamps(result: readonly VectorSample[]): TimeOf {
  const times = new Map(result.map(({ metric, value }) => [identity(metric, "__name__"), Number(value?.[1])]));
  return (labels) => times.get(identity(labels, "__name__")) ?? null;
}

/** Sample times out of the answer to selector[window]: the last sample of each series. */
export function timesFromRange(result: readonly MatrixSeries[]): TimeOf {
  const times = new Map(result.map(({ metric, values, histograms }) => {
    const last = (values as Point[] | undefined)?.at(-1) ?? histograms?.at(-1);
    return [identity(metric), last?.[0] ?? null];
  }));
  return (labels) => times.get(identity(labels)) ?? null;
}
