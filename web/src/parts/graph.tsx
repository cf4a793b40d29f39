/* The explorer's graph: one query over a time. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { csv, download } from "../base/csv";
import { absolute } from "../base/format";
import { useLive } from "../base/live";
import { legendOf, onGrid } from "../base/panels";
import type { Params } from "../base/place";
import { filledIn, namesIn } from "../base/promql";
import { replacedNotes, VARIABLE_SECONDS } from "../base/query";
import { range, type ServerError } from "../base/server";
import { useSlot } from "../base/slots";
import { spanOf, type Span } from "../base/span";
import { BY_NAME, EXACT, unitOf } from "../base/units";
import { t } from "../base/words";
import { Chart } from "./chart";
import { isLive, REFRESH_SECONDS, TimeBar } from "./timebar";
import { UnitChoice } from "./unitchoice";
import { Notes } from "./words";

const MOST_LINES = 60;

export function Graph({ query, params, onError }: { query: string; params: Params; onError: (error: ServerError) => JSX.Element }): JSX.Element {
  const span = useMemo(() => spanOf(params), [params.range, params.from, params.to, query]);
  const variableSeconds = Math.max(VARIABLE_SECONDS, span.step);
  const { query: asked, replaced } = filledIn(query, variableSeconds);
  const unit = (params.unit === BY_NAME ? namesIn(query).map(unitOf).find(Boolean) : params.unit) || EXACT;
  const live = isLive(params, span);
  const known = useLive(query ? `graph:${query}:${span.preset ?? `${span.start}-${span.end}`}` : null, async (signal) => {
    const now: Span = live ? spanOf(params) : span;
    return { span: now, series: await range(asked, now.start, now.end, now.step, signal) };
  }, live ? REFRESH_SECONDS : null);
  const shown = known.shown;
  const lines = useMemo(() => (shown ? onGrid(shown.series, (metric) => legendOf("", metric), shown.span.start, shown.span.step, shown.span.steps) : []), [shown]);
  const { change } = useSlot();
  const stacked = Boolean(params.stacked);
  return (
    <div class="graph">
      <TimeBar span={span} params={params} />
      <div class="finders">
        <label class="switch"><input type="checkbox" role="switch" checked={stacked} onChange={(event) => change({ stacked: event.currentTarget.checked })} />{t("stacked")}</label>
        <UnitChoice chosen={params.unit ?? ""} />
        {shown && <button type="button" onClick={() => download("kpwatch-range.csv", csv(recordsOf(shown.span, lines)))}>{t("csv_of_range")}</button>}
        {shown && <p class="facts">{t("series_step", { count: lines.length, step: shown.span.step })}</p>}
      </div>
      <Notes notes={replacedNotes(replaced, variableSeconds)} />
      {known.error && !known.waiting && onError(known.error as ServerError)}
      {shown && lines.length > 0 && <div class="panel wide"><Chart label={query} span={shown.span} lines={lines.slice(0, MOST_LINES)} unit={unit} height={360} stacked={stacked} close /></div>}
      {lines.length > MOST_LINES && <p class="meaning">{t("first_of", { shown: MOST_LINES, total: lines.length })}</p>}
      {shown && lines.length === 0 && !known.error && <p class="nothing">{t("no_data")}</p>}
      {!shown && known.waiting && <p class="nothing">{t("loading")}</p>}
    </div>
  );
}

function recordsOf(span: Span, lines: readonly { name: string; values: readonly (number | null)[] }[]): unknown[][] {
  const times = Array.from({ length: span.steps }, (_, at) => span.start + at * span.step);
  return [["time", "local_time", ...lines.map(({ name }) => name)], ...times.map((time, at) => [time, absolute(time), ...lines.map(({ values }) => values[at])])];
}
