/* A table that stays calm: rows are kept by key and only cells whose content changed are touched, so a refresh neither
 * flickers nor takes away focus, hover or a selection. Beyond WHOLE rows only those near the window are in the
 * document (equal row height, column widths measured once), so 5,000 rows scroll as 50 do.
 *
 * The grid draws the rows it is given, in the order given: sorting and filtering are its owner's.
 * A column is { id, title, tip, align, leading, live, badge, rest, cell(row) }: `leading` names the row, `live` is drawn again
 * by tick(), `rest` takes the width the others leave. A cell is { text, tip, tone, badge, note, href }; a tip that costs
 * something is a function, called for drawn cells only. */

import { h, setAttribute, setText } from "./dom.js";

const WHOLE = 300; // rows up to this number are all in the document: find-in-page and copying see them
const OVERSCAN = 12; // rows drawn beyond either edge of the window
const ROW_PX = 38; // until a row has been measured
const BADGE_PX = 24; // a badge's own padding
const WIDEST_PX = 480;
const REST_PX = 224; // least width of the column that takes the rest

export class Grid {
  /** `scroller` is the element that scrolls; `onSort(columnId)` is told of clicks on heads. */
  constructor({ scroller, label, cards = false, onSort }) {
    this.scroller = scroller;
    this.onSort = onSort;
    this.columns = [];
    this.rows = [];
    this.drawn = new Map();
    this.rowHeight = 0;
    this.head = h("tr", { role: "row" });
    this.widths = h("colgroup");
    this.body = h("tbody", { role: "rowgroup" });
    this.above = spacer();
    this.below = spacer();
    this.element = h(
      "table",
      { class: cards ? "grid cards" : "grid", role: "table", "aria-label": label },
      this.widths, h("thead", { role: "rowgroup" }, this.head), this.body,
    );
    this.redraw = this.redraw.bind(this);
    this.scroller.addEventListener("scroll", this.redraw, { passive: true });
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(this.scroller);
  }

  stop() {
    this.scroller.removeEventListener("scroll", this.redraw);
    this.resizes.disconnect();
  }

  /** Columns and the order they show ({column, down} or null). The same columns again keep their cells. */
  setColumns(columns, sort) {
    const same = columns.map((column) => column.id).join() === this.columns.map((column) => column.id).join();
    this.columns = columns;
    if (!same) {
      this.head.replaceChildren(...columns.map((column) => this.headCell(column)));
      this.drawn.forEach((row) => row.remove());
      this.drawn.clear();
      this.rowHeight = 0;
      setAttribute(this.element, "aria-colcount", columns.length);
    }
    columns.forEach((column, index) => markSort(this.head.children[index], sort?.column === column.id ? sort : null));
  }

  setRows(rows) {
    const windowed = rows.length > WHOLE;
    this.rows = rows;
    this.keys = new Set(rows.map((row) => row.key));
    setAttribute(this.element, "aria-rowcount", rows.length + 1);
    this.element.classList.toggle("windowed", windowed);
    this.redraw();
    this.setWidths(windowed ? this.measuredWidths() : []);
  }

  /** Draw the cells of live columns again (ages). */
  tick() {
    for (const row of this.drawn.values()) this.paint(row, row.data, (column) => column.live);
  }

  resized() {
    this.rowHeight = 0;
    this.redraw();
  }

  redraw() {
    const [from, to] = this.visibleRange();
    const wanted = this.rows.slice(from, to);
    const keys = new Set(wanted.map((row) => row.key));
    for (const [key, element] of this.drawn) {
      if (!keys.has(key)) {
        element.remove();
        this.drawn.delete(key);
      }
    }
    this.edges(from, to);
    let next = this.above.parentNode ? this.above.nextSibling : this.body.firstChild;
    wanted.forEach((data, index) => {
      const element = this.rowFor(data);
      setAttribute(element, "aria-rowindex", from + index + 2);
      if (element === next) next = next.nextSibling;
      else this.body.insertBefore(element, next);
    });
    if (this.rowHeight === 0 && wanted.length > 0) this.measureRow();
  }

  /** First and last + 1 of the rows to draw. */
  visibleRange() {
    if (this.rows.length <= WHOLE) return [0, this.rows.length];
    const height = this.rowHeight || ROW_PX;
    const bodyTop = this.element.offsetTop + this.head.offsetHeight;
    const first = Math.floor((this.scroller.scrollTop - bodyTop) / height) - OVERSCAN;
    const count = Math.ceil(this.scroller.clientHeight / height) + 2 * OVERSCAN;
    const from = Math.min(Math.max(0, first), Math.max(0, this.rows.length - count));
    return [from, Math.min(this.rows.length, from + count)];
  }

