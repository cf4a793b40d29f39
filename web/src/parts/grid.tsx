/* A table: heads that sort, and of many rows only those near the window in the document.
 *
 * Rows keep their elements from drawing to drawing (`key`); while the table only scrolls, rows that stay in sight are not
 * drawn again. From WINDOWED_FROM rows on each row stands for itself: equally high (measured from one of them), at its
 * place in a body that is as high as all of them, its columns as wide as their longest text in the whole table. So a row
 * that comes or goes moves no other, and the browser lays out and paints that row alone (CSS containment, which rows of
 * a table layout cannot have). A row that comes takes the element of one that went (base/seats.ts): its texts change, and
 * nothing is made or styled. Elements are then no longer in the rows' order; once the table rests they are put into it,
 * for the keyboard and for who listens. With `cards` CSS makes a card of each row on a small screen. */

import { Component, type ComponentChildren, type JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sort } from "../base/place";
import { placesOf, readingOrder, seated } from "../base/seats";

export interface Cell {
  readonly text: string;
  readonly href?: string | undefined;
  readonly tip?: string | undefined;
  readonly tone?: string | null | undefined;
  readonly badge?: boolean | undefined;
  /** Drawn in place of the text, which then only says how wide it is. */
  readonly element?: ComponentChildren;
}

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  readonly tip?: string | undefined;
  readonly end?: boolean | undefined;
  /** Takes the room that the others leave. */
  readonly rest?: boolean | undefined;
  readonly downFirst?: boolean | undefined;
  readonly fixedWidth?: number | undefined;
  readonly value: (row: Row) => unknown;
  readonly order: ((a: never, b: never) => number) | null;
  readonly cell: (row: Row) => Cell;
}

export interface Keyed {
  readonly key: string;
  readonly tone?: string | null | undefined;
}

interface Props<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly sort: Sort | null;
  readonly onSort: (column: string, downFirst: boolean) => void;
  readonly cards?: boolean;
  /** All rows in the document, however many: for a table that does not scroll with the page. */
  readonly plain?: boolean;
  readonly class?: string;
}

const WINDOWED_FROM = 100;
const ROWS_BEYOND = 8; // drawn above and below the window
const STEP_ROWS = 4; // the window moves in steps, so that most scroll events draw nothing
const REST_MS = 400;
const LETTER_PX = 7.4;
const PADDING_PX = 30;
const WIDEST_PX = 420;
const REST_PX = 200;

export const scroller = (): HTMLElement => document.getElementById("content") ?? document.documentElement;

export function Grid<Row extends Keyed>(props: Props<Row>): JSX.Element {
  const { label, columns, rows, sort, onSort, cards } = props;
  const windowed = rows.length >= WINDOWED_FROM && !props.plain;
  const table = useRef<HTMLTableElement>(null);
  const { first, last, rowPx, moving } = useWindow(table, rows.length, windowed);
  const shape = useMemo(() => (windowed ? shapeOf(columns, rows) : {}), [rows, columns.map(({ id, title }) => id + title).join(), windowed]);
  const drawing = useDrawing(props, moving);
  const seats = useSeats(table, windowed ? rows.slice(first, last) : NOTHING, moving);
  return (
    <table
      ref={table} class={`grid ${windowed ? "windowed " : ""}${cards ? "cards " : ""}${props.class ?? ""}`}
      role="table" aria-label={label} aria-rowcount={rows.length + 1} style={shape}
    >
      <thead role="rowgroup">
        <tr role="row" aria-rowindex={1}>{columns.map((column) => <Head key={column.id} column={column} sort={sort} onSort={onSort} />)}</tr>
      </thead>
      <tbody role="rowgroup" style={windowed ? { height: `${rows.length * rowPx}px` } : {}}>
        {windowed
          ? seats.map(({ seat, place }) => {
            const index = first + place;
            return <Line key={seat} row={rows[index] as Row} columns={columns} index={index} top={index * rowPx} drawing={drawing} />;
          })
          : rows.map((row, index) => <Line key={row.key} row={row} columns={columns} index={index} top={null} drawing={drawing} />)}
      </tbody>
    </table>
  );
}

