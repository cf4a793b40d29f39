/* Running one query for the table view: its rows, and when each row's sample was really taken.
 *
 * The API stamps every value of an instant query with the evaluation time. A plain selector's own sample times come from
 * timestamp(selector), asked at exactly the same time; that drops metric names, so a selector of several metrics is
 * asked as a range instead. The values of any other expression are computed and have no sample of their own. */

import { plainSelector, rangeQuery, timestampQuery } from "./promql.js";
import { identity, read, timesFromRange, timesFromTimestamps } from "./results.js";
import { hubTime, instant } from "./server.js";
import { t } from "./strings.js";

const LOOKBACK = "5m"; // Prometheus' default, and the hub's
const MOST_SERIES_AS_RANGE = 1000; // a range costs every sample of five minutes

/** `time` as the API takes it, null for now. Answers results.js' table with { evaluated, computed, ageProblem, notes, milliseconds }; throws ServerError. */
export async function run(expression, time, signal) {
  const started = performance.now();
  const body = await instant(expression, time, { signal });
  const answer = read(body.data);
  answer.evaluated ??= time === null ? hubTime() : Number(time);
  answer.notes = [...(body.warnings ?? []), ...(body.infos ?? [])];
  const selector = answer.type === "vector" ? plainSelector(expression) : null;
  answer.computed = answer.type !== "matrix" && selector === null;
  answer.ageProblem = null;
  if (selector !== null && answer.rows.length > 0) await dateSamples(answer, expression, selector, signal);
  answer.milliseconds = performance.now() - started;
  return answer;
}

/** Give every row its sample's time. When that cannot be had the rows stay, and `ageProblem` says why. */
async function dateSamples(answer, expression, selector, signal) {
  try {
    const timeOf = await sampleTimes(answer, expression, selector, signal);
    for (const row of answer.rows) row.sampleTime = timeOf(row.labels);
  } catch (error) {
    if (signal.aborted) throw error;
    answer.ageProblem = error.message;
  }
}

async function sampleTimes(answer, expression, selector, signal) {
  const ask = async (query) => (await instant(query, answer.evaluated, { signal })).data;
  const unnamed = new Set(answer.rows.map((row) => identity(row.labels, "__name__")));
  if (unnamed.size === answer.rows.length) return timesFromTimestamps(await ask(timestampQuery(expression)));
  if (answer.rows.length > MOST_SERIES_AS_RANGE) throw new Error(t("age_too_many", { limit: MOST_SERIES_AS_RANGE }));
  return timesFromRange(await ask(rangeQuery(selector, LOOKBACK)));
}
