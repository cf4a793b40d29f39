/* Lines over time, by uPlot. All charts of a page share a cursor; dragging over one chooses its time for all of them.
 * Where no cursor is, the legend tells each line's last value. */

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Marker } from "../base/markers";
import type { Line, Threshold } from "../base/panels";
import { change } from "../base/place";
import type { Span } from "../base/span";
import { inUnit } from "../base/units";
import { language, t } from "../base/words";

interface Props {
  readonly label: string;
  readonly span: Span;
  readonly lines: readonly Line[];
  readonly unit: string;
  readonly thresholds?: readonly Threshold[];
  readonly markers?: readonly Marker[];
  readonly height?: number;
  readonly stacked?: boolean;
  /** Values that differ by little are drawn apart: the axis need not begin at 0. */
  readonly close?: boolean;
}

const SHARED = "time";
const COLOURS = 8;

export function Chart({ label, span, lines, unit, thresholds = [], markers = [], height = 190, stacked = false, close = false }: Props): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const drawn = useRef<Drawn>({ lines, thresholds, markers });
  drawn.current = { lines, thresholds, markers };
  const shape = JSON.stringify([unit, height, stacked, close, language(), lines.map(({ name }) => name)]);
  const data = (): uPlot.AlignedData => [
    Array.from({ length: span.steps }, (_, index) => span.start + index * span.step),
    ...(stacked ? pile(lines) : lines.map(({ values }) => values as (number | null)[])),
  ];

  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const make = (): void => {
      chart.current?.destroy();
      chart.current = new uPlot(optionsOf(element, { lines, unit, height, drawn, stacked, close }), data(), element);
      const legend = element.querySelector<HTMLElement>(".u-legend");
      if (legend) legend.tabIndex = 0; // it scrolls where there are many series
    };
    make();
    const resized = new ResizeObserver(() => {
      if (chart.current && element.clientWidth > 0 && chart.current.width !== element.clientWidth) chart.current.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", make);
      chart.current?.destroy();
      chart.current = null;
    };
  }, [shape]);
  useEffect(() => {
    const known = chart.current;
    if (!known) return;
    known.setData(data(), false);
    known.setScale("x", { min: span.start, max: span.end });
    known.redraw();
  }, [lines, span.start, span.end, thresholds, markers]);
  return <div class="chart" ref={host} role="img" aria-label={label} />;
}

function pile(lines: readonly Line[]): (number | null)[][] {
  const sums: number[] = [];
  return lines.map(({ values }) => values.map((value, at) => (value === null ? null : (sums[at] = (sums[at] ?? 0) + value))));
}

interface Drawn { readonly lines: readonly Line[]; readonly thresholds: readonly Threshold[]; readonly markers: readonly Marker[] }

interface Look {
  readonly lines: readonly Line[];
  readonly unit: string;
  readonly height: number;
  readonly stacked: boolean;
  readonly close: boolean;
  /** What is drawn now, however old the chart is. */
  readonly drawn: { current: Drawn };
}

/** A line's own value, stacked or not: under the cursor, else its last. */
const valueAt = (line: Line | undefined, at: number | null): number | null => (at === null ? line?.values.findLast((value) => value !== null) : line?.values[at]) ?? null;

/* Where the round numbers of a unit are not those of ten. */
const TENS = Array.from({ length: 11 }, (_, at) => [1, 2, 5].map((digit) => Number(`${digit}e${at - 9}`))).flat();
const TICKS: Readonly<Record<string, number[]>> = {
  seconds: [...TENS.filter((seconds) => seconds < 60 && seconds !== 50), 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800].sort((a, b) => a - b),
  bytes: Array.from({ length: 51 }, (_, power) => 2 ** power),
};

const TICK_DIGITS = 12; // what steps of an axis add up to has no more that are meant