interface HeadProps<Row> {
  readonly column: Column<Row>;
  readonly sort: Sort | null;
  readonly onSort: (column: string, downFirst: boolean) => void;
}

function Head<Row>({ column, sort, onSort }: HeadProps<Row>): JSX.Element {
  const order = sort?.column === column.id ? (sort.down ? "descending" : "ascending") : undefined;
  return (
    <th role="columnheader" scope="col" class={column.end ? "end" : undefined} data-column={column.id} aria-sort={order}>
      {column.order === null
        ? <span class="unsorted" title={column.tip}>{column.title}</span>
        : <button type="button" title={column.tip} onClick={() => onSort(column.id, column.downFirst ?? false)}>{column.title}</button>}
    </th>
  );
}

/** A number that grows when the page draws the table, and not when the table itself only moves its window. While it
 * moves, what only ticks waits for the next drawing at rest. */
function useDrawing(props: { readonly rows: unknown; readonly columns: unknown }, moving: boolean): number {
  const seen = useRef({ props, count: 0 });
  const { props: former, count } = seen.current;
  const same = former === props || (moving && former.rows === props.rows && former.columns === props.columns);
  if (!same) seen.current = { props, count: count + 1 };
  return seen.current.count;
}

interface LineProps<Row> {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly index: number;
  /** Pixels from the body's top; null where rows stand one under the other by themselves. */
  readonly top: number | null;
  readonly drawing: number;
}

class Line<Row extends Keyed> extends Component<LineProps<Row>> {
  override shouldComponentUpdate(next: LineProps<Row>): boolean {
    const { drawing, row, index, top } = this.props;
    return next.drawing !== drawing || next.row !== row || next.index !== index || next.top !== top;
  }

  override render({ row, columns, index, top }: LineProps<Row>): JSX.Element {
    return (
      <tr role="row" data-tone={row.tone} aria-rowindex={index + 2} style={top === null ? {} : { top: `${top}px` }}>
        {columns.map((column) => <Data key={column.id} column={column} row={row} />)}
      </tr>
    );
  }
}

function Data<Row>({ column, row }: { column: Column<Row>; row: Row }): JSX.Element {
  const cell = column.cell(row);
  const words = cell.badge ? <span class="badge" data-tone={cell.tone}>{cell.text}</span> : cell.text;
  return (
    <td role="cell" class={column.end ? "end" : undefined} data-column={column.id} data-title={column.title} data-tone={cell.tone} title={cell.tip}>
      {cell.element ?? (cell.href ? <a href={cell.href}>{words}</a> : words)}
    </td>
  );
}

const NOTHING: readonly Keyed[] = [];

interface Seat { readonly seat: number; readonly place: number }
interface Seating {
  /** The key on each seat. */
  readonly keys: readonly string[];
  /** Seats in the order of their elements. */
  readonly order: readonly number[];
}

/** The seats of `rows` in the order of their elements: the rows' own, but for a table that moves, whose elements stay. */
function useSeats(table: Held, rows: readonly Keyed[], moving: boolean): Seat[] {
  const former = useRef<Seating>({ keys: [], order: [] });
  const focus = focusIn(table.current, former.current);
  const wanted = rows.map(({ key }) => key);
  const keys = seated(former.current.keys, wanted);
  const places = placesOf(keys, wanted);
  const order = moving && former.current.order.length === keys.length ? former.current.order : readingOrder(places);
  former.current = { keys, order };
  useLayoutEffect(() => {
    if (focus === null || !focus.element.isConnected) return;
    if (keys[focus.seat] !== focus.key) focus.element.blur(); // it is about another row now
    else focus.element.focus({ preventScroll: true }); // an element that was moved in the document has lost it
  });
  return order.map((seat) => ({ seat, place: places[seat] as number }));
}

