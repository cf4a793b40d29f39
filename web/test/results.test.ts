import { expect, test } from "vitest";
import { read, timesFromRange, timesFromTimestamps } from "../src/base/results";
import type { QueryData } from "../src/base/server";

const metric = { __name__: "x", job: "j", ident: "a" };

test.each<[QueryData, string[], string[]]>([
  [{ resultType: "vector", result: [{ metric, value: [1, "+Inf"] }] }, ["ident", "__name__", "job"], ["+Inf"]],
  [{ resultType: "vector", result: [] }, [], []],
  [{ resultType: "matrix", result: [{ metric, values: [[1, "0.10"], [2, "2"]] }] }, ["ident", "__name__", "job"], ["0.10", "2"]],
  [{ resultType: "scalar", result: [1, "2"] }, [], ["2"]],
  [{ resultType: "string", result: [1, "x"] }, [], ["x"]],
  [{ resultType: "vector", result: [{ metric: {}, histogram: [1, { count: "3", sum: "4" }] }] }, [], ["count=3 sum=4"]],
])("every kind of result becomes rows, values the server's text: %j", (data, labels, values) => {
  const found = read(data);
  expect(found.labels).toEqual(labels);
  expect(found.rows.map((row) => row.value)).toEqual(values);
});

test("sample times come from timestamp(), which drops names, or from a range", () => {
  expect(timesFromTimestamps([{ metric: { job: "j", ident: "a" }, value: [9, "7.5"] }])(metric)).toBe(7.5);
  expect(timesFromRange([{ metric, values: [[1, "0"], [4, "0"]] }])(metric)).toBe(4);
  expect(timesFromRange([])(metric)).toBeNull();
});

test("of a range vector each sample tells how long after the one before it came, series by series", () => {
  const other = { ...metric, ident: "b" };
  const { rows } = read({ resultType: "matrix", result: [{ metric, values: [[1, "0"], [16, "0"]] }, { metric: other, values: [[2, "0"], [9.5, "0"]] }] });
  expect(rows.map(({ gap }) => gap)).toEqual([undefined, 15, undefined, 7.5]);
});
