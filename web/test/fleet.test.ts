import { expect, test } from "vitest";
import { checksOf, filtered, occurring, worstFirst, type Brief, type Node } from "../src/base/fleet";

const failing: Brief = { check: "sync-failing", severity: "critical", summary: "syncs fail" };
const slow: Brief = { check: "sync-slow", severity: "warning", summary: "syncs are slow" };

function node(ident: string, tone: string, findings: readonly Brief[] = [], more: Partial<Node> = {}): Node {
  return {
    ident, key: ident, tone, findings, silent: tone === "silent", silence: null, version: "v1.36.3", mode: "iptables", last_sync: 1, sync_p99_seconds: 1,
    pending_changes: 0, failures: 0, up: 1, last_seen: 1, ...more,
  };
}

const NODES = [node("a", "ok"), node("b", "critical", [failing, slow]), node("c", "silent"), node("d", "warning", [slow], { mode: "nftables" })];

test("the worst stands first, a silent node before a warning, what nobody knows last", () => {
  const order = [...NODES, node("e", "new-word")].sort(worstFirst).map(({ ident }) => ident);
  expect(order).toEqual(["b", "c", "d", "a", "e"]);
});

test.each([
  [{}, "abcd"], [{ text: "sync slow" }, "bd"], [{ text: "SYNC-FAILING" }, "b"], [{ verdict: "silent" }, "c"], [{ mode: "nftables" }, "d"],
  [{ check: "sync-slow" }, "bd"], [{ check: "sync-slow", mode: "iptables" }, "b"], [{ text: "no such node" }, ""],
])("the filter %j leaves %s", (filter, idents) => expect(filtered(NODES, filter).map(({ ident }) => ident).join("")).toBe(idents));

test("checks are counted over the fleet, the severest first", () => {
  expect(checksOf(NODES).map(({ check, count }) => [check, count])).toEqual([["sync-failing", 1], ["sync-slow", 2]]);
});

test("values to choose from stand once each, versions by number", () => {
  expect(occurring(["v1.36.0", "v1.9.0", null, "", "v1.36.0"])).toEqual(["v1.9.0", "v1.36.0"]);
});