/* About as wide as the text of an axis is drawn. */
const widthOf = (text: string): number => [...text].reduce((width, sign) => width + (sign.charCodeAt(0) > 0x2e80 ? 12 : 7), 0);

function optionsOf(element: HTMLElement, { lines, unit, height, drawn, stacked, close }: Look): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const [text, grid] = [colour("muted"), colour("line-soft")];
  const font = `12px ${style.getPropertyValue("--sans")}`;
  const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
  return {
    width: element.clientWidth || 400,
    height,
    padding: [10, 18, 0, 0],
    cursor: { sync: { key: SHARED, setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, low, high) => yRange(low, high, close && !stacked) } },
    axes: [
      { ...axis, size: 28, values: (chart, times) => times.map((time) => tick(time, (chart.scales.x?.max ?? 0) - (chart.scales.x?.min ?? 0))), space: 70 },
      { ...axis, ...(TICKS[unit] ? { incrs: TICKS[unit] } : {}), size: (_, texts) => Math.max(60, 14 + Math.max(0, ...(texts ?? []).map(widthOf))), values: (_, values) => values.map((value) => inUnit(unit, Number(value.toPrecision(TICK_DIGITS)))) },
    ],
    series: [
      { label: t("time"), value: (_, time) => (time === null ? t("last_value") : new Date(time * 1000).toLocaleTimeString("en-GB")) },
      ...lines.map(({ name }, index) => {
        const stroke = colour(`line-${(index % COLOURS) + 1}`);
        const fill = stacked ? { fill: `${stroke}44` } : {};
        return { label: name || "value", stroke, ...fill, width: 1.5, points: { show: false }, spanGaps: false, value: (_: uPlot, __: unknown, series: number, at: number | null) => inUnit(unit, valueAt(drawn.current.lines[series - 1], at)) };
      }),
    ],
    hooks: {
      draw: [(chart) => drawLimits(chart, drawn.current.thresholds, colour), (chart) => drawMarkers(chart, drawn.current.markers, colour, font)],
      setSelect: [(chart) => {
        if (chart.select.width < 4) return;
        const at = (px: number): number => Math.round(chart.posToVal(px, "x"));
        change({ from: at(chart.select.left), to: Math.max(at(chart.select.left) + 10, at(chart.select.left + chart.select.width)), range: null }, { push: true });
        chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
}

/** From 0 where values are positive, with room above; a flat line is not at the edge. `close`: from the least value where
 * from 0 on they would be one line. */
function yRange(low: number | null, high: number | null, close: boolean): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (close && low > 0 && high - low < high / 4) {
    const room = (high - low) * 0.08 || high * 0.001;
    return [low - room, high + room];
  }
  const [bottom, top] = [Math.min(0, low), Math.max(0, high)];
  return bottom === top ? [0, 1] : [bottom < 0 ? bottom * 1.08 : 0, top > 0 ? top * 1.08 : 0];
}

const two = (number: number): string => String(number).padStart(2, "0");

function tick(time: number, seconds: number): string {
  const date = new Date(time * 1000);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (seconds < 600) return `${clock}:${two(date.getSeconds())}`;
  return seconds <= 86_400 ? clock : `${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}

function drawLimits(chart: uPlot, thresholds: readonly Threshold[], colour: (name: string) => string): void {
  const { ctx, bbox } = chart;
  for (const { value, severity } of thresholds) {
    const y = chart.valToPos(value, "y", true);
    if (value === 0 || y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = colour(severity);
    ctx.setLineDash([6, 5]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }
}

function drawMarkers(chart: uPlot, markers: readonly Marker[], colour: (name: string) => string, font: string): void {
  const { ctx, bbox } = chart;
  for (const { time, text } of markers) {
    const x = chart.valToPos(time, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("silent");
    ctx.font = font;
    ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
    ctx.fillText(text, x + (ctx.textAlign === "right" ? -4 : 4), bbox.top + 10);
    ctx.setLineDash([2, 3]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}
