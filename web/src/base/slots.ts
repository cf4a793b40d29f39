/* Several queries on one page: each has parameters of its own in the URL (q, q2, q3 …), and they share the time. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { change, usePlace, type Change, type Params } from "./place";

const OWN = ["q", "tab", "filter", "sort", "hide", "unit", "stacked"] as const;
export const MOST_SLOTS = 8;

export interface Slot {
  /** From 1. */
  readonly number: number;
  readonly params: Params;
  readonly change: typeof change;
}

const nameIn = (number: number, name: string): string => (number > 1 && (OWN as readonly string[]).includes(name) ? `${name}${number}` : name);

/** The numbers of the queries that a URL holds; the first is always there. */
export function numbersOf(params: Params): number[] {
  return Array.from({ length: MOST_SLOTS }, (_, at) => at + 1).filter((number) => number === 1 || nameIn(number, "q") in params);
}

/** What a query of a page sees of the URL's parameters. */
export function paramsOf(params: Params, number: number): Params {
  const shared = Object.entries(params).filter(([name]) => !(OWN as readonly string[]).includes(name));
  const own = OWN.map((name) => [name, params[nameIn(number, name)]] as const).filter(([, value]) => value !== undefined);
  return Object.fromEntries([...shared, ...own]) as Params;
}

/** The same changes under the names that they have in the URL. */
export const named = (changes: Readonly<Record<string, Change>>, number: number): Record<string, Change> => (
  Object.fromEntries(Object.entries(changes).map(([name, value]) => [nameIn(number, name), value]))
);

/** Changes after which the URL no longer holds a query. */
export const without = (number: number): Record<string, Change> => named(Object.fromEntries(OWN.map((name) => [name, null])), number);

const Numbered = createContext(1);
export const SlotNumber = Numbered.Provider;

/** The query that a component belongs to. */
export function useSlot(): Slot {
  const { params } = usePlace();
  const number = useContext(Numbered);
  return { number, params: paramsOf(params, number), change: (changes, options) => change(named(changes, number), options) };
}
