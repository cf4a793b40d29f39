/* The table view's columns: one per label that occurs, then the value and the age of its sample.
 *
 * A column is a Grid column with `value(row)` to sort by and `csv`, the [name, read(row)] pairs it becomes in a file. */

import { absolute, clockTime, compare, compareNumbers, count, duration, human, sorted } from "./format.js";
import { readSort } from "./place.js";
import { hubTime } from "./server.js";
import { t } from "./strings.js";

/* Ids that no label name can take: a label name holds no colon. */
export const VALUE = ":value";
const TIME = ":time";
export const AGE = ":age";

const DASH = "–";
const KINDS = { scalar: "result_scalar", string: "result_string", matrix: "result_matrix" };

export function columnsOf(answer) {
  const time = answer.type === "matrix" ? [timeColumn()] : [];
  return [...answer.labels.map(labelColumn), ...time, valueColumn(), ageColumn(answer)];
}

function labelColumn(name, index) {
  const value = (row) => row.labels[name] ?? "";
  return {
    id: name, title: name, tip: t("tip_label", { name }), leading: index === 0, value, order: compare,
    cell: (row) => ({ text: value(row), tip: value(row) }), csv: [[name, value]],
  };
}

function valueColumn() {
  const cell = (row) => ({ text: row.value, tip: () => human(row.value, row.labels.__name__) ?? row.value });
  return {
    id: VALUE, title: t("value"), tip: t("tip_value"), align: "end", value: (row) => row.value, order: compare, cell,
    csv: [["value", (row) => row.value]],
  };
}

function timeColumn() {
  const cell = (row) => ({ text: absolute(row.sampleTime, { milliseconds: true }), tip: String(row.sampleTime) });
  return { id: TIME, title: t("time"), align: "end", value: (row) => row.sampleTime, order: compareNumbers, cell, csv: [] };
}

function ageColumn(answer) {
  const age = (row) => (row.sampleTime === null ? null : answer.evaluated - row.sampleTime);
  return {
    id: AGE, title: t("age"), tip: t("tip_age"), align: "end", value: age, order: compareNumbers,
    cell: (row) => ageCell(answer, row, age(row)),
    csv: [
      ["sample_time", (row) => row.sampleTime],
      ["age_seconds", (row) => (age(row) === null ? null : Number(age(row).toFixed(3)))],
      ["evaluation_time", () => answer.evaluated],
    ],
  };
}

function ageCell(answer, row, age) {
  if (answer.computed) return { text: t("computed"), tip: () => t("tip_computed", { time: absolute(answer.evaluated) }) };
  if (age === null) return { text: DASH, tip: t("age_unknown", { reason: answer.ageProblem ?? t("age_no_sample") }) };
  const text = age < 0 ? t("ahead", { age: duration(-age, { decimals: 1 }) }) : duration(age, { decimals: 1 });
  return { text, tip: () => absolute(row.sampleTime, { milliseconds: true }) };
}

/** The rows that hold every word of the filter, in the order the URL names. */
export function arranged(rows, columns, { filter = "", sort = null }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row) => [...Object.values(row.labels), row.value].join(" ").toLowerCase();
  const kept = words.length === 0 ? rows : rows.filter((row) => words.every((word) => text(row).includes(word)));
  const wanted = readSort(sort);
  const column = columns.find(({ id }) => id === wanted?.column);
  return column ? sorted(kept, column.value, column.order, wanted.down) : kept;
}

/** "6 rows · 12 ms · at 19:13:11" */
export function factsOf(answer, shown) {
  const total = answer.rows.length;
  const size = { shown: count(shown), total: count(total) };
  return [
    KINDS[answer.type] && t(KINDS[answer.type]),
    shown === total ? t(total === 1 ? "row" : "rows", size) : t("rows_of", size),
    t("took", { ms: Math.round(answer.milliseconds) }),
    t("evaluated_at", { time: clockTime(answer.evaluated, hubTime()) }),
  ].filter(Boolean).join(" · ");
}
