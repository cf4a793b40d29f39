/* How durations were spread over time: a column per step, a row per bucket, darker where more fell. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { absolute, count, latency } from "../base/format";
import { timeTicks, type Span } from "../base/span";
import { t } from "../base/words";

interface Props {
  readonly label: string;
  readonly span: Span;
  readonly buckets: readonly { bound: number; counts: readonly number[] }[];
}

const ROW_PX = 12;
const LABEL_PX = 64;
const AXIS_PX = 18;
const TICK_PX = 84;

const boundOf = (bound: number): string => (Number.isFinite(bound) ? `≤ ${latency(bound)}` : t("more"));

export function Heatmap({ label, span, buckets }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [words, say] = useState("");
  const used = trimmed(buckets);
  const height = used.length * ROW_PX;
  const whole = height + AXIS_PX;

  useEffect(() => {
    const element = canvas.current;
    const draw = element?.getContext("2d");
    if (!element || !draw) return undefined;
    const paint = (): void => {
      const ratio = devicePixelRatio;
      const style = getComputedStyle(element);
      const width = element.clientWidth;
      element.width = width * ratio;
      element.height = whole * ratio;
      draw.scale(ratio, ratio);
      const most = Math.max(1e-9, ...used.flatMap(({ counts }) => counts));
      const cell = (width - LABEL_PX) / span.steps;
      draw.fillStyle = style.getPropertyValue("--accent");
      used.forEach(({ counts }, row) => counts.forEach((size, column) => {
        if (size <= 0) return;
        draw.globalAlpha = 0.12 + 0.88 * Math.sqrt(size / most);
        draw.fillRect(LABEL_PX + column * cell, height - (row + 1) * ROW_PX, Math.max(1, cell + 0.3), ROW_PX - 1);
      }));
      draw.globalAlpha = 1;
      draw.fillStyle = style.getPropertyValue("--muted");
      draw.font = `11px ${style.getPropertyValue("--sans")}`;
      draw.textAlign = "right";
      const every = Math.max(1, Math.ceil(used.length / 8));
      used.forEach(({ bound }, row) => row % every === 0 && draw.fillText(boundOf(bound), LABEL_PX - 6, height - row * ROW_PX - 3));
      draw.textAlign = "center";
      for (const { at, text } of timeTicks(span, Math.floor((width - LABEL_PX) / TICK_PX))) {
        const x = LABEL_PX + ((at - span.start) / span.step + 0.5) * cell;
        draw.fillRect(x, height, 1, 4);
        draw.fillText(text, Math.min(Math.max(x, LABEL_PX + 16), width - 18), whole - 3);
      }
    };
    paint();
    const resized = new ResizeObserver(paint);
    resized.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", paint);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", paint);
    };
  }, [buckets, span.start, span.end]);

  function read(event: PointerEvent): void {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left - LABEL_PX) / (box.width - LABEL_PX)) * span.steps);
    const bucket = used[Math.floor((height - (event.clientY - box.top)) / ROW_PX)];
    const size = bucket?.counts[column];
    say(bucket && size !== undefined ? `${absolute(span.start + column * span.step)} · ${boundOf(bucket.bound)} · ${count(Math.round(size * 10) / 10)}` : "");
  }

  return (
    <div class="heatmap">
      <canvas ref={canvas} role="img" aria-label={label} style={{ height: `${whole}px` }} onPointerMove={read} onPointerLeave={() => say("")} />
      <p class="reading">{words || " "}</p>
    </div>
  );
}

/** Without the empty buckets at both ends. */
function trimmed<Bucket extends { counts: readonly number[] }>(buckets: readonly Bucket[]): readonly Bucket[] {
  const full = buckets.map(({ counts }) => counts.some((size) => size > 0));
  const first = full.indexOf(true);
  return first === -1 ? [] : buckets.slice(Math.max(0, first - 1), full.lastIndexOf(true) + 2);
}
