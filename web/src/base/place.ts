/* Where the page is: its URL holds everything a colleague needs to see the same. */

import { useEffect, useState } from "preact/hooks";

export const home = new URL(".", document.baseURI);

export type Params = Readonly<Record<string, string>>;
export type Change = string | number | boolean | null | undefined;

export interface Place {
  readonly path: string;
  readonly params: Params;
}

export function placeOf(href: string): Place {
  const url = new URL(href);
  return { path: url.pathname.slice(home.pathname.length), params: Object.fromEntries(url.searchParams) };
}

let current = placeOf(location.href);
const listeners = new Set<(place: Place) => void>();

export const place = (): Place => current;

function arrived(): void {
  current = placeOf(location.href);
  for (const listener of listeners) listener(current);
}

window.addEventListener("popstate", arrived);

/** The place, and a new drawing whenever it changes. */
export function usePlace(): Place {
  const [seen, see] = useState(current);
  useEffect(() => {
    listeners.add(see);
    see(current);
    return () => void listeners.delete(see);
  }, []);
  return seen;
}

/** The address of a page of ours; parameters without a value are left out. */
export function linkTo(path: string, params: Record<string, Change> = {}): string {
  const url = new URL(path, home);
  for (const [name, value] of Object.entries(params)) put(url, name, value);
  return url.href;
}

function put(url: URL, name: string, value: Change): void {
  if (value === null || value === undefined || value === false || value === "") url.searchParams.delete(name);
  else url.searchParams.set(name, value === true ? "1" : String(value));
}

/** Change some parameters of this URL; null, false and "" remove one. `push` makes it a step that Back undoes. */
export function change(changes: Record<string, Change>, { push = false } = {}): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) put(url, name, value);
  goTo(url.href, { push });
}

export function goTo(href: string, { push = true } = {}): void {
  if (href === location.href) return;
  if (push) history.pushState(null, "", href);
  else history.replaceState(null, "", href);
  arrived();
}

/** Links between our pages change the URL without loading the page again; a click with a modifier stays the browser's. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  if (!link || link.hasAttribute("download") || link.target || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (!link.href.startsWith(home.href) || link.hash || /^(api|assets|metrics|prometheus)\b/.test(placeOf(link.href).path)) return;
  event.preventDefault();
  goTo(link.href);
}

export interface Sort {
  readonly column: string;
  readonly down: boolean;
}

/** A column to sort by as one word of the URL: "ident" upwards, "-ident" downwards; null is the page's own order. */
export function readSort(word: string | undefined): Sort | null {
  if (!word) return null;
  return word.startsWith("-") ? { column: word.slice(1), down: true } : { column: word, down: false };
}

export function writeSort(sort: Sort | null): string | null {
  return sort && `${sort.down ? "-" : ""}${sort.column}`;
}

/** The order after a click on a column's head: up, then down, then the page's own again. */
export function nextSort(sort: Sort | null, column: string, downFirst = false): Sort | null {
  if (sort?.column !== column) return { column, down: downFirst };
  return sort.down === downFirst ? { column, down: !downFirst } : null;
}
