import { expect, test } from "vitest";
import { evidenceWords } from "../src/base/findings";

const CASES: readonly [string, string | number | boolean | null, string, string][] = [
  ["last success (seconds) [IPv4]", 1272.19, "last success [IPv4]", "21 min 12 s"],
  ["round trip (seconds)", 0.00125, "round trip", "1.25 ms"],
  ["clock (seconds)", -3.5, "clock", "-3.50 s"],
  ["resident memory (bytes)", 104857600, "resident memory", "100.00 MiB"],
  ["syncs in the window", 12.1144, "syncs in the window", "12.1"],
  ["failures", 14900, "failures", "14,900"],
  ["share", 0.123456, "share", "0.123"],
  ["/healthz", null, "/healthz", "–"],
  ["since", "2026-11-22T19:00:13Z", "since", "2026-11-22T19:00:13Z"],
];

test.each(CASES)("%s %s is read as %s %s", (what, value, name, text) => {
  expect(evidenceWords({ what, value })).toEqual([name, text]);
});
