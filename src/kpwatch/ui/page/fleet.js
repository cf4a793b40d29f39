/* The fleet: one row per node, worst first, refreshed every 5 s. A node that fell silent stays in the list.
 *
 * URL: ?filter=text &state=critical &sort=column or -column. Ages tick every second on the hub's clock. */

import { h, setAttribute, setText, show } from "./dom.js";
import { emptyHub } from "./empty.js";
import { absolute, compare, compareNumbers, count, duration, latency, sorted } from "./format.js";
import { Grid } from "./grid.js";
import { change, nextSort, params, readSort, writeSort } from "./place.js";
import { nodeSelector } from "./promql.js";
import { every } from "./pulse.js";
import { ask, hubTime, setHubTime } from "./server.js";
import { hasWords, language, t } from "./strings.js";

const REFRESH_SECONDS = 5;

/* The verdicts, worst first. A word the hub knows and this page does not is shown as it is, after these. */
const STATES = ["critical", "silent", "warning", "info", "unknown", "ok"];
const DASH = "–";

/* One row per column: how it shows a node, what it sorts by and in which order, what a click on its head gives first. */
const COLUMNS = [
  { id: "ident", leading: true, value: (node) => node.ident, order: compare, cell: identCell },
  { id: "state", badge: true, value: (node) => node, order: worstFirst, cell: stateCell },
  { id: "finding", live: true, rest: true, value: (node) => node.condition?.id ?? "", order: compare, cell: findingCell },
  { id: "version", value: (node) => node.version, order: compare, cell: (node) => ({ text: node.version || DASH }) },
  { id: "mode", value: (node) => node.mode, order: compare, cell: (node) => ({ text: node.mode || DASH }) },
  { id: "last_sync", align: "end", live: true, value: (node) => node.last_sync, order: compareNumbers, cell: lastSyncCell },
  { id: "sync_p99", align: "end", downFirst: true, value: (node) => node.sync_p99_seconds, order: compareNumbers, cell: syncCell },
  { id: "pending", align: "end", downFirst: true, value: (node) => node.pending_changes, order: compareNumbers, cell: pendingCell },
  { id: "failures", align: "end", downFirst: true, value: (node) => node.failures, order: compareNumbers, cell: failuresCell },
  { id: "up", align: "end", value: (node) => node.up, order: compareNumbers, cell: upCell },
];

const rank = (node) => {
  const place = STATES.indexOf(node.state);
  return place === -1 ? STATES.length : place;
};

function worstFirst(a, b) {
  return rank(a) - rank(b) || (b.failures ?? 0) - (a.failures ?? 0);
}

function identCell(node) {
  const address = `table?${new URLSearchParams({ q: nodeSelector(node.ident) })}`;
  return { text: node.ident, href: address, tip: t("all_series", { ident: node.ident }) };
}

const stateWord = (state) => (hasWords(state) ? t(state) : String(state));

function stateCell(node) {
  return { text: stateWord(node.state), tone: STATES.includes(node.state) ? node.state : "unknown", badge: true };
}

const hasFinding = (node) => node.condition !== null || node.state === "silent";

function findingCell(node) {
  if (node.condition) return { text: node.condition.id, note: node.condition[language().code], tip: node.condition[language().code] };
  if (node.state !== "silent") return { text: "", note: "" };
  if (!node.last_seen) return { text: "", note: t("silent_long") };
  const note = t("silent_for", { age: duration(hubTime() - node.last_seen) });
  return { text: "", note, tip: t("last_seen", { time: absolute(node.last_seen) }) };
}

function lastSyncCell(node) {
  if (!node.last_sync) return { text: node.up === 1 ? t("never") : DASH }; // of a node that gives no metrics nothing is known
  const age = hubTime() - node.last_sync;
  const text = age < 0 ? t("ahead", { age: duration(-age) }) : t("ago", { age: duration(age) });
  return { text, tip: () => absolute(node.last_sync) };
}

function syncCell(node) {
  const seconds = node.sync_p99_seconds;
  return seconds === null ? { text: DASH } : { text: latency(seconds), tip: `${seconds} s` };
}

const number = (value) => (value === null ? DASH : count(value));

/* A number above 0 stands out on a node that has something wrong; old failures of a healthy one do not shout. */
const raised = (node, value) => (value > 0 && hasFinding(node) ? node.state : null);

function pendingCell(node) {
  return { text: number(node.pending_changes), tone: raised(node, node.pending_changes) };
}

function failuresCell(node) {
  return { text: number(node.failures), tone: raised(node, node.failures) };
}

function upCell(node) {
  return { text: node.up === null ? DASH : String(node.up), tone: node.up === 0 ? "critical" : null };
}

/** The hub's nodes as rows: a field the hub leaves out is null, never undefined. */
function rowsOf(nodes) {
  const fields = ["version", "mode", "last_sync", "sync_p99_seconds", "pending_changes", "failures", "up", "last_seen", "condition"];
  const blank = Object.fromEntries(fields.map((field) => [field, null]));
  return nodes.map((node) => ({ ...blank, ...node, state: node.state ?? "unknown", key: node.ident, tone: node.state }));
}

