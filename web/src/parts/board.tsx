/* The panels of a board under the headings of its sections. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useLive, useTick } from "../base/live";
import { askBoards } from "../base/panels";
import type { Params } from "../base/place";
import { spanOf, type Span } from "../base/span";
import { language } from "../base/words";
import type { Marker } from "./chart";
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
  const boards = known.shown;
  const board = boards?.boards.find((each) => each.id === id);
  if (!boards || !board) return known.error ? <Problem error={known.error} again={known.again} /> : <Waiting />;
  const refresh = isLive(params, span) ? REFRESH_SECONDS : null;
  const sections = boards.sections.filter((section) => board.panels.some((panel) => panel.section === section.id));
  return (
    <div class="boardview">
      <TimeBar span={span} params={params} />
      {sections.map((section) => (
        <section key={section.id} class="section" aria-labelledby={`section-${section.id}`}>
          <h2 id={`section-${section.id}`}>{section.title}</h2>
          {[true, false].map((small) => {
            const panels = board.panels.filter((panel) => panel.section === section.id && (panel.kind === "stat") === small);
            return panels.length > 0 && (
              <div key={String(small)} class={small ? "panels smaller" : "panels"}>
                {panels.map((panel) => <PanelView key={panel.id} panel={panel} span={span} idents={idents} refreshSeconds={refresh} markers={markers?.(span) ?? []} />)}
              </div>
            );
          })}
        </section>
      ))}
    </div>
  );
}