/** What has the focus in the table's rows, and whose seat that is. */
function focusIn(table: HTMLTableElement | null, { keys, order }: Seating): { element: HTMLElement; seat: number; key: string } | null {
  const element = document.activeElement as HTMLElement | null;
  const row = keys.length > 0 && table?.contains(element) ? element?.closest("tbody > tr") : null;
  const seat = row ? order[[...(row.parentElement as HTMLElement).children].indexOf(row)] : undefined;
  return seat === undefined ? null : { element: element as HTMLElement, seat, key: keys[seat] as string };
}

interface Held { readonly current: HTMLTableElement | null }
interface Seen {
  /** Rows near the window, [first, last). */
  readonly first: number;
  readonly last: number;
  readonly rowPx: number;
  /** Between the first step and REST_MS after the last. */
  readonly moving: boolean;
}

function useWindow(table: Held, count: number, windowed: boolean): Seen {
  const [seen, see] = useState<Seen>({ first: 0, last: WINDOWED_FROM / 2, rowPx: 38, moving: false });
  const look = useRef((_moving: boolean) => undefined as void);
  look.current = (moving) => {
    const body = table.current?.tBodies[0];
    if (!windowed || !body) return;
    const rowPx = (body.firstElementChild as HTMLElement | null)?.offsetHeight || seen.rowPx;
    const frame = scroller().getBoundingClientRect();
    const above = frame.top - body.getBoundingClientRect().top;
    const start = Math.floor(above / rowPx / STEP_ROWS) * STEP_ROWS - ROWS_BEYOND;
    const size = Math.ceil(frame.height / rowPx) + 2 * ROWS_BEYOND + STEP_ROWS;
    const first = Math.max(0, Math.min(start, count - size));
    const last = Math.min(count, first + size);
    if (first !== seen.first || last !== seen.last || rowPx !== seen.rowPx) see({ first, last, rowPx, moving });
  };
  useLayoutEffect(() => look.current(seen.moving), [count, windowed]);
  useEffect(() => {
    if (!windowed) return undefined;
    const frame = scroller();
    let waiting = 0;
    let resting: ReturnType<typeof setTimeout> | undefined;
    const moved = (): void => {
      clearTimeout(resting);
      resting = setTimeout(() => see((last) => (last.moving ? { ...last, moving: false } : last)), REST_MS);
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        look.current(true);
      });
    };
    frame.addEventListener("scroll", moved, { passive: true });
    window.addEventListener("resize", moved);
    return () => {
      cancelAnimationFrame(waiting);
      clearTimeout(resting);
      frame.removeEventListener("scroll", moved);
      window.removeEventListener("resize", moved);
    };
  }, [windowed]);
  return { ...seen, first: Math.min(seen.first, Math.max(0, count - 1)), last: Math.min(seen.last, count) };
}

const WIDE = /[\u2e80-\uffef]/g;

/** About how many Latin letters wide a text is; a Chinese character counts as two. */
export const lettersOf = (text: string): number => text.length + (text.match(WIDE)?.length ?? 0) * 0.8;

/** The columns' widths, for the heads and every row alike. */
function shapeOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Record<string, string> {
  const widths = columns.map((column) => {
    if (column.rest) return REST_PX;
    if (column.fixedWidth) return column.fixedWidth;
    let letters = lettersOf(column.title) + 3;
    for (const row of rows) {
      const cell = column.cell(row);
      letters = Math.max(letters, lettersOf(cell.text) + (cell.badge ? 3 : 0));
    }
    return Math.min(WIDEST_PX, Math.round(letters * LETTER_PX + PADDING_PX));
  });
  const stretched = columns.some(({ rest }) => rest);
  const tracks = widths.map((px, index) => (stretched ? (columns[index]?.rest ? `minmax(${px}px, 1fr)` : `${px}px`) : `minmax(${px}px, ${px}fr)`));
  return { "--columns": tracks.join(" "), width: `max(100cqw, ${widths.reduce((sum, px) => sum + px, 0)}px)` };
}
