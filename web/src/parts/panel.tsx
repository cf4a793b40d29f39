/* One panel of a board: what it is, what it means, its queries on demand, and what they say. It asks when it is first near
 * the window, and again while it is. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { compare, compareNumbers, sorted } from "../base/format";
import { useLive } from "../base/live";
import type { Marker } from "../base/markers";
import { bucketsOf, expand, legendOf, onGrid, passed, type Line, type Panel } from "../base/panels";
import { linkTo, nextSort, type Sort } from "../base/place";
import { instant, range, type MatrixSeries, type Metric, type VectorSample } from "../base/server";
import type { Span } from "../base/span";
import { inUnit } from "../base/units";
import { t } from "../base/words";
import { Chart } from "./chart";
import { Grid, type Column } from "./grid";
import { Heatmap } from "./heatmap";
import { Strips } from "./strips";
import { Problem } from "./words";

const elementId = (panel: string): string => `panel-${panel}`;

/** Where a panel stands on the page that is open. */
export const panelLink = (panel: string): string => `${location.pathname}${location.search}#${elementId(panel)}`;

interface Props {
  readonly panel: Panel;
  readonly span: Span;
  /** A regular expression of nodes. */
  readonly idents: string;
  readonly refreshSeconds: number | null;
  readonly markers?: readonly Marker[];
}

const MOST_LINES = 40;
const NEAR = "400px";

