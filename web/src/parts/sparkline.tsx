/* A line the size of a word. */

import type { JSX } from "preact";

export interface Trend {
  /** [place from 0 to 1, value]. */
  readonly points: readonly (readonly [number, number])[];
  readonly last: number;
  readonly largest: number;
}

const WIDTH = 88;
const HEIGHT = 22;

export function Sparkline({ trend, words }: { trend: Trend; words: string }): JSX.Element {
  const scale = trend.largest > 0 ? (HEIGHT - 4) / trend.largest : 0;
  const at = ([place, value]: readonly [number, number]): string => `${(place * (WIDTH - 4) + 2).toFixed(1)},${(HEIGHT - 2 - value * scale).toFixed(1)}`;
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={words}>
      <title>{words}</title>
      <polyline points={trend.points.map(at).join(" ")} />
    </svg>
  );
}
