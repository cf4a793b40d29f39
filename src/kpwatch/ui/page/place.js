/* Where the page is: its URL holds everything a colleague needs to see the same. */

export function params() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** Change some parameters of this URL; null, false and "" remove one. `push` makes it a step that Back undoes. */
export function change(changes, { push = false } = {}) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === false || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value === true ? "1" : value);
  }
  if (url.href === location.href) return;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}

/** A column to sort by as one word of the URL: "ident" upwards, "-ident" downwards; null is the view's own order. */
export function readSort(word) {
  if (!word) return null;
  return word.startsWith("-") ? { column: word.slice(1), down: true } : { column: word, down: false };
}

export function writeSort(sort) {
  return sort && `${sort.down ? "-" : ""}${sort.column}`;
}

/** The order after a click on a column's head: up, then down, then the view's own again. */
export function nextSort(sort, column, { downFirst = false } = {}) {
  if (sort?.column !== column) return { column, down: downFirst };
  return sort.down === downFirst ? { column, down: !downFirst } : null;
}
