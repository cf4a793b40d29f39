/* What happened to a node's kube-proxy within the time that charts show: its starts, and versions that came. Pure. */

import type { Marker } from "../parts/chart";
import type { Span } from "./span";
import { t } from "./words";

/** `starts`: every value of the process' start time; `builds`: each version with the time of its first sample. */
export function markersOf(starts: readonly number[], builds: readonly { version: string; first: number }[], span: Span): Marker[] {
  const restarts = [...new Set(starts)].filter((time) => time > span.start && time <= span.end).map((time) => ({ time, text: t("restart") }));
  const changes = builds.length < 2 ? [] : builds.filter(({ first }) => first > span.start + span.step).map(({ version, first }) => ({ time: first, text: version }));
  return [...restarts, ...changes];
}
