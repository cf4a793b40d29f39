/* What the agents scrape and how they are: last report, errors, lag, what waits in their spools.
 *
 * URL: ?filter=text &sort=column or -column &health=up or down */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { absolute, compare, compareNumbers, count, duration, latency, sorted } from "../base/format";
import { useLive, useTick } from "../base/live";
import { bytes } from "../base/format";
import { change, linkTo, nextSort, readSort, usePlace, writeSort } from "../base/place";
import { ask, hubTime, instant, type Metric } from "../base/server";
import { t } from "../base/words";
import { EmptyHub } from "../parts/empty";
import { Grid, type Cell, type Column } from "../parts/grid";
import { Problem, Waiting } from "../parts/words";

interface ActiveTarget { readonly labels: Metric; readonly scrapeUrl: string; readonly lastError: string; readonly lastScrape: string; readonly lastScrapeDuration: number; readonly health: string; readonly scrapeInterval: string }
interface Row {
  readonly key: string; readonly tone: string | null; readonly ident: string; readonly url: string; readonly health: string; readonly error: string;
  readonly last: number; readonly took: number; readonly interval: string; readonly lag: number | null; readonly spool: number | null; readonly version: string;
}

const REFRESH_SECONDS = 5;
const SPOOL = 'max by (ident) (kpwatch_agent_spool_bytes)';
const LAG = 'max by (ident) (kpwatch_agent_writer_lag_seconds)';
const VERSION = "max by (ident, version) (kpwatch_agent_info)";

async function askTargets(signal: AbortSignal): Promise<Row[]> {
  const [targets, spool, lag, versions] = await Promise.all([
    ask<{ data: { activeTargets: ActiveTarget[] } }>("api/v1/targets", { state: "active" }, signal),
    numbers(SPOOL, signal), numbers(LAG, signal), instant(VERSION, null, signal),
  ]);
  const version = new Map(versions.data.resultType === "vector" ? versions.data.result.map(({ metric }) => [metric.ident, metric.version ?? ""]) : []);
  return targets.data.activeTargets.map((each) => {
    const ident = each.labels.ident ?? each.labels.instance ?? "";
    return {
      key: `${JSON.stringify(each.labels)} ${each.scrapeUrl}`, tone: each.health === "down" ? "critical" : null, ident, url: each.scrapeUrl, health: each.health, error: each.lastError,
      last: Date.parse(each.lastScrape) / 1000, took: each.lastScrapeDuration, interval: each.scrapeInterval,
      lag: lag.get(ident) ?? null, spool: spool.get(ident) ?? null, version: version.get(ident) ?? "",
    };
  });
}

async function numbers(query: string, signal: AbortSignal): Promise<Map<string, number>> {
  const { data } = await instant(query, null, signal);
  return new Map(data.resultType === "vector" ? data.result.map(({ metric, value }) => [metric.ident ?? "", Number(value?.[1])]) : []);
}

const DASH = "–";
const healthCell = ({ health }: Row): Cell => ({ text: t(health === "up" ? "answered" : health === "down" ? "failed_scrape" : "unknown"), tone: health === "up" ? "ok" : health === "down" ? "critical" : "unknown", badge: true });

function columnsOf(): Column<Row>[] {
  return [
    { id: "ident", title: t("ident"), value: (row) => row.ident, order: compare, cell: (row) => ({ text: row.ident, href: linkTo("node", { ident: row.ident }) }) },
    { id: "health", title: t("last_scrape_health"), value: (row) => row.health, order: compare, cell: healthCell },
    { id: "last", title: t("last_report"), end: true, downFirst: true, value: (row) => hubTime() - row.last, order: compareNumbers, cell: (row) => ({ text: t("ago", { age: duration(hubTime() - row.last) }), tip: absolute(row.last) }) },
    { id: "interval", title: t("interval"), end: true, value: (row) => Number.parseFloat(row.interval), order: compareNumbers, cell: (row) => ({ text: row.interval ? latency(Number.parseFloat(row.interval)) : DASH }) },
    { id: "took", title: t("took_column"), end: true, downFirst: true, value: (row) => row.took, order: compareNumbers, cell: (row) => ({ text: latency(row.took) }) },
    { id: "lag", title: t("lag"), tip: t("tip_lag"), end: true, downFirst: true, value: (row) => row.lag, order: compareNumbers, cell: (row) => ({ text: row.lag === null ? DASH : latency(row.lag) }) },
    { id: "spool", title: t("spool"), tip: t("tip_spool"), end: true, downFirst: true, value: (row) => row.spool, order: compareNumbers, cell: (row) => ({ text: row.spool === null ? DASH : bytes(row.spool) }) },
    { id: "agent", title: t("agent_version"), value: (row) => row.version, order: compare, cell: (row) => ({ text: row.version || DASH }) },
    { id: "url", title: "URL", value: (row) => row.url, order: compare, cell: (row) => ({ text: row.url }) },
    { id: "finding", title: t("error"), rest: true, value: (row) => row.error, order: compare, cell: (row) => ({ text: row.error, tip: row.error }) },
  ];
}

export function TargetsPage(): JSX.Element {
  const { params } = usePlace();
  const known = useLive("targets", askTargets, REFRESH_SECONDS);
  useTick(1);
  const sort = readSort(params.sort);
  const rows = known.shown;
  const columns = columnsOf().filter(({ id }) => id !== "finding" || rows?.some(({ error }) => error));
  const shown = useMemo(() => {
    const words = (params.filter ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const kept = (rows ?? []).filter((row) => (!params.health || row.health === params.health) && words.every((word) => `${row.ident} ${row.url} ${row.error}`.toLowerCase().includes(word)));
    const column = columns.find(({ id }) => id === sort?.column);
    const named = sorted(sorted(kept, ({ ident }) => ident, compare), ({ health }) => (health === "down" ? 0 : 1), compareNumbers);
    return column ? sorted(named, column.value, column.order as (a: unknown, b: unknown) => number, sort?.down) : named;
  }, [rows, params.filter, params.health, params.sort]);
  return (
    <div class="view fleet targets">
      <h1>{t("targets")}</h1>
      <Problem error={known.error} again={known.again} />
      {!rows && !known.error && <Waiting />}
      {rows?.length === 0 && <EmptyHub />}
      {rows && rows.length > 0 && (
        <>
          <div class="tools">
            <div class="verdicts" role="group" aria-label={t("last_scrape_health")}>
              {([["", "targets_count"], ["up", "answered"], ["down", "failed_scrape"]] as const).map(([health, word]) => {
                const size = health ? rows.filter((row) => row.health === health).length : rows.length;
                return (
                  <button key={health} type="button" data-tone={size === 0 ? undefined : health === "up" ? "ok" : health === "down" ? "critical" : undefined} aria-pressed={(params.health ?? "") === health} onClick={() => change({ health })}>
                    <b>{count(size)}</b> <span>{t(word)}</span>
                  </button>
                );
              })}
            </div>
            <div class="finders">
              <input type="search" placeholder={t("filter_targets")} aria-label={t("filter_targets")} value={params.filter ?? ""} onInput={(event) => change({ filter: event.currentTarget.value })} />
            </div>
          </div>
          <div class="board">
            <Grid label={t("targets")} columns={columns} rows={shown} sort={sort} onSort={(id, downFirst) => change({ sort: writeSort(nextSort(sort, id, downFirst)) })} cards />
            {shown.length === 0 && <p class="nothing">{t("no_match")}</p>}
          </div>
        </>
      )}
    </div>
  );
}