/** Whether an element has ever been near the window, and is. */
function useNear(element: { current: HTMLElement | null }): [boolean, boolean] {
  const [seen, see] = useState<[boolean, boolean]>([false, false]);
  useEffect(() => {
    if (!element.current) return undefined;
    const watch = new IntersectionObserver(([entry]) => see(([ever]) => [ever || Boolean(entry?.isIntersecting), Boolean(entry?.isIntersecting)]), { rootMargin: NEAR });
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return seen;
}

export function PanelView(props: Props): JSX.Element {
  const { panel, span, idents } = props;
  const element = useRef<HTMLElement>(null);
  const [ever, near] = useNear(element);
  const queries = panel.queries.map(({ expr }) => expand(expr, idents, span.step));
  useEffect(() => { if (location.hash === `#${elementId(panel.id)}`) element.current?.scrollIntoView(); }, []); // a link that came before the panel
  const wide = panel.kind === "table" || panel.kind === "heatmap" || panel.kind === "state" ? " wide" : panel.kind === "stat" ? " small" : "";
  const Body = panel.kind === "stat" || panel.kind === "table" ? Present : Past;
  return (
    <section class={`panel${wide}`} ref={element} id={elementId(panel.id)} data-panel={panel.id} data-kind={panel.kind}>
      <h3>{panel.title}{UNIT_WORDS.has(panel.unit) && <small>{t(`unit_of_${panel.unit}` as "unit_of_seconds")}</small>}</h3>
      <p class="meaning">{panel.meaning}</p>
      {ever ? <Body {...props} queries={queries} refreshSeconds={near ? props.refreshSeconds : null} /> : <div class="later" />}
      <details class="promql">
        <summary>PromQL</summary>
        {queries.map((query) => (
          <div key={query}>
            <pre tabIndex={0}><code>{query}</code></pre>
            <a href={linkTo("table", { q: query, tab: panel.kind === "stat" || panel.kind === "table" ? null : "graph", range: span.preset, from: span.preset ? null : span.start, to: span.preset ? null : span.end })}>{t("open_in_explorer")}</a>
          </div>
        ))}
      </details>
    </section>
  );
}

const UNIT_WORDS = new Set(["seconds", "bytes", "ratio", "per_second", "cores", "count"]);

interface BodyProps extends Props {
  readonly queries: readonly string[];
}

function Past({ panel, span, queries, refreshSeconds, markers = [] }: BodyProps): JSX.Element {
  const live = useLive(
    `past:${queries.join("\n")}:${span.preset ?? `${span.start}-${span.end}`}`,
    async (signal) => ({ span, answers: await Promise.all(queries.map((query) => range(query, span.start, span.end, span.step, signal))) }),
    refreshSeconds,
  );
  const shown = live.shown;
  if (!shown) return live.error ? <Problem error={live.error} again={live.again} /> : <div class="later" aria-busy="true" />;
  return (
    <>
      <Problem error={live.error} again={live.again} />
      {shown.answers.every(tellsNothing) ? <NoData panel={panel} /> : <Drawn panel={panel} span={shown.span} answers={shown.answers} markers={markers} />}
    </>
  );
}

/** No series, or only such whose values are all none: the quantile of a histogram to which nothing was added. */
const tellsNothing = (answer: readonly MatrixSeries[]): boolean => answer.every(({ values = [] }) => values.every(([, value]) => value === "NaN"));

function Drawn({ panel, span, answers, markers }: { panel: Panel; span: Span; answers: readonly MatrixSeries[][]; markers: readonly Marker[] }): JSX.Element {
  const lines = useMemo(() => panel.kind === "heatmap" ? [] : answers.flatMap((series, index) => (
    onGrid(series, (metric) => legendOf(panel.queries[index]?.legend ?? "", metric), span.start, span.step, span.steps)
  )), [answers, panel]);
  const most = useMemo(() => (lines.length > MOST_LINES ? sorted(lines, largest, compareNumbers, true).slice(0, MOST_LINES) : lines), [lines]);
  const buckets = useMemo(() => (panel.kind === "heatmap" ? bucketsOf(answers[0] ?? [], span.start, span.step, span.steps) : []), [answers, panel]);
  if (panel.kind === "heatmap") return <Heatmap label={panel.title} span={span} buckets={buckets} />;
  return (
    <>
      {panel.kind === "state" ? <Strips span={span} lines={most} states={panel.states} /> : <Chart label={panel.title} span={span} lines={most} unit={panel.unit} thresholds={panel.thresholds} markers={markers} />}
      {most.length < lines.length && <p class="meaning">{t("most_of", { shown: most.length, total: lines.length })}</p>}
    </>
  );
}

const largest = ({ values }: Line): number => Math.max(...values.map((value) => value ?? -Infinity));

export function NoData({ panel }: { panel: Panel }): JSX.Element {
  return <p class="nodata">{t("no_data")}{panel.since && ` ${t("since_release", { release: panel.since })}`}</p>;
}

function Present({ panel, span, queries, refreshSeconds }: BodyProps): JSX.Element {
  const time = span.preset === null ? span.end : null;
  const live = useLive(`present:${queries.join("\n")}:${time ?? ""}`, async (signal) => Promise.all(queries.map(async (query) => {
    const { data } = await instant(query, time, signal);
    return data.resultType === "vector" ? data.result : [];
  })), refreshSeconds);
  const answers = live.shown;
  if (!answers) return live.error ? <Problem error={live.error} again={live.again} /> : <div class="later" aria-busy="true" />;
  return (
    <>
      <Problem error={live.error} again={live.again} />
      {answers.every((answer) => answer.length === 0) ? <NoData panel={panel} /> : panel.kind === "stat" ? <Stats panel={panel} answers={answers} /> : <PanelTable panel={panel} answers={answers} />}
    </>
  );
}

const numberOf = (sample: VectorSample): number => Number(sample.value?.[1].replace("Inf", "Infinity") ?? NaN);

function Stats({ panel, answers }: { panel: Panel; answers: readonly VectorSample[][] }): JSX.Element {
  return (
    <dl class="stats">
      {answers.flatMap((answer, index) => sorted(answer, (sample) => legendOf("{{ident}}", sample.metric), compare).slice(0, MOST_LINES).map((sample) => {
        const query = panel.queries[index];
        const name = legendOf(query?.legend ?? "", sample.metric);
        const value = numberOf(sample);
        return <div key={`${index}${name}`}><dt>{name}</dt><dd data-tone={passed(panel.thresholds, value)}>{inUnit(query?.unit ?? panel.unit, value)}</dd></div>;
      }))}
    </dl>
  );
}

interface TableRow { readonly key: string; readonly labels: Metric; readonly values: (number | null)[] }

function PanelTable({ panel, answers }: { panel: Panel; answers: readonly VectorSample[][] }): JSX.Element {
  const [sort, setSort] = useState<Sort | null>(null);
  const rows = useMemo(() => {
    const found = new Map<string, TableRow>();
    answers.forEach((answer, index) => answer.forEach((sample) => {
      const key = panel.columns.length > 0 ? JSON.stringify(sample.metric) : sample.metric.ident ?? "";
      const row = found.get(key) ?? { key, labels: sample.metric, values: panel.queries.map(() => null) };
      row.values[index] = numberOf(sample);
      found.set(key, row);
    }));
    return sorted([...found.values()], ({ labels }) => labels.ident ?? "", compare);
  }, [answers, panel]);
  const labels = panel.columns.length > 0 ? panel.columns : ["ident"];
  const columns: Column<TableRow>[] = [
    ...labels.map((name): Column<TableRow> => ({
      id: name, title: name, value: (row) => row.labels[name] ?? "", order: compare,
      cell: (row) => ({ text: row.labels[name] ?? "", href: name === "ident" ? linkTo("node", { ident: row.labels[name] }) : undefined }),
    })),
    ...(panel.columns.length > 0 ? [] : panel.queries.map((query, index): Column<TableRow> => ({
      id: `:${index}`, title: query.legend, end: true, downFirst: true, value: (row) => row.values[index], order: compareNumbers,
      cell: (row) => ({ text: inUnit(query.unit ?? panel.unit, row.values[index]) }),
    }))),
  ];
  const column = columns.find(({ id }) => id === sort?.column);
  const shown = column ? sorted(rows, column.value, column.order as (a: unknown, b: unknown) => number, sort?.down) : rows;
  return <div class="scrolling"><Grid label={panel.title} columns={columns} rows={shown} sort={sort} onSort={(id, downFirst) => setSort(nextSort(sort, id, downFirst))} plain /></div>;
}