  /** Stand-ins, as high as the rows that are not drawn; none while all of them are. */
  edges(from, to) {
    if (this.rows.length <= WHOLE) {
      this.above.remove();
      this.below.remove();
      return;
    }
    const height = this.rowHeight || ROW_PX;
    this.above.firstChild.style.height = `${from * height}px`;
    this.below.firstChild.style.height = `${(this.rows.length - to) * height}px`;
    if (this.body.firstChild !== this.above) this.body.prepend(this.above);
    if (this.body.lastChild !== this.below) this.body.append(this.below);
  }

  measureRow() {
    const first = this.drawn.values().next().value;
    this.rowHeight = first.getBoundingClientRect().height;
    if (this.rows.length > WHOLE && this.rowHeight > 0) this.redraw();
  }

  rowFor(data) {
    let element = this.drawn.get(data.key);
    if (element === undefined) {
      element = h("tr", { role: "row" }, ...this.columns.map((column) => bodyCell(column)));
      this.drawn.set(data.key, element);
    }
    element.data = data;
    setAttribute(element, "data-tone", data.tone);
    this.paint(element, data, () => true);
    return element;
  }

  paint(element, data, chosen) {
    this.columns.forEach((column, index) => {
      if (chosen(column)) paintCell(element.children[index], column.cell(data));
    });
  }

  headCell(column) {
    const button = h("button", { type: "button", title: column.tip, onclick: () => this.onSort(column.id) }, column.title);
    return h("th", { role: "columnheader", scope: "col", class: column.align ?? "start", "data-column": column.id }, button);
  }

  /** One width per column in pixels, null for the column that takes the rest; no widths: the browser's own layout. */
  setWidths(widths) {
    this.widths.replaceChildren(...widths.map((width) => {
      const col = document.createElement("col");
      col.style.width = width === null ? "" : `${width}px`;
      return col;
    }));
    const least = widths.reduce((sum, width) => sum + (width ?? REST_PX), 0);
    this.element.style.width = widths.length ? `max(100cqw, ${least}px)` : "";
  }

  /** Each column as wide as its longest text, so that scrolling through a windowed table does not move its columns. */
  measuredWidths() {
    const pen = document.createElement("canvas").getContext("2d");
    const sample = this.drawn.values().next().value;
    return this.columns.map((column, index) => {
      if (column.rest) return null;
      const { fontSize, fontFamily, paddingLeft, paddingRight } = getComputedStyle(sample.children[index]);
      pen.font = `600 ${fontSize} ${fontFamily}`;
      const longest = this.rows.reduce((widest, row) => longer(widest, column.cell(row).text), `${column.title} ▼`);
      const around = parseFloat(paddingLeft) + parseFloat(paddingRight) + (column.badge ? BADGE_PX : 4);
      return Math.min(WIDEST_PX, Math.ceil(pen.measureText(longest).width + around));
    });
  }
}

const longer = (a, b) => (b.length > a.length ? b : a);

function spacer() {
  return h("tr", { class: "spacer", "aria-hidden": "true" }, h("td"));
}

function markSort(cell, sort) {
  setAttribute(cell, "aria-sort", sort && (sort.down ? "descending" : "ascending"));
}

function bodyCell(column) {
  const label = h("span", { class: "label", "aria-hidden": "true" }, column.title);
  const kind = column.leading ? "rowheader" : "cell";
  return h("td", { role: kind, class: column.align ?? "start", "data-column": column.id }, label, h("span", { class: "content" }));
}

/** Change what differs: text in place where the cell keeps its form, a new content where it does not. */
function paintCell(element, cell) {
  const form = `${cell.href ?? ""}|${cell.badge ?? ""}|${cell.note === undefined ? "" : "note"}`;
  if (element.form !== form) {
    element.form = form;
    element.lastChild.replaceWith(h("span", { class: "content" }, ...contentOf(cell)));
  }
  const [main, note] = element.lastChild.children;
  setText(main, cell.text);
  if (note) setText(note, cell.note);
  setAttribute(main, "title", typeof cell.tip === "function" ? cell.tip() : cell.tip);
  setAttribute(element, "data-tone", cell.tone);
}

function contentOf(cell) {
  const main = cell.href ? h("a", { href: cell.href, "data-page": true }) : h("span", { class: cell.badge ? "badge" : null });
  return cell.note === undefined ? [main] : [main, h("span", { class: "note" })];
}
