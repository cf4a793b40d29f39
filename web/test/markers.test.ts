import { expect, test } from "vitest";
import { markersOf } from "../src/base/markers";

const SPAN = { start: 1000, end: 4600, step: 15, steps: 241, preset: "1h" };
const OLD = { version: "v1.34.9", first: 1000 };
const NEW = "v1.36.3";

test.each([
  ["a start within the span is a marker, once; one before it is none", [500, 500, 2000, 2000], [OLD], [[2000, "restart"]]],
  ["a version that a start brought along stands with it", [500, 2000], [OLD, { version: NEW, first: 2015 }], [[2000, "restart · v1.36.3"]]],
  ["a version long after a start stands alone, both in order", [500, 2000], [OLD, { version: NEW, first: 1500 }], [[1500, NEW], [2000, "restart"]]],
  ["a version of which only samples came is told when it came", [500], [OLD, { version: NEW, first: 3010 }], [[3010, NEW]]],
  ["what has its first sample where the span begins is no change", [500], [OLD, { version: NEW, first: 1015 }], []],
  ["a node whose samples only begin has no version change", [], [{ version: NEW, first: 3000 }], []],
  ["starts after the span are not in it", [4601], [OLD], []],
])("%s", (_, starts, builds, expected) => {
  expect(markersOf(starts, builds, SPAN).map(({ time, text }) => [time, text])).toEqual(expected);
});
