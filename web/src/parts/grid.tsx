/* A table: heads that sort, and of many rows only those near the window in the document.
 *
 * Rows keep their elements from drawing to drawing (`key`); while the table only scrolls, rows that stay in sight are not
 * drawn again. From WINDOWED_FROM rows on each row stands for itself: equally high (measured from one of them), at its
 * place in a body that is as high as all of them, its columns as wide as their longest text in the whole table. So a row
 * that comes or goes moves no other, and the browser lays out and paints that row alone (CSS containment, which rows of
 * a table layout cannot have). With `cards` CSS makes a card of each row on a small screen. */

import { Component, type ComponentChildren, type JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sort } from "../base/place";

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
const LETTER_PX = 7.4;
const PADDING_PX = 30;
const WIDEST_PX = 420;
const REST_PX = 200;

export const scroller = (): HTMLElement => document.getElementById("content") ?? document.documentElement;

export function Grid<Row extends Keyed>(props: Props<Row>): JSX.Element {
  const { label, columns, rows, sort, onSort, cards } = props;
  const windowed = rows.length >= WINDOWED_FROM && !props.plain;
  const table = useRef<HTMLTableElement>(null);
  const [first, last, rowPx] = useWindow(table, rows.length, windowed);
  const shape = useMemo(() => (windowed ? shapeOf(columns, rows) : {}), [rows, columns.map(({ id, title }) => id + title).join(), windowed]);
  const drawing = useDrawing(props);
  const drawn = windowed ? rows.slice(first, last) : rows;
  const from = windowed ? first : 0;
  return (
    <table
      ref={table} class={`grid ${windowed ? "windowed " : ""}${cards ? "cards " : ""}${props.class ?? ""}`}
      role="table" aria-label={label} aria-rowcount={rows.length + 1} style={shape}
    >
      <thead role="rowgroup">
        <tr role="row" aria-rowindex={1}>{columns.map((column) => <Head key={column.id} column={column} sort={sort} onSort={onSort} />)}</tr>
      </thead>
      <tbody role="rowgroup" style={windowed ? { height: `${rows.length * rowPx}px` } : {}}>
        {drawn.map((row, index) => (
          <Line key={row.key} row={row} columns={columns} index={from + index} top={windowed ? (from + index) * rowPx : null} drawing={drawing} />
        ))}
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

/** A number that grows when the page draws the table, and not when the table itself only moves its window. */
function useDrawing(props: object): number {
  const seen = useRef({ props, count: 0 });
  if (seen.current.props !== props) seen.current = { props, count: seen.current.count + 1 };
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

/** Which rows are near the window, [first, last), and how high a row is. */
function useWindow(table: { current: HTMLTableElement | null }, count: number, windowed: boolean): [number, number, number] {
  const [seen, see] = useState({ first: 0, last: WINDOWED_FROM / 2, rowPx: 38 });
  const look = useRef(() => undefined as void);
  look.current = () => {
    const body = table.current?.tBodies[0];
    if (!windowed || !body) return;
    const rowPx = (body.firstElementChild as HTMLElement | null)?.offsetHeight || seen.rowPx;
    const frame = scroller().getBoundingClientRect();
    const above = frame.top - body.getBoundingClientRect().top;
    const start = Math.floor(above / rowPx / STEP_ROWS) * STEP_ROWS - ROWS_BEYOND;
    const size = Math.ceil(frame.height / rowPx) + 2 * ROWS_BEYOND + STEP_ROWS;
    const first = Math.max(0, Math.min(start, count - size));
    const last = Math.min(count, first + size);
    if (first !== seen.first || last !== seen.last || rowPx !== seen.rowPx) see({ first, last, rowPx });
  };
  useLayoutEffect(() => look.current(), [count, windowed]);
  useEffect(() => {
    if (!windowed) return undefined;
    const frame = scroller();
    let waiting = 0;
    const moved = (): void => {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        look.current();
      });
    };
    frame.addEventListener("scroll", moved, { passive: true });
    window.addEventListener("resize", moved);
    return () => {
      cancelAnimationFrame(waiting);
      frame.removeEventListener("scroll", moved);
      window.removeEventListener("resize", moved);
    };
  }, [windowed]);
  return [Math.min(seen.first, Math.max(0, count - 1)), Math.min(seen.last, count), seen.rowPx];
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
