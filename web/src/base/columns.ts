/* The table's columns: one per label that occurs, then the value and the age of its sample. */

import type { Column } from "../parts/grid";
import { absolute, clockTime, compare, compareNumbers, count, duration, sorted } from "./format";
import { readSort, type Params } from "./place";
import type { TableAnswer } from "./query";
import type { Row } from "./results";
import { hubTime } from "./server";
import { human, readAs } from "./units";
import { t } from "./words";

/* Ids that no label name can take: a label name holds no colon. */
export const VALUE = ":value";
export const TIME = ":time";
export const GAP = ":gap";
export const AGE = ":age";

export interface RowColumn extends Column<Row> {
  /** What it becomes in a file: [name, read(row)]. */
  readonly csv: readonly (readonly [string, (row: Row) => unknown])[];
}

const DASH = "–";

/** `unit`: what the person chose to read values in. */
export function columnsOf(answer: TableAnswer, unit: string): RowColumn[] {
  const time = answer.type === "matrix" ? [timeColumn(), gapColumn()] : [];
  return [...answer.labels.map(labelColumn), ...time, valueColumn(unit), ageColumn(answer)];
}

function labelColumn(name: string): RowColumn {
  const value = (row: Row): string => row.labels[name] ?? "";
  return {
    id: name, title: name, tip: t("tip_label", { name }), value, order: compare,
    cell: (row) => ({ text: value(row), tip: value(row) }), csv: [[name, value]],
  };
}

/** Files have the value as it came, whatever is shown. */
function valueColumn(unit: string): RowColumn {
  return {
    id: VALUE, title: t("value"), tip: t("tip_value"), end: true, downFirst: true, value: (row) => row.value, order: compare,
    cell: (row) => ({ text: readAs(unit, row.value, row.labels.__name__), tip: unit ? row.value : human(row.value, row.labels.__name__) ?? row.value }), csv: [["value", (row) => row.value]],
  };
}

function timeColumn(): RowColumn {
  return {
    id: TIME, title: t("time"), end: true, value: (row) => row.sampleTime, order: compareNumbers,
    cell: (row) => ({ text: absolute(row.sampleTime ?? 0, { milliseconds: true }), tip: String(row.sampleTime) }), csv: [],
  };
}

function gapColumn(): RowColumn {
  return {
    id: GAP, title: t("gap"), tip: t("tip_gap"), end: true, value: (row) => row.gap, order: compareNumbers,
    cell: ({ gap }) => ({ text: gap === undefined ? DASH : `+${duration(gap, { decimals: 1 })}`, tip: gap === undefined ? undefined : `${gap} s` }), csv: [],
  };
}

function ageColumn(answer: TableAnswer): RowColumn {
  const age = (row: Row): number | null => (row.sampleTime === null ? null : answer.evaluated - row.sampleTime);
  return {
    id: AGE, title: t("age"), tip: t("tip_age"), end: true, value: age, order: compareNumbers,
    cell: (row) => ageCell(answer, row, age(row)),
    csv: [
      ["sample_time", (row) => row.sampleTime],
      ["age_seconds", (row) => { const seconds = age(row); return seconds === null ? null : Number(seconds.toFixed(3)); }],
      ["evaluation_time", () => answer.evaluated],
    ],
  };
}

function ageCell(answer: TableAnswer, row: Row, age: number | null): { text: string; tip: string } {
  if (answer.computed) return { text: t("computed"), tip: t("tip_computed", { time: absolute(answer.evaluated) }) };
  if (age === null || row.sampleTime === null) return { text: DASH, tip: t("age_unknown", { reason: answer.ageProblem ?? t("age_no_sample") }) };
  const text = age < 0 ? t("ahead", { age: duration(-age, { decimals: 1 }) }) : duration(age, { decimals: 1 });
  return { text, tip: absolute(row.sampleTime, { milliseconds: true }) };
}

/** The rows that hold every word of the filter, in the order the URL names. */
export function arranged(rows: readonly Row[], columns: readonly RowColumn[], params: Params): readonly Row[] {
  const words = (params.filter ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row: Row): string => [...Object.values(row.labels), row.value].join(" ").toLowerCase();
  const kept = words.length === 0 ? rows : rows.filter((row) => words.every((word) => text(row).includes(word)));
  const wanted = readSort(params.sort);
  const column = columns.find(({ id }) => id === wanted?.column);
  return column ? sorted(kept, column.value, column.order as (a: unknown, b: unknown) => number, wanted?.down) : kept;
}

const KINDS = { vector: null, scalar: "result_scalar", string: "result_string", matrix: "result_matrix" } as const;

/** "6 rows · 12 ms · at 19:13:11" */
export function factsOf(answer: TableAnswer, shown: number): string {
  const total = answer.rows.length;
  const size = { shown: count(shown), total: count(total) };
  const kind = KINDS[answer.type];
  return [
    kind && t(kind),
    shown === total ? t(total === 1 ? "row" : "rows", size) : t("rows_of", size),
    t("took", { ms: Math.round(answer.milliseconds) }),
    t("evaluated_at", { time: clockTime(answer.evaluated, hubTime()) }),
  ].filter(Boolean).join(" · ");
}
