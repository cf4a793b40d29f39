/* Which element shows which row of a long table. Pure.
 *
 * A seat is an element that stays in the document; rows come and go on it. A row keeps its seat while it is drawn (so do
 * focus and selection), one that comes takes a seat that another left: nothing is made and styled anew by scrolling. */

/** The key on each seat, for as many seats as there are keys; `before` is what this gave for the drawing before. Of rows
 * that have one key by mistake one is drawn for each. */
export function seated(before: readonly string[], keys: readonly string[]): string[] {
  const coming = new Set(keys);
  const seats = Array.from({ length: keys.length }, (_, seat) => {
    const key = before[seat];
    return key !== undefined && coming.delete(key) ? key : null;
  });
  const standing = coming.values();
  return seats.map((key, seat) => key ?? standing.next().value ?? (keys[seat] as string));
}

/** The place in `keys` of the row on each seat. */
export function placesOf(seats: readonly string[], keys: readonly string[]): number[] {
  const places = new Map(keys.map((key, place) => [key, place]));
  return seats.map((key) => places.get(key) as number);
}

/** Seats as a reader meets them: by their rows' places. */
export const readingOrder = (places: readonly number[]): number[] => places.map((_, seat) => seat).sort((a, b) => (places[a] as number) - (places[b] as number));
