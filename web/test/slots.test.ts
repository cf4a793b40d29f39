import { expect, test } from "vitest";
import { named, numbersOf, paramsOf, without } from "../src/base/slots";

const URL_PARAMS = { q: "up", sort: "ident", time: "5", q3: "down", sort3: "-:value" };

test("a URL's queries are numbered; the first is always there", () => {
  expect(numbersOf(URL_PARAMS)).toEqual([1, 3]);
  expect(numbersOf({})).toEqual([1]);
});

test("each query sees its own parameters and the shared time", () => {
  expect(paramsOf(URL_PARAMS, 1)).toMatchObject({ q: "up", sort: "ident", time: "5" });
  expect(paramsOf(URL_PARAMS, 3)).toMatchObject({ q: "down", sort: "-:value", time: "5" });
  expect(paramsOf(URL_PARAMS, 2).q).toBeUndefined();
});

test("what one changes is its own, but for the time", () => {
  expect(named({ q: "x", time: 7 }, 1)).toEqual({ q: "x", time: 7 });
  expect(named({ q: "x", time: 7 }, 3)).toEqual({ q3: "x", time: 7 });
  expect(without(3)).toMatchObject({ q3: null, sort3: null });
});
