/* Time zone: Asia/Shanghai (vite.config.ts). */
import { expect, test } from "vitest";
import { timeTicks } from "../src/base/span";

const MIDNIGHT = 1795363200;
const words = (start: number, end: number, most: number): string[] => timeTicks({ start, end }, most).map(({ text }) => text);

test("ticks are round local times, a day begins with its date", () => {
  const midnight = Math.floor((MIDNIGHT + 8 * 3600) / 86400) * 86400 - 8 * 3600;
  expect(words(midnight - 3700, midnight + 3700, 8)).toEqual(["23:00", "23:30", expect.stringMatching(/^\d\d-\d\d$/), "00:30", "01:00"]);
});

test("a week has days, a minute seconds", () => {
  expect(words(MIDNIGHT, MIDNIGHT + 7 * 86400, 8).every((text) => /^\d\d-\d\d$/.test(text))).toBe(true);
  expect(words(MIDNIGHT + 61, MIDNIGHT + 120, 6).every((text) => /^\d\d:\d\d:\d\d$/.test(text))).toBe(true);
});

test("never more than there is room for, none where there is none", () => {
  for (const length of [60, 3600, 86400, 40 * 86400]) expect(words(MIDNIGHT, MIDNIGHT + length, 5).length).toBeLessThanOrEqual(5);
  expect(words(MIDNIGHT, MIDNIGHT + 3600, 0)).toEqual([]);
});
