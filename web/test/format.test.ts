import { expect, test } from "vitest";
import { absolute, compare, compareNumbers, duration, inputTime, latency, sorted } from "../src/base/format";

test.each([
  ["9", "10"], ["0.064", "0.128"], ["1e3", "+Inf"], ["-Inf", "-1"], ["10.206.0.7", "10.206.0.11"], ["v1.9.0", "v1.36.3"], ["a", "b"],
])("cells compare as numbers or naturally: %s before %s", (smaller, larger) => {
  expect(compare(smaller, larger)).toBeLessThan(0);
  expect(compare(larger, smaller)).toBeGreaterThan(0);
});

test("what has no value comes last both ways", () => {
  const values = [null, 2, 3, 1];
  expect(sorted(values, (value) => value, compareNumbers)).toEqual([1, 2, 3, null]);
  expect(sorted(values, (value) => value, compareNumbers, true)).toEqual([3, 2, 1, null]);
  expect(sorted(["NaN", "2", "10"], (value) => value, compare, true)).toEqual(["10", "2", "NaN"]);
});

test.each([
  [duration(0.4), "0 s"], [duration(3.14, { decimals: 1 }), "3.1 s"], [duration(59.9), "59 s"], [duration(185), "3 min 5 s"],
  [duration(3600), "1 h"], [duration(273_840), "3 d 4 h"], [latency(0.00084), "0.840 ms"], [latency(0.0123), "12.3 ms"],
  [latency(1.5249), "1.52 s"], [latency(0), "0 ms"],
  [absolute(1_667_971_806.6295, { milliseconds: true }), "2022-11-09 13:30:06.630 +08:00"], [inputTime(1_667_971_806), "2022-11-09T13:30:06"],
])("times read as people write them: %s", (text, expected) => expect(text).toBe(expected));
