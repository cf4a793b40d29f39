/* Running one query for the table: its rows, and when each row's sample was really taken.
 *
 * The API stamps every value of an instant query with the evaluation time. A plain selector's own sample times come from
 * timestamp(selector), asked at exactly the same time; that drops metric names, so a selector of several metrics is
 * asked as a range instead. The values of any other expression are computed and have no sample of their own. */

import { filledIn, plainSelector, rangeQuery, timestampQuery, type Selector } from "./promql";
import { identity, read, timesFromRange, timesFromTimestamps, type Rows, type TimeOf } from "./results";
import { hubTime, instant, type QueryData } from "./server";
import { t } from "./words";

/** What a board's variable of time stands for outside its board. */
export const VARIABLE_SECONDS = 300;
const LOOKBACK = "5m"; // Prometheus' default, and the hub's
const MOST_SERIES_AS_RANGE = 1000; // a range costs every sample of five minutes

export interface TableAnswer extends Rows {
  evaluated: number;
  /** Whether values have no sample of their own. */
  readonly computed: boolean;
  /** Why ages are not known; null where they are. */
  ageProblem: string | null;
  readonly notes: string[];
  milliseconds: number;
  readonly data: QueryData;
}

/** `time` as the API takes it, null for now; throws ServerError. */
export async function run(typed: string, time: string | null, signal: AbortSignal): Promise<TableAnswer> {
  const started = performance.now();
  const { query: expression, replaced } = filledIn(typed, VARIABLE_SECONDS);
  const body = await instant(expression, time, signal);
  const found = read(body.data);
  const selector = found.type === "vector" ? plainSelector(expression) : null;
  const answer: TableAnswer = {
    ...found,
    evaluated: found.evaluated ?? (time === null ? hubTime() : Number(time)),
    computed: found.type !== "matrix" && selector === null,
    ageProblem: null,
    notes: [...replacedNotes(replaced, VARIABLE_SECONDS), ...(body.warnings ?? []), ...(body.infos ?? [])],
    milliseconds: 0,
    data: body.data,
  };
  if (selector !== null && answer.rows.length > 0) await dateSamples(answer, expression, selector, signal);
  answer.milliseconds = performance.now() - started;
  return answer;
}

export const replacedNotes = (variables: readonly string[], seconds: number): string[] => variables.map((variable) => t("replaced_variable", { variable, seconds }));

/** Give every row its sample's time. When that cannot be had the rows stay, and `ageProblem` says why. */
async function dateSamples(answer: TableAnswer, expression: string, selector: Selector, signal: AbortSignal): Promise<void> {
  try {
    const timeOf = await sampleTimes(answer, expression, selector, signal);
    for (const row of answer.rows) row.sampleTime = timeOf(row.labels);
  } catch (error) {
    if (signal.aborted) throw error;
    answer.ageProblem = (error as Error).message;
  }
}

async function sampleTimes(answer: TableAnswer, expression: string, selector: Selector, signal: AbortSignal): Promise<TimeOf> {
  const ask = async (query: string): Promise<QueryData> => (await instant(query, answer.evaluated, signal)).data;
  const unnamed = new Set(answer.rows.map((row) => identity(row.labels, "__name__")));
  if (unnamed.size === answer.rows.length) {
    const data = await ask(timestampQuery(expression));
    return data.resultType === "vector" ? timesFromTimestamps(data.result) : () => null;
  }
  if (answer.rows.length > MOST_SERIES_AS_RANGE) throw new Error(t("age_too_many", { limit: MOST_SERIES_AS_RANGE }));
  const data = await ask(rangeQuery(selector, LOOKBACK));
  return data.resultType === "matrix" ? timesFromRange(data.result) : () => null;
}
