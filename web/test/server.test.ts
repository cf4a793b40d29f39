import { expect, test } from "vitest";
import { linkTo, nextSort, readSort, writeSort } from "../src/base/place";
import { openAddress, type Flags } from "../src/base/server";

test.each<[Flags, string | null]>([
  [{ listen: ":19000", "allow-anonymous": "true", "auth-file": "" }, ":19000"],
  [{ listen: "10.0.0.5:19000", "allow-anonymous": "true", "auth-file": "" }, "10.0.0.5:19000"],
  [{ listen: "10.0.0.5:19000", "allow-anonymous": "true", "auth-file": "users" }, null],
  [{ listen: "10.0.0.5:19000", "allow-anonymous": "false", "auth-file": "" }, null],
  [{ listen: "127.0.0.1:19000", "allow-anonymous": "true", "auth-file": "" }, null],
  [{ listen: "::1:19000", "allow-anonymous": "true", "auth-file": "" }, null],
  [{}, null],
])("a hub open to everybody is known by its flags: %j", (flags, address) => expect(openAddress(flags)).toBe(address));

test("links stay under the hub's path prefix, and say only what has a value", () => {
  expect(linkTo("node", { ident: "a/b", live: true, range: null, q: "" })).toBe("http://hub.example:19000/kp/node?ident=a%2Fb&live=1");
});

test("a click on a head sorts up, then down, then not; numbers down first", () => {
  expect(nextSort(null, "a")).toEqual({ column: "a", down: false });
  expect(nextSort({ column: "a", down: false }, "a")).toEqual({ column: "a", down: true });
  expect(nextSort({ column: "a", down: true }, "a")).toBeNull();
  expect(nextSort(null, "a", true)).toEqual({ column: "a", down: true });
  expect(readSort(writeSort({ column: "a", down: true }) ?? "")).toEqual({ column: "a", down: true });
});
