/* Service levels: how soon a change is programmed, how long a sync takes, what of the error budget is left.
 *
 * URL: ?ident=NAME (absent: every node) &range=6h, or &from= &to= Unix seconds, &live=0 */

import type { JSX } from "preact";
import { askFleet, occurring } from "../base/fleet";
import { useLive } from "../base/live";
import { askBoards, literally, type Panel } from "../base/panels";
import { change, usePlace } from "../base/place";
import { spanOf } from "../base/span";
import { language, t } from "../base/words";
import { BoardView } from "../parts/board";
import { PanelView } from "../parts/panel";
import { isLive, REFRESH_SECONDS } from "../parts/timebar";
import { EmptyHub } from "../parts/empty";

const PROGRAMMING = 'sum by (le) (increase(kubeproxy_network_programming_duration_seconds_bucket{job="kube-proxy",ident=~"$ident"}[$__rate_interval]))';

export function SloPage(): JSX.Element {
  const { params } = usePlace();
  const fleet = useLive(`fleet:${language()}`, askFleet, null);
  const boards = useLive(`boards:${language()}`, askBoards, null).shown;
  const idents = params.ident ? literally(params.ident) : ".*";
  const span = spanOf(params);
  const sync = boards?.boards.flatMap(({ panels }) => panels).find(({ id }) => id === "sync-heatmap");
  const programming: Panel | undefined = sync && { ...sync, id: "programming-heatmap", title: t("programming_heatmap"), meaning: t("programming_heatmap_meaning"), queries: [{ expr: PROGRAMMING, legend: "{{le}}" }] };
  if (fleet.shown?.nodes.length === 0) return <div class="view page"><EmptyHub /></div>;
  return (
    <div class="view page slo">
      <header class="head">
        <h1 class="shown">{t("slo_title")}</h1>
        <select aria-label="ident" value={params.ident ?? ""} onChange={(event) => change({ ident: event.currentTarget.value }, { push: true })}>
          <option value="">{t("every_node")}</option>
          {occurring(fleet.shown?.nodes.map(({ ident }) => ident) ?? []).map((ident) => <option key={ident} value={ident}>{ident}</option>)}
        </select>
      </header>
      <p class="lead">{boards?.boards.find(({ id }) => id === "slo")?.meaning}</p>
      <BoardView id="slo" params={params} idents={idents} />
      <div class="panels">
        {[programming, sync].map((panel) => panel && <PanelView key={panel.id} panel={panel} span={span} idents={idents} refreshSeconds={isLive(params, span) ? REFRESH_SECONDS : null} />)}
      </div>
    </div>
  );
}

