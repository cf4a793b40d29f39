/* Which time the charts show, as the URL says it: the last `range`, or `from` to `to`. Pure but for the hub's clock. */

import { shortTime } from "./format";
import type { Params } from "./place";
import { hubTime } from "./server";

export const PRESETS = ["15m", "1h", "3h", "6h", "12h", "1d", "2d", "7d", "15d"] as const;
export const DEFAULT_PRESET = "1h";
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const POINTS = 240;
const STEPS_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const SHORTEST_STEP_SECONDS = 5;

export interface Span {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  /** Number of points from start to end, both included. */
  readonly steps: number;
  /** The preset, where the span ends now; null where it was chosen by hand. */
  readonly preset: string | null;
}

/** "90m" as seconds; null if it is no duration. */
export function secondsOf(text: string): number | null {
  const found = /^(\d+)([smhdw])$/.exec(text);
  return found?.[1] && found[2] ? Number(found[1]) * (UNIT_SECONDS[found[2]] ?? 0) || null : null;
}

/** Ends are on the grid of steps, so that charts and caches agree about times. */
export function spanOf(params: Params, now: number = hubTime()): Span {
  const [from, to] = [Number(params.from), Number(params.to)];
  const chosen = Boolean(params.from && params.to) && Number.isFinite(from) && Number.isFinite(to) && to > from;
  const preset = chosen ? null : secondsOf(params.range ?? "") !== null ? (params.range as string) : DEFAULT_PRESET;
  const length = chosen ? to - from : secondsOf(preset ?? "") ?? 3600;
  const step = stepFor(length);
  const end = (chosen ? Math.ceil(to / step) : Math.floor(now / step)) * step;
  const steps = Math.max(1, Math.round(length / step)) + 1;
  return { start: end - (steps - 1) * step, end, step, steps, preset };
}

function stepFor(length: number): number {
  return STEPS_SECONDS.find((step) => step >= SHORTEST_STEP_SECONDS && length / step <= POINTS) ?? Math.ceil(length / POINTS / 86400) * 86400;
}

const TICKS_SECONDS = [5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** At most `most` round local times within the span: the clock, or the day where one begins. */
export function timeTicks({ start, end }: Pick<Span, "start" | "end">, most: number): { at: number; text: string }[] {
  const apart = TICKS_SECONDS.find((step) => (end - start) / step <= most) ?? (end - start) / Math.max(1, most);
  const ahead = -new Date(start * 1000).getTimezoneOffset() * 60; // of UTC, so that ticks are round where the person is
  const ticks = [];
  for (let at = Math.ceil((start + ahead) / apart) * apart - ahead; at <= end && ticks.length < most; at += apart) {
    ticks.push({ at, text: shortTime(at, apart < 60) });
  }
  return ticks;
}
