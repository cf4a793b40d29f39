/* From the Prometheus API's data to rows. Pure.
 *
 * A row is { key, labels, value, sampleTime, evaluated }: value is the server's own text; sampleTime is the Unix time in
 * seconds of the sample itself, null while not known. A range vector gives one row per sample. */

const READERS = { vector, matrix, scalar: single, string: single };

export function read({ resultType, result }) {
  const rows = READERS[resultType](result);
  return { type: resultType, labels: labelNames(rows), rows, evaluated: rows[0]?.evaluated ?? null };
}

function vector(result) {
  return result.map(({ metric, value, histogram }) => {
    const [time, content] = value ?? histogram;
    return { key: identity(metric), labels: metric, value: spoken(content), sampleTime: null, evaluated: time };
  });
}

function matrix(result) {
  return result.flatMap(({ metric, values = [], histograms = [] }) => {
    const series = identity(metric);
    return [...values, ...histograms].map(([time, content]) => (
      { key: `${series}@${time}`, labels: metric, value: spoken(content), sampleTime: time, evaluated: null }
    ));
  });
}

function single([time, value]) {
  return [{ key: "", labels: {}, value, sampleTime: null, evaluated: time }];
}

/** A native histogram is an object; its count and sum stand for it. */
function spoken(content) {
  return typeof content === "string" ? content : `count=${content.count} sum=${content.sum}`;
}

/** ident first, then the metric's name, then the rest by name: the order a person looks for them. */
function labelNames(rows) {
  const names = new Set(rows.flatMap((row) => Object.keys(row.labels)));
  const leading = ["ident", "__name__"].filter((name) => names.delete(name));
  return [...leading, ...[...names].sort()];
}

/** One text per label set. */
export function identity(labels, without = null) {
  const pairs = Object.entries(labels).filter(([name]) => name !== without);
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Sample times out of the answer to timestamp(selector), which has dropped the metric's name. */
export function timesFromTimestamps({ result }) {
  const times = new Map(result.map(({ metric, value }) => [identity(metric, "__name__"), Number(value[1])]));
  return (labels) => times.get(identity(labels, "__name__")) ?? null;
}

/** Sample times out of the answer to selector[window]: the last sample of each series. */
export function timesFromRange({ result }) {
  const times = new Map(result.map(({ metric, values, histograms }) => [identity(metric), (values ?? histograms).at(-1)[0]]));
  return (labels) => times.get(identity(labels)) ?? null;
}
