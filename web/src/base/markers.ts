/* What happened to a node's kube-proxy within the time that charts show: its starts, and versions that came. Pure. */

import type { Span } from "./span";
import { t } from "./words";

export interface Marker { readonly time: number; readonly text: string }

/** Oldest first. `starts`: every value of the process' start time; `builds`: each version with the time of its first sample.
 * A version that a start brought along is told with it, as one marker at the start. */
export function markersOf(starts: readonly number[], builds: readonly { version: string; first: number }[], span: Span): Marker[] {
  const within = (time: number): boolean => time > span.start && time <= span.end;
  const restarts = [...new Set(starts)].filter(within).sort((a, b) => a - b);
  const changes = builds.length < 2 ? [] : builds.filter(({ first }) => within(first - span.step));
  const startOf = (first: number): number | undefined => restarts.findLast((time) => time <= first && first - time <= 2 * span.step);
  const brought = new Map(changes.map(({ version, first }) => [startOf(first) ?? first, version]));
  return [...new Set([...restarts, ...brought.keys()])].sort((a, b) => a - b).map((time) => (
    { time, text: [restarts.includes(time) && t("restart"), brought.get(time)].filter(Boolean).join(" · ") }
  ));
}