export function fleetView({ scroller, memory }) {
  const grid = new Grid({ scroller, label: t("fleet"), cards: true, onSort: sortBy });
  const verdicts = h("div", { class: "verdicts", role: "group", "aria-label": t("state") });
  const filter = h("input", { type: "search", placeholder: t("filter_nodes"), "aria-label": t("filter_nodes"), oninput: typed });
  const sorter = h("select", { "aria-label": t("sort_by"), onchange: () => sortBy(sorter.value || null) });
  const pulseText = h("span", { class: "pulse" }, t("loading"));
  const complaint = h("span", { role: "alert" });
  const oldness = h("span"); // beside the alert, not in it: it ticks, and nobody wants that read out every second
  const problem = h("p", { class: "problem", hidden: true }, complaint, " ", oldness);
  const nothing = h("p", { class: "nothing", hidden: true }, t("no_match"), " ", h("button", { type: "button", onclick: clear }, t("clear_filter")));
  const tools = h("div", { class: "tools" }, verdicts, h("div", { class: "finders" }, filter, h("label", { class: "sorter" }, t("sort_by"), sorter), pulseText));
  const board = h("div", { class: "board" }, grid.element, nothing);
  const guide = h("div");
  const element = h("div", { class: "view fleet" }, h("h1", {}, t("fleet")), tools, problem, guide, board);

  const columns = COLUMNS.map((column) => ({ ...column, title: t(column.id), tip: t(`tip_${column.id}`) }));
  sorter.append(h("option", { value: "" }, t("worst_first")), ...columns.map(({ id, title }) => h("option", { value: id }, title)));
  let place = {};
  let beats = [];

  function arrive() {
    place = params();
    if (filter.value !== (place.filter ?? "")) filter.value = place.filter ?? "";
    draw();
    if (beats.length === 0) beats = [every(REFRESH_SECONDS, refresh), every(1, async () => tick())];
  }

  async function refresh() {
    try {
      const answer = await ask("api/kpwatch/v1/fleet");
      setHubTime(answer.time);
      Object.assign(memory, { rows: rowsOf(answer.nodes), received: hubTime(), error: null });
    } catch (error) {
      memory.error = error.message;
    }
    draw();
  }

  function tick() {
    grid.tick();
    const age = memory.received && duration(hubTime() - memory.received);
    setText(pulseText, memory.error || !memory.received ? "" : t("updated", { age }));
    show(problem, Boolean(memory.error));
    if (!memory.error) return;
    setText(complaint, t("hub_silent", { error: memory.error }));
    setText(oldness, age ? t("data_from", { age }) : "");
  }

  function draw() {
    tick();
    if (!memory.rows) return;
    const empty = memory.rows.length === 0;
    show(tools, !empty);
    show(board, !empty);
    if (empty !== guide.hasChildNodes()) guide.replaceChildren(...(empty ? [emptyHub()] : []));
    const sort = readSort(place.sort);
    const rows = arranged(memory.rows, place, sort);
    drawVerdicts();
    sorter.value = sort?.column ?? "";
    const found = memory.rows.some(hasFinding); // while nothing is wrong the column would only be empty
    grid.setColumns(columns.filter(({ id }) => id !== "finding" || found), sort);
    grid.setRows(rows);
    show(nothing, !empty && rows.length === 0);
  }

  function drawVerdicts() {
    const present = [...STATES, ...new Set(memory.rows.map((row) => row.state).filter((state) => !STATES.includes(state)))];
    const tiles = [null, ...present].map((state) => ({ state, size: memory.rows.filter((row) => state === null || row.state === state).length }));
    const wanted = tiles.filter(({ state, size }) => size > 0 || state === "ok" || state === "critical" || state === place.state);
    while (verdicts.children.length > wanted.length) verdicts.lastChild.remove();
    while (verdicts.children.length < wanted.length) verdicts.append(tile());
    wanted.forEach(({ state, size }, index) => fillTile(verdicts.children[index], state, size));
  }

  function tile() {
    return h("button", { type: "button", onclick: (event) => go({ state: event.currentTarget.dataset.state || null }, { push: true }) }, h("b"), " ", h("span"));
  }

  function fillTile(button, state, size) {
    setAttribute(button, "data-state", state ?? "");
    setAttribute(button, "data-tone", size > 0 ? state : null);
    setAttribute(button, "aria-pressed", String((place.state ?? null) === state));
    setText(button.firstChild, count(size));
    setText(button.lastChild, state === null ? t("nodes_count") : stateWord(state));
  }

  function go(changes, options) {
    change(changes, options);
    place = params();
    draw();
  }

  function sortBy(column) {
    const known = COLUMNS.find(({ id }) => id === column);
    go({ sort: known ? writeSort(nextSort(readSort(place.sort), column, known)) : null });
  }

  function typed() {
    go({ filter: filter.value });
  }

  function clear() {
    filter.value = "";
    go({ filter: null, state: null });
    filter.focus();
  }

  function stop() {
    grid.stop();
    beats.forEach((beat) => beat.stop());
  }

  return { element, arrive, stop };
}

/** The rows the URL asks for, in its order: by a column, or worst first; equal ones by ident. */
function arranged(rows, { filter = "", state = null }, sort) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const finding = (row) => Object.values(row.condition ?? {}).join(" ");
  const text = (row) => [row.ident, stateWord(row.state), row.state, finding(row), row.version, row.mode].join(" ").toLowerCase();
  const kept = rows.filter((row) => (!state || row.state === state) && words.every((word) => text(row).includes(word)));
  const column = COLUMNS.find(({ id }) => id === sort?.column) ?? COLUMNS[1];
  const named = sorted(kept, (row) => row.ident, compare);
  return sorted(named, column.value, column.order, sort?.down);
}
