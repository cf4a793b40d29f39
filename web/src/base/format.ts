/* Numbers and times as people read them. Pure: every function is given its time, none asks the clock. */

import { languageTag, t, type Word } from "./words";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** A length of time, two units at most: "12 s", "3 min 5 s", "2 h 4 min", "3 d 4 h". */
export function duration(seconds: number, { decimals = 0 } = {}): string {
  const s = Math.max(0, seconds);
  if (s < 10 && decimals > 0) return t("unit_s", { n: s.toFixed(decimals) });
  if (s < MINUTE) return t("unit_s", { n: Math.floor(s) });
  if (s < HOUR) return pair("unit_min", s / MINUTE, "unit_s", s % MINUTE);
  if (s < DAY) return pair("unit_h", s / HOUR, "unit_min", (s % HOUR) / MINUTE);
  return pair("unit_d", s / DAY, "unit_h", (s % DAY) / HOUR);
}

function pair(big: Word, bigCount: number, small: Word, smallCount: number): string {
  const first = t(big, { n: Math.floor(bigCount) });
  const rest = Math.floor(smallCount);
  return rest === 0 ? first : `${first} ${t(small, { n: rest })}`;
}

/** A short measured time with three digits: "0.84 ms", "12.3 ms", "1.52 s". */
export function latency(seconds: number): string {
  if (seconds < 1) return t("unit_ms", { n: threeDigits(seconds * 1000) });
  if (seconds < MINUTE) return t("unit_s", { n: threeDigits(seconds) });
  return duration(seconds);
}

function threeDigits(value: number): string {
  if (value === 0) return "0";
  const digits = Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(digits);
}

/** Local time with its offset, the same in both languages: "2026-11-22 19:13:11.411 +08:00". */
export function absolute(unixSeconds: number, { milliseconds = false } = {}): string {
  const date = new Date(Math.round(unixSeconds * 1000));
  if (Number.isNaN(date.getTime())) return String(unixSeconds);
  const fraction = milliseconds ? `.${two(date.getMilliseconds(), 3)}` : "";
  return `${day(date)} ${clock(date)}${fraction} ${offset(date)}`;
}

/** A time as short as it can be said: the clock alone if it is of the same day as `now`. */
export function clockTime(unixSeconds: number, now: number): string {
  const [date, today] = [new Date(unixSeconds * 1000), new Date(now * 1000)];
  return day(date) === day(today) ? clock(date) : absolute(unixSeconds);
}

/** For an axis: "19:13", with seconds if they matter, or the day where it begins, "11-22". */
export function shortTime(unixSeconds: number, seconds = false): string {
  const date = new Date(unixSeconds * 1000);
  const time = clock(date);
  return time === "00:00:00" ? day(date).slice(5) : seconds ? time : time.slice(0, 5);
}

/** What <input type="datetime-local" step="1"> wants. */
export function inputTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return `${day(date)}T${clock(date)}`;
}

const two = (number: number, width = 2): string => String(number).padStart(width, "0");
const day = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const clock = (date: Date): string => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const numbers = new Map<string, Intl.NumberFormat>(); // language -> format: making one costs more than a thousand uses

/** A number with a thousand, a million … as a word: "512.372K". */
export const compact = (value: number): string => new Intl.NumberFormat(languageTag(), { notation: "compact", maximumFractionDigits: 3 }).format(value);

/** A number with its thousands marked. */
export function count(number: number): string {
  const tag = languageTag();
  let format = numbers.get(tag);
  if (!format) numbers.set(tag, (format = new Intl.NumberFormat(tag, { maximumFractionDigits: 6 })));
  return format.format(number);
}

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < BYTES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(2)} ${BYTES[unit]}`;
}

/** Prometheus' spelling of a float as a number: +Inf, -Inf, NaN included; NaN for everything that is no number. */
export function number(text: string): number {
  if (text === "+Inf" || text === "Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return text === "" ? NaN : Number(text);
}

const NUMERIC = /^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+|Inf|NaN)$/i;
const collator = new Intl.Collator("en", { numeric: true });

/** Order of two cell texts: numbers by size, everything else naturally (10.206.0.7 before 10.206.0.11). */
export function compare(a: string, b: string): number {
  if (NUMERIC.test(a) && NUMERIC.test(b)) return compareNumbers(number(a), number(b));
  return collator.compare(a, b);
}

export function compareNumbers(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** `rows` sorted by `value(row)` in `order`, turned round when `down`. What has no value (null, NaN, the text NaN) comes
 * last in both directions; equal rows keep the order they came in. */
export function sorted<Row, Key>(
  rows: readonly Row[], value: (row: Row) => Key | null | undefined, order: (a: Key, b: Key) => number, down = false,
): Row[] {
  const sign = down ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: value(row) }));
  keyed.sort((a, b) => Number(isNone(a.key)) - Number(isNone(b.key)) || (isNone(a.key) ? 0 : sign * order(a.key as Key, b.key as Key)));
  return keyed.map(({ row }) => row);
}

const isNone = (key: unknown): boolean => key === null || key === undefined || key === "" || Number.isNaN(key) || key === "NaN";
