/* Numbers in their units: those of panels, those that a metric's name promises, those that a person chooses. Pure. */

import { absolute, bytes, compact, count, latency, number } from "./format";
import { t, type Word } from "./words";

const short = (value: number): string => {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e15)) return value.toExponential(2);
  return count(Number(value.toPrecision(size >= 1000 ? 6 : 3)));
};
const signed = (read: (value: number) => string) => (value: number): string => (value < 0 ? `-${read(-value)}` : read(value));

/** Every digit, as the server wrote it. */
export const EXACT = "exact";

const UNITS: Readonly<Record<string, (value: number) => string>> = {
  seconds: signed(latency),
  unix_seconds: (value) => absolute(value),
  bytes: signed(bytes),
  ratio: (value) => `${short(value * 100)} %`,
  per_second: (value) => t("per_second", { n: short(value) }),
  cores: (value) => t("cores", { n: short(value) }),
  compact,
  [EXACT]: String,
};

/** A number in the unit of its panel; "–" for none. */
export function inUnit(unit: string, value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  return (UNITS[unit] ?? short)(value);
}

/* Which unit a metric's name promises (Prometheus naming: base unit as suffix), first match wins. */
const PROMISES: readonly [RegExp, string][] = [
  [/_timestamp_seconds$|_start_time_seconds$/, "unix_seconds"],
  [/_seconds(_sum)?$/, "seconds"],
  [/_bytes(_sum)?$/, "bytes"],
];

/** The unit that a metric's name promises; "" where it promises none. */
export const unitOf = (metric: string): string => PROMISES.find(([pattern]) => pattern.test(metric))?.[1] ?? "";

/** `raw` (a number as the server wrote it) in the unit the metric's name promises; null when there is nothing to add. */
export function human(raw: string, metric = ""): string | null {
  const value = number(raw);
  if (!Number.isFinite(value)) return null;
  const unit = unitOf(metric);
  if (unit) return inUnit(unit, value);
  const text = count(value);
  return text === raw ? null : text;
}

/* What a person may choose to read values in: as they came, as their names promise, or one unit for all. */
export const BY_NAME = "name";
export const CHOICES: readonly { id: string; words: Word }[] = [
  { id: "", words: "unit_exact" },
  { id: BY_NAME, words: "unit_by_name" },
  { id: "compact", words: "unit_compact" },
  { id: "bytes", words: "unit_of_bytes" },
  { id: "seconds", words: "unit_of_seconds" },
  { id: "ratio", words: "unit_percent" },
  { id: "unix_seconds", words: "unit_date" },
];

/** `raw` as the person chose to read it; what is no number stays as it is. */
export function readAs(choice: string, raw: string, metric = ""): string {
  const unit = choice === BY_NAME ? unitOf(metric) : choice;
  return unit && Number.isFinite(number(raw)) ? inUnit(unit, number(raw)) : raw;
}
