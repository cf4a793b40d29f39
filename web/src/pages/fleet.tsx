/* The fleet: one row per node, worst first, refreshed every 5 s. A node that fell silent stays in the list.
 *
 * URL: ?filter=text &verdict= &version= &mode= &check= &sort=column or -column. Ages tick every second on the hub's clock. */

import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { askFleet, checksOf, filtered, occurring, TONES, toneWord, worstFirst, type Fleet, type Node } from "../base/fleet";
import { absolute, compare, compareNumbers, count, duration, latency, sorted } from "../base/format";
import { useLive, useTick } from "../base/live";
import { change, linkTo, nextSort, readSort, usePlace, writeSort, type Params } from "../base/place";
import { hubTime, range, setHubTime } from "../base/server";
import { hasWords, language, t } from "../base/words";
import { EmptyHub } from "../parts/empty";
import { Grid, type Cell, type Column } from "../parts/grid";
import { Sparkline, type Trend } from "../parts/sparkline";
import { Waiting } from "../parts/words";

const REFRESH_SECONDS = 5;
const TREND_REFRESH_SECONDS = 60;
const TREND_SECONDS = 1800;
const TREND_STEP_SECONDS = 60;
const TREND_QUERY = "max by (ident) (rate(kubeproxy_sync_proxy_rules_duration_seconds_sum[2m]) / rate(kubeproxy_sync_proxy_rules_duration_seconds_count[2m]))";
const DASH = "–";

type Trends = ReadonlyMap<string, Trend>;
type NodeColumn = Column<Node>;

/* One row per column: how it shows a node, what it sorts by and in which order, what a click on its head gives first. */
function columnsOf(trends: Trends): NodeColumn[] {
  const columns: Omit<NodeColumn, "title">[] = [
    { id: "ident", value: (node) => node.ident, order: compare, cell: identCell },
    { id: "verdict", value: (node) => node, order: worstFirst, cell: verdictCell },
    { id: "finding", rest: true, value: (node) => node.findings[0]?.check ?? "", order: compare, cell: findingCell },
    { id: "version", value: (node) => node.version, order: compare, cell: (node) => ({ text: node.version || DASH }) },
    { id: "mode", value: (node) => node.mode, order: compare, cell: (node) => ({ text: node.mode || DASH }) },
    { id: "last_sync", end: true, value: (node) => node.last_sync, order: compareNumbers, cell: lastSyncCell },
    { id: "trend", fixedWidth: 118, value: () => null, order: null, cell: (node) => trendCell(trends.get(node.ident)) },
    { id: "sync_p99", end: true, downFirst: true, value: (node) => node.sync_p99_seconds, order: compareNumbers, cell: syncCell },
    { id: "pending", end: true, downFirst: true, value: (node) => node.pending_changes, order: compareNumbers, cell: (node) => numberCell(node, node.pending_changes) },
    { id: "failures", end: true, downFirst: true, value: (node) => node.failures, order: compareNumbers, cell: (node) => numberCell(node, node.failures) },
    { id: "up", end: true, value: (node) => node.up, order: compareNumbers, cell: upCell },
  ];
  return columns.map((column) => ({ ...column, title: t(column.id as "ident"), tip: t(`tip_${column.id}` as "tip_ident") }));
}

export const nodeLink = (ident: string): string => linkTo("node", { ident });

function identCell(node: Node): Cell {
  return { text: node.ident, href: nodeLink(node.ident) };
}

function verdictCell(node: Node): Cell {
  return { text: toneWord(node.tone), tone: TONES.includes(node.tone) ? node.tone : "unknown", badge: true };
}

function findingCell(node: Node): Cell {
  const [worst, ...others] = node.findings;
  const more = others.length > 0 ? ` ${t("and_more", { count: others.length })}` : "";
  const silence = node.silent ? silentFor(node) : "";
  if (!worst) return { text: silence, tip: silence };
  const text = `${worst.summary}${more}${silence && ` · ${silence}`}`;
  const tip = node.findings.map(({ check, summary }) => `${check}: ${summary}`).join("\n");
  return { text, tip, element: <><code>{worst.check}</code> {text}</> };
}

function silentFor(node: Node): string {
  const since = node.last_seen ? t("silent_for", { age: duration(hubTime() - node.last_seen) }) : t("silent_long");
  const why = `silence_${node.silence}`;
  return hasWords(why) ? `${since} · ${t(why)}` : since;
}

