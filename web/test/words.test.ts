import { expect, test } from "vitest";
import { t, WORDS, type Said } from "../src/base/words";

const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

test.each(Object.entries(WORDS) as [string, Said][])("%s stands in both languages, with the same placeholders", (_, { en, zh }) => {
  expect(en).not.toBe("");
  expect(zh).not.toBe("");
  expect(holes(en)).toEqual(holes(zh));
});

test("ident is ident", () => expect(WORDS.ident).toEqual({ en: "ident", zh: "ident" }));

test("placeholders are filled", () => expect(t("rows_of", { shown: 1, total: 2 })).toBe("1 of 2 rows"));
