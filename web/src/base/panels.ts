/* What the hub's boards show: the panels of the knowledge table, and how their texts and numbers are read. Pure but for the asking. */

import { ask, type MatrixSeries, type Metric } from "./server";
import { language } from "./words";

export interface PanelQuery { readonly expr: string; readonly legend: string; readonly unit?: string }
export interface Threshold { readonly severity: string; readonly value: number; readonly below?: boolean }
export interface State { readonly value: number; readonly severity: string; readonly text: string }

export interface Panel {
  readonly id: string;
  readonly section: string;
  readonly kind: "timeseries" | "stat" | "table" | "heatmap" | "state";
  readonly title: string;
  readonly meaning: string;
  readonly unit: string;
  readonly queries: readonly PanelQuery[];
  readonly thresholds: readonly Threshold[];
  readonly states: readonly State[];
  readonly columns: readonly string[];
  readonly metrics: readonly string[];
  readonly checks: readonly string[];
  readonly since: string;
}

export interface Board { readonly id: string; readonly title: string; readonly meaning: string; readonly panels: readonly Panel[] }
export interface Boards { readonly sections: readonly { id: string; title: string }[]; readonly boards: readonly Board[] }

export const askBoards = (signal: AbortSignal): Promise<Boards> => ask<Boards>("api/kpwatch/v1/panels", { lang: language() }, signal);

const SHORTEST_RATE_SECONDS = 300; // suits every scrape interval up to a minute

/** A panel's PromQL for nodes (a regular expression) and a step. */
export function expand(expr: string, idents: string, stepSeconds: number): string {
  const quoted = JSON.stringify(idents).slice(1, -1);
  return expr.replaceAll("$ident", () => quoted).replaceAll("$__rate_interval", `${Math.max(SHORTEST_RATE_SECONDS, Math.ceil(stepSeconds))}s`);
}

/** A regular expression that matches this text alone. */
export const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A series' name by its panel's legend, `{{label}}` standing for a label's value; without a legend, its labels. */
export function legendOf(legend: string, metric: Metric): string {
  if (legend) return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => metric[name] ?? "").trim();
  const { __name__: name = "", ...labels } = metric;
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return pairs.length > 0 ? `${name}{${pairs.join(", ")}}` : name || "{}";
}

/** The worst severity whose threshold a value passes; null where it passes none. */
export function passed(thresholds: readonly Threshold[], value: number): string | null {
  const hit = thresholds.filter((each) => (each.below ? value < each.value : value > each.value)).map(({ severity }) => severity);
  return hit.includes("critical") ? "critical" : hit[0] ?? null;
}

export interface Line { readonly name: string; readonly values: readonly (number | null)[] }

/** Series on one grid of times; a step without a sample is null. */
export function onGrid(series: readonly MatrixSeries[], name: (metric: Metric) => string, start: number, step: number, steps: number): Line[] {
  return series.map(({ metric, values = [] }) => {
    const row = new Array<number | null>(steps).fill(null);
    for (const [time, text] of values) {
      const at = Math.round((time - start) / step);
      const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
      if (at >= 0 && at < steps && Number.isFinite(value)) row[at] = value;
    }
    return { name: name(metric), values: row };
  });
}

/** Cumulative buckets (`le`) as counts between bounds, the lowest first. */
export function bucketsOf(series: readonly MatrixSeries[], start: number, step: number, steps: number): { bound: number; counts: number[] }[] {
  const rows = onGrid(series, (metric) => metric.le ?? "", start, step, steps)
    .map(({ name, values }) => ({ bound: name === "+Inf" ? Infinity : Number(name), values }))
    .sort((a, b) => a.bound - b.bound);
  return rows.map(({ bound, values }, index) => ({
    bound, counts: values.map((value, at) => Math.max(0, (value ?? 0) - (rows[index - 1]?.values[at] ?? 0))),
  }));
}
