import { expect, test } from "vitest";
import { isSilenced, type Matcher } from "../src/base/silences";

const LABELS = { alertname: "KubeProxySyncFailing", ident: "node-a", severity: "critical" };
const CASES: readonly [string, readonly Matcher[], boolean][] = [
  ["the same labels", [{ name: "ident", value: "node-a" }, { name: "severity", value: "critical" }], true],
  ["one that differs", [{ name: "ident", value: "node-b" }, { name: "severity", value: "critical" }], false],
  ["a regex of the whole value", [{ name: "ident", value: "node-.", isRegex: true }], true],
  ["a regex of a part", [{ name: "ident", value: "node", isRegex: true }], false],
  ["not this value", [{ name: "ident", value: "node-b", isEqual: false }], true],
  ["a label that is not there is empty", [{ name: "zone", value: "" }], true],
];

test.each(CASES)("%s", (_, matchers, silenced) => {
  expect(isSilenced(LABELS, [{ id: "1", matchers, status: { state: "active" } }])).toBe(silenced);
  expect(isSilenced(LABELS, [{ id: "1", matchers, status: { state: "expired" } }])).toBe(false);
});
