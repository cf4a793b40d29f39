/* One node: the verdict with everything that was found, then its charts in the order a person asks.
 *
 * URL: ?ident=NAME &range=6h, or &from= &to= Unix seconds, &live=0 */

import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { askFindings, evidenceWords, type Finding, type Judged } from "../base/findings";
import { askFleet, toneWord, TONES, type Node } from "../base/fleet";
import { absolute, duration } from "../base/format";
import { useLive, useTick } from "../base/live";
import { markersOf, type Marker } from "../base/markers";
import { askBoards, literally, type Panel } from "../base/panels";
import { linkTo, usePlace } from "../base/place";
import { nodeSelector } from "../base/promql";
import { hubTime, range } from "../base/server";
import { spanOf, type Span } from "../base/span";
import { language, t } from "../base/words";
import { BoardView } from "../parts/board";
import { panelLink } from "../parts/panel";
import { Problem, Rich, Waiting } from "../parts/words";

const REFRESH_SECONDS = 5;
const BOARD = "node";

export function NodePage(): JSX.Element {
  const { params } = usePlace();
  const ident = params.ident ?? "";
  const fleet = useLive(`fleet:${language()}`, askFleet, REFRESH_SECONDS);
  const findings = useLive(`findings:${language()}`, askFindings, REFRESH_SECONDS);
  const boards = useLive(`boards:${language()}`, askBoards, null).shown;
  const panels = boards?.boards.find(({ id }) => id === BOARD)?.panels ?? [];
  const markers = useMarkers(ident);
  const node = fleet.shown?.nodes.find((each) => each.ident === ident);
  const judged = findings.shown?.nodes.find((each) => each.ident === ident);
  const shared = findings.shown?.fleet.findings.filter(({ check }) => judged?.shared?.includes(check)) ?? [];
  if (fleet.shown && !node) return <div class="view page"><h1>{ident}</h1><p class="nothing">{t("no_such_node", { ident })} <a href={linkTo("")}>{t("to_fleet")}</a></p></div>;
  return (
    <div class="view page node">
      <header class="head">
        <h1 class="shown">{ident}</h1>
        {node && <span class="badge" data-tone={TONES.includes(node.tone) ? node.tone : "unknown"}>{toneWord(node.tone)}</span>}
        {node && <Facts node={node} />}
        <a class="aside" href={linkTo("table", { q: nodeSelector(ident) })}>{t("all_series", { ident })}</a>
      </header>
      <Problem error={fleet.error ?? findings.error} again={fleet.again} />
      {judged ? <Found judged={judged} shared={shared} panels={panels} ident={ident} /> : !findings.error && <Waiting />}
      <BoardView id={BOARD} params={params} idents={literally(ident)} markers={markers} />
    </div>
  );
}

function Facts({ node }: { node: Node }): JSX.Element {
  useTick(1);
  const ago = (seconds: number | null): string => (seconds ? t("ago", { age: duration(hubTime() - seconds) }) : "–");
  const facts: [string, string, number | null][] = [
    [t("version"), node.version || "–", null], [t("mode"), node.mode || "–", null],
    [t("last_sync"), ago(node.last_sync), node.last_sync], [t("last_sample"), ago(node.last_seen), node.last_seen],
  ];
  return <dl class="facts-list">{facts.map(([name, text, time]) => <div key={name}><dt>{name}</dt><dd title={time ? absolute(time) : undefined}>{text}</dd></div>)}</dl>;
}

interface FoundProps { readonly judged: Judged; readonly shared: readonly Finding[]; readonly panels: readonly Panel[]; readonly ident: string }

function Found({ judged, shared, panels, ident }: FoundProps): JSX.Element {
  const all = [...judged.findings, ...shared];
  return (
    <div class="findings">
      {all.length === 0 && <p class="fine">{t("nothing_found")}</p>}
      {all.map((finding) => <FindingView key={finding.check} finding={finding} panels={panels.filter(({ checks }) => checks.includes(finding.check))} ident={ident} />)}
      {judged.not_judged.length > 0 && (
        <details class="notjudged">
          <summary>{t("not_judged", { count: judged.not_judged.length })}</summary>
          <ul>{judged.not_judged.map(({ check, why }) => <li key={check}><code>{check}</code> {why}</li>)}</ul>
        </details>
      )}
    </div>
  );
}

/** `panels`: the charts that show what was found. */
function FindingView({ finding, panels, ident }: { finding: Finding; panels: readonly Panel[]; ident: string }): JSX.Element {
  const since = finding.since ? new Date(finding.since).getTime() / 1000 : null;
  return (
    <article class="finding" data-tone={finding.severity}>
      <h2>
        <span class="badge" data-tone={finding.severity}>{toneWord(finding.severity)}</span> <a href={linkTo("dictionary", { name: finding.check, ident })}><code>{finding.check}</code></a> {finding.summary}
      </h2>
      {since !== null && <p class="since">{t("since", { time: absolute(since), age: duration(hubTime() - since) })}</p>}
      <p><Rich text={finding.means} /></p>
      <div class="columns">
        <div>
          <h3>{t("evidence")}</h3>
          <dl class="evidence">{finding.evidence.map(evidenceWords).map(([what, value]) => <div key={what}><dt>{what}</dt><dd>{value}</dd></div>)}</dl>
          {panels.length > 0 && <h3>{t("charts")}</h3>}
          <ul class="plain charts">{panels.map(({ id, title }) => <li key={id}><a href={panelLink(id)}>{title}</a></li>)}</ul>
        </div>
        <div>
          <h3>{t("what_to_do")}</h3>
          <ol class="steps">{finding.do.map((step) => <li key={step}><Rich text={step.replaceAll("<node>", ident)} /></li>)}</ol>
        </div>
      </div>
    </article>
  );
}

/** Starts of kube-proxy's process, with the version that started, as markers in every chart. */
function useMarkers(ident: string): (span: Span) => readonly Marker[] {
  const selector = `{ident=${JSON.stringify(ident)},job="kube-proxy"}`;
  const { params } = usePlace();
  const span = spanOf(params);
  const { shown } = useLive(`markers:${ident}:${span.preset ?? `${span.start}-${span.end}`}`, async (signal) => {
    const [starts, builds] = await Promise.all([
      range(`max by (ident) (process_start_time_seconds${selector})`, span.start, span.end, span.step, signal),
      range(`max by (git_version) (kubernetes_build_info${selector})`, span.start, span.end, span.step, signal),
    ]);
    return {
      starts: starts.flatMap(({ values = [] }) => values.map(([, value]) => Number(value))),
      builds: builds.map(({ metric, values = [] }) => ({ version: metric.git_version ?? "", first: values[0]?.[0] ?? 0 })),
    };
  }, 60);
  return useCallback((within) => (shown ? markersOf(shown.starts, shown.builds, within) : []), [shown, language()]);
}