function lastSyncCell(node: Node): Cell {
  if (!node.last_sync) return { text: node.up === 1 ? t("never") : DASH }; // of a node that gives no metrics nothing is known
  const age = hubTime() - node.last_sync;
  return { text: age < 0 ? t("ahead", { age: duration(-age) }) : t("ago", { age: duration(age) }), tip: absolute(node.last_sync) };
}

function trendCell(trend: Trend | undefined): Cell {
  return { text: trend ? "" : DASH, element: trend ? <Sparkline trend={trend} words={t("trend_words", { last: latency(trend.last) })} /> : undefined };
}

function syncCell(node: Node): Cell {
  const seconds = node.sync_p99_seconds;
  return seconds === null ? { text: DASH } : { text: latency(seconds), tip: `${seconds} s` };
}

/** A number above 0 stands out on a node that has something wrong; old failures of a healthy one do not shout. */
function numberCell(node: Node, value: number | null): Cell {
  if (value === null) return { text: DASH };
  return { text: count(value), tone: value > 0 && node.findings.length > 0 ? node.tone : null };
}

function upCell(node: Node): Cell {
  return { text: node.up === null ? DASH : String(node.up), tone: node.up === 0 ? "critical" : null };
}

export function FleetPage(): JSX.Element {
  const { params } = usePlace();
  const fleet = useLive(`fleet:${language()}`, askFleet, REFRESH_SECONDS);
  const known = fleet.shown;
  useEffect(() => { if (fleet.answer) setHubTime(fleet.answer.time); }, [fleet.answer]);
  const trends = useTrends(known !== null && known.nodes.length > 0);
  useTick(1);
  if (known === null) return <div class="view fleet"><h1>{t("fleet")}</h1>{fleet.error ? <Silence error={fleet.error} receivedMs={null} /> : <Waiting />}</div>;
  return (
    <div class="view fleet">
      <h1>{t("fleet")}</h1>
      {fleet.error && <Silence error={fleet.error} receivedMs={fleet.receivedMs} />}
      {known.nodes.length === 0 ? <EmptyHub /> : <Board fleet={known} params={params} trends={trends} pulse={fleet.error ? null : fleet.receivedMs} />}
    </div>
  );
}

const ageOf = (receivedMs: number): string => duration((performance.now() - receivedMs) / 1000);

/** What ticks stands beside the alert, not in it: nobody wants that read out every second. */
function Silence({ error, receivedMs }: { error: Error; receivedMs: number | null }): JSX.Element {
  return (
    <p class="problem">
      <span role="alert">{t("hub_silent", { error: error.message })}</span>{" "}
      {receivedMs !== null && <span>{t("data_from", { age: ageOf(receivedMs) })}</span>}
    </p>
  );
}

function useTrends(wanted: boolean): Trends {
  const { shown } = useLive(wanted ? "fleet:trends" : null, async (signal) => {
    const end = Math.floor(hubTime() / TREND_STEP_SECONDS) * TREND_STEP_SECONDS;
    const series = await range(TREND_QUERY, end - TREND_SECONDS, end, TREND_STEP_SECONDS, signal);
    return new Map(series.map(({ metric, values = [] }) => [metric.ident ?? "", trendOf(values, end)]));
  }, TREND_REFRESH_SECONDS);
  return shown ?? new Map<string, Trend>();
}

function trendOf(values: readonly [number, string][], end: number): Trend {
  const points = values.map(([time, text]) => [1 - (end - time) / TREND_SECONDS, Number(text)] as const).filter(([, value]) => Number.isFinite(value));
  return { points, last: points.at(-1)?.[1] ?? 0, largest: Math.max(0, ...points.map(([, value]) => value)) };
}

interface BoardProps {
  readonly fleet: Fleet;
  readonly params: Params;
  readonly trends: Trends;
  readonly pulse: number | null;
}

