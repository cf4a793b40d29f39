/* The panels of a board under the headings of its sections; what the charts mark stands above them in words. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useLive, useTick } from "../base/live";
import type { Marker } from "../base/markers";
import { askBoards } from "../base/panels";
import type { Params } from "../base/place";
import { spanOf, type Span } from "../base/span";
import { absolute } from "../base/format";
import { language, t } from "../base/words";
import { PanelView } from "./panel";
import { isLive, REFRESH_SECONDS, TimeBar } from "./timebar";
import { Problem, Waiting } from "./words";

interface Props {
  readonly id: string;
  readonly params: Params;
  readonly idents: string;
  readonly markers?: ((span: Span) => readonly Marker[]) | undefined;
}

export function BoardView({ id, params, idents, markers }: Props): JSX.Element {
  const known = useLive(`boards:${language()}`, askBoards, null);
  useTick(REFRESH_SECONDS);
  const tick = Math.floor(Date.now() / 1000 / REFRESH_SECONDS); // a new end for every refresh
  const span = useMemo(() => spanOf(params), [params.range, params.from, params.to, isLive(params, { preset: "" } as Span) ? tick : 0]);
  const marked = useMemo(() => markers?.(span) ?? [], [markers, span]);
  const boards = known.shown;
  const board = boards?.boards.find((each) => each.id === id);
  if (!boards || !board) return known.error ? <Problem error={known.error} again={known.again} /> : <Waiting />;
  const refresh = isLive(params, span) ? REFRESH_SECONDS : null;
  const sections = boards.sections.filter((section) => board.panels.some((panel) => panel.section === section.id));
  return (
    <div class="boardview">
      <TimeBar span={span} params={params} />
      {marked.length > 0 && <Events markers={marked} />}
      {sections.map((section) => (
        <section key={section.id} class="section" aria-labelledby={`section-${section.id}`}>
          <h2 id={`section-${section.id}`}>{section.title}</h2>
          {[true, false].map((small) => {
            const panels = board.panels.filter((panel) => panel.section === section.id && (panel.kind === "stat") === small);
            return panels.length > 0 && (
              <div key={String(small)} class={small ? "panels smaller" : "panels"}>
                {panels.map((panel) => <PanelView key={panel.id} panel={panel} span={span} idents={idents} refreshSeconds={refresh} markers={marked} />)}
              </div>
            );
          })}
        </section>
      ))}
    </div>
  );
}

const MOST_EVENTS = 12;

/** The newest first. */
function Events({ markers }: { markers: readonly Marker[] }): JSX.Element {
  return (
    <ul class="events" aria-label={t("events")}>
      {markers.slice(-MOST_EVENTS).reverse().map(({ time, text }) => <li key={`${time}${text}`}><time dateTime={new Date(time * 1000).toISOString()}>{absolute(time)}</time> {text}</li>)}
    </ul>
  );
}
