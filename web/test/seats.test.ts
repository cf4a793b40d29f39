import { expect, test } from "vitest";
import { placesOf, readingOrder, seated } from "../src/base/seats";

test("a row keeps its seat while it is drawn, one that comes takes a seat that was left", () => {
  const first = seated([], ["a", "b", "c", "d"]);
  expect(first).toEqual(["a", "b", "c", "d"]);
  const scrolled = seated(first, ["c", "d", "e", "f"]);
  expect(scrolled).toEqual(["e", "f", "c", "d"]);
  expect(placesOf(scrolled, ["c", "d", "e", "f"])).toEqual([2, 3, 0, 1]);
});

test("rows that change places keep their seats", () => {
  expect(seated(["a", "b", "c"], ["c", "a", "b"])).toEqual(["a", "b", "c"]);
});

test("there are as many seats as rows", () => {
  expect(seated(["a", "b", "c", "d"], ["c", "d"])).toEqual(["c", "d"]);
  expect(seated(["a", "b"], ["b", "c", "d"])).toEqual(["c", "b", "d"]);
  expect(seated(["a"], [])).toEqual([]);
});

test("a reader meets the rows in the table's order", () => {
  expect(readingOrder(placesOf(["e", "f", "c", "d"], ["c", "d", "e", "f"]))).toEqual([2, 3, 0, 1]);
});

test("a key that comes twice leaves no seat empty", () => {
  const seats = seated(["a", "b", "c"], ["b", "b", "d"]);
  expect(placesOf(seats, ["b", "b", "d"]).every((place) => place >= 0)).toBe(true);
});
