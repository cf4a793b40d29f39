import { expect, test } from "vitest";
import { markersOf } from "../src/base/markers";

const SPAN = { start: 1000, end: 4600, step: 15, steps: 241, preset: "1h" };
const none = [{ version: "v1.36.3", first: 1000 }];

test("a start within the span is a marker, once; one before it is none", () => {
  expect(markersOf([500, 500, 2000, 2000, 2000], none, SPAN)).toEqual([{ time: 2000, text: "restart" }]);
});

test("a version that appears later than the first is a marker with its name", () => {
  const builds = [{ version: "v1.34.9", first: 1000 }, { version: "v1.36.3", first: 2005 }];
  expect(markersOf([500, 2000], builds, SPAN)).toEqual([{ time: 2000, text: "restart" }, { time: 2005, text: "v1.36.3" }]);
});

test("a node whose samples only begin has no version change", () => {
  expect(markersOf([], [{ version: "v1.36.3", first: 3000 }], SPAN)).toEqual([]);
});