function Board({ fleet, params, trends, pulse }: BoardProps): JSX.Element {
  const sort = readSort(params.sort);
  const found = fleet.nodes.some((node) => node.findings.length > 0 || node.silent); // while nothing is wrong the column would only be empty
  const columns = useMemo(
    () => columnsOf(trends).filter(({ id }) => id !== "finding" || found).filter(({ id }) => id !== "trend" || trends.size > 0),
    [language(), trends, found],
  );
  const rows = useMemo(() => arranged(fleet.nodes, columns, params), [fleet.nodes, columns, params]);
  const sortBy = (id: string | null, downFirst = false): void => change({ sort: id ? writeSort(nextSort(sort, id, downFirst)) : null });
  return (
    <>
      <div class="tools">
        <div class="verdicts" role="group" aria-label={t("verdict")}><Verdicts nodes={fleet.nodes} chosen={params.verdict ?? null} /></div>
        <FleetFindings fleet={fleet} chosen={params.check ?? null} />
        <div class="finders">
          <input
            type="search" placeholder={t("filter_nodes")} aria-label={t("filter_nodes")} value={params.filter ?? ""}
            onInput={(event) => change({ filter: event.currentTarget.value })}
          />
          <Choice name="version" values={occurring(fleet.nodes.map(({ version }) => version))} chosen={params.version} />
          <Choice name="mode" values={occurring(fleet.nodes.map(({ mode }) => mode))} chosen={params.mode} />
          <label class="sorter">{t("sort_by")}
            <select aria-label={t("sort_by")} value={sort?.column ?? ""} onChange={(event) => sortBy(event.currentTarget.value || null)}>
              <option value="">{t("worst_first")}</option>
              {columns.filter(({ order }) => order !== null).map(({ id, title }) => <option key={id} value={id}>{title}</option>)}
            </select>
          </label>
          <span class="pulse">{pulse === null ? "" : t("updated", { age: ageOf(pulse) })}</span>
        </div>
      </div>
      <div class="board">
        <Grid label={t("fleet")} columns={columns} rows={rows} sort={sort} onSort={sortBy} cards />
        {rows.length === 0 && (
          <p class="nothing">{t("no_match")}{" "}
            <button type="button" onClick={() => change({ filter: null, verdict: null, version: null, mode: null, check: null })}>{t("clear_filter")}</button>
          </p>
        )}
      </div>
    </>
  );
}

/** The rows the URL asks for, in its order: by a column, or worst first; equal ones by ident. */
function arranged(nodes: readonly Node[], columns: readonly NodeColumn[], params: Params): Node[] {
  const sort = readSort(params.sort);
  const kept = filtered(nodes, { ...params, text: params.filter });
  const column = columns.find(({ id, order }) => id === sort?.column && order !== null) ?? columns[1];
  const named = sorted(kept, (node) => node.ident, compare);
  return column?.order ? sorted(named, column.value, column.order as (a: unknown, b: unknown) => number, sort?.down) : named;
}

function Verdicts({ nodes, chosen }: { nodes: readonly Node[]; chosen: string | null }): JSX.Element {
  const others = [...new Set(nodes.map(({ tone }) => tone))].filter((tone) => !TONES.includes(tone));
  const tiles = [null, ...TONES, ...others]
    .map((tone) => ({ tone, size: tone === null ? nodes.length : nodes.filter((node) => node.tone === tone).length }))
    .filter(({ tone, size }) => size > 0 || tone === "ok" || tone === "critical" || tone === chosen);
  return (
    <>
      {tiles.map(({ tone, size }) => (
        <button
          key={tone ?? ""} type="button" data-verdict={tone ?? ""} data-tone={size > 0 ? tone : undefined} aria-pressed={chosen === tone}
          onClick={() => change({ verdict: tone }, { push: true })}
        >
          <b>{count(size)}</b> <span>{tone === null ? t("nodes_count") : toneWord(tone)}</span>
        </button>
      ))}
    </>
  );
}

/** What is wrong in the fleet, check by check: a click shows the nodes. What is about no single node stands there too. */
function FleetFindings({ fleet, chosen }: { fleet: Fleet; chosen: string | null }): JSX.Element | null {
  const checks = checksOf(fleet.nodes);
  const alone = fleet.findings.filter(({ check }) => !checks.some((each) => each.check === check));
  if (checks.length + alone.length === 0) return null;
  return (
    <ul class="checks" aria-label={t("found_in_fleet")}>
      {checks.map(({ check, severity, summary, count: size }) => (
        <li key={check}>
          <button type="button" data-tone={severity} aria-pressed={chosen === check} title={summary} onClick={() => change({ check: chosen === check ? null : check }, { push: true })}>
            <code>{check}</code> <b>{count(size)}</b>
          </button>
        </li>
      ))}
      {alone.map(({ check, severity, summary }) => <li key={check} class="alone" data-tone={severity}><code>{check}</code> {summary}</li>)}
    </ul>
  );
}

function Choice({ name, values, chosen }: { name: "version" | "mode"; values: readonly string[]; chosen: string | undefined }): JSX.Element | null {
  if (values.length < 2 && !chosen) return null;
  return (
    <select aria-label={t(name)} value={chosen ?? ""} onChange={(event) => change({ [name]: event.currentTarget.value })}>
      <option value="">{t("any_of", { name: t(name) })}</option>
      {values.map((value) => <option key={value} value={value}>{value}</option>)}
    </select>
  );
}
