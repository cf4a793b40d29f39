/* The table view: any instant PromQL query; one column per label, the value, the age of the sample.
 *
 * URL: ?q=query &time=Unix seconds (absent: now) &filter=text &sort=column &hide=column,column &live=1
 * build() makes the elements, tableView() their behaviour: the URL is the only state besides the last answer. */

import { AGE, arranged, columnsOf, factsOf, VALUE } from "./columns.js";
import { completion } from "./complete.js";
import { csv, download } from "./csv.js";
import { h, setAttribute, setText, show } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { absolute, inputTime } from "./format.js";
import { Grid } from "./grid.js";
import { Knowledge } from "./knowledge.js";
import { change, nextSort, params, readSort, writeSort } from "./place.js";
import { namesIn } from "./promql.js";
import { every } from "./pulse.js";
import { run } from "./query.js";
import { t } from "./strings.js";

const REFRESH_SECONDS = 5;
const MOST_MEANINGS = 2;

function build() {
  const button = (words, attributes) => h("button", { type: "button", ...attributes }, t(words));
  const find = (words) => h("input", { type: "search", placeholder: t(words), "aria-label": t(words) });
  const parts = {
    input: h("textarea", {
      class: "query", rows: "1", spellcheck: "false", autocapitalize: "off", autocomplete: "off",
      "aria-label": t("query"), title: t("query_hint"), placeholder: 'up{job="kube-proxy"}',
    }),
    run: h("button", { type: "submit", class: "primary" }, t("run")),
    meanings: h("ul", { class: "meanings", hidden: true }),
    problem: h("div", { class: "problem", role: "alert", hidden: true }),
    notes: h("ul", { class: "notes", hidden: true }),
    examples: h("div", { class: "examples", role: "group", "aria-label": t("examples") },
      ...EXAMPLES.map(({ words, query }) => button(words, { title: query, "data-query": query }))),
    now: button("now"),
    at: h("input", { type: "datetime-local", step: "1", "aria-label": t("chosen_time") }),
    live: h("input", { type: "checkbox", role: "switch" }),
    filter: find("filter_rows"),
    chosen: h("div", { class: "choices" }),
    save: button("csv"),
    facts: h("p", { class: "facts" }),
    nothing: h("p", { class: "nothing" }),
  };
  parts.box = h("div", { class: "box" }, parts.input);
  parts.form = h("form", { class: "asking" }, parts.box, parts.run);
  parts.menu = h("details", { class: "menu" }, h("summary", {}, t("columns")), parts.chosen);
  parts.board = h("div", { class: "board" }, parts.nothing);
  parts.finders = h("div", { class: "found" }, parts.filter, parts.menu, parts.save, parts.facts);
  const when = h("div", { class: "when" },
    h("span", { class: "field" }, t("at"), parts.now, parts.at), h("label", { class: "switch" }, parts.live, t("auto_refresh")));
  parts.element = h("div", { class: "view explorer" }, h("h1", {}, t("table")),
    h("div", { class: "tools" },
      parts.form, parts.problem, parts.meanings, parts.examples, parts.notes, h("div", { class: "finders" }, when, parts.finders)),
    parts.board);
  return parts;
}

export function tableView({ scroller, memory }) {
  memory.knowledge ??= new Knowledge();
  const { knowledge } = memory;
  const parts = build();
  const grid = new Grid({ scroller, label: t("table"), onSort: sortBy });
  let place = {};
  let beat = null;
  let asking = null;
  let columns = [];
  let rows = [];

  parts.board.prepend(grid.element);
  parts.box.append(completion(parts.input, () => knowledge.names, (name) => knowledge.meaning(name)));
  listen();

  function listen() {
    const on = (part, event, action) => part.addEventListener(event, action);
    on(parts.form, "submit", (event) => { event.preventDefault(); submit(); });
    on(parts.input, "keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    on(parts.examples, "click", ({ target }) => target.dataset.query && goQuery(target.dataset.query));
    on(parts.now, "click", () => go({ time: null }, { push: true }));
    on(parts.at, "change", () => go({ time: parts.at.value && new Date(parts.at.value).getTime() / 1000, live: null }, { push: true }));
    on(parts.live, "change", () => go({ live: parts.live.checked }));
    on(parts.filter, "input", () => rearrange({ filter: parts.filter.value }));
    on(parts.chosen, "change", () => rearrange({ hide: [...parts.chosen.querySelectorAll("input:not(:checked)")].map((box) => box.value).join(",") }));
    on(parts.save, "click", save);
    on(parts.menu, "keydown", (event) => {
      if (event.key !== "Escape") return;
      parts.menu.open = false;
      parts.menu.firstChild.focus();
    });
    on(document, "click", closeMenu);
  }

  /** The URL has changed (or the view is new): show what it says. */
  function arrive() {
    place = params();
    fill(parts.input, place.q);
    fill(parts.filter, place.filter);
    const time = chosenTime();
    parts.at.value = Number.isFinite(Number(time)) && time !== null ? inputTime(Number(time)) : "";
    setAttribute(parts.now, "aria-pressed", String(time === null));
    parts.live.checked = Boolean(place.live) && time === null;
    parts.live.disabled = time !== null;
    for (const button of parts.examples.children) setAttribute(button, "aria-pressed", String(button.dataset.query === place.q));
    if (knowledge.names.length === 0) knowledge.learn().then(drawMeanings);
    if (!place.q) parts.input.focus({ preventScroll: true });
    restart();
  }

  const chosenTime = () => place.time || null; // as it stands in the URL: what the server cannot read it says itself
  const question = () => JSON.stringify([place.q, place.time]);

  /** Ask once, or again and again, as the URL says. An answer already known for this question is not asked again. */
  function restart() {
    beat?.stop();
    beat = null;
    asking?.abort();
    setAttribute(parts.board, "aria-busy", null);
    setAttribute(parts.facts, "aria-live", parts.live.checked ? "off" : "polite");
    if (memory.question !== question()) Object.assign(memory, { question: question(), answer: null, error: null });
    if (place.q && parts.live.checked) beat = every(REFRESH_SECONDS, query);
    else if (place.q && !memory.answer) query();
    draw();
  }

  async function query() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    setAttribute(parts.board, "aria-busy", "true");
    try {
      memory.answer = await run(place.q, chosenTime(), mine.signal);
      memory.error = null;
    } catch (error) {
      if (mine.signal.aborted) return;
      memory.error = error;
    }
    setAttribute(parts.board, "aria-busy", null);
    draw();
  }

  function draw() {
    const { answer, error } = memory;
    show(parts.problem, Boolean(error));
    if (error) parts.problem.replaceChildren(h("b", {}, [t("query_failed"), error.type && `(${error.type})`].filter(Boolean).join(" ")), h("pre", {}, error.message));
    list(parts.notes, answer?.notes ?? []);
    drawMeanings();
    show(parts.finders, Boolean(answer));
    columns = answer ? columnsOf(answer) : [];
    drawChoices();
    drawRows();
  }

  function drawRows() {
    const { answer, error } = memory;
    rows = answer ? arranged(answer.rows, columns, place) : [];
    show(grid.element, rows.length > 0);
    grid.setColumns(visibleColumns(), readSort(place.sort));
    grid.setRows(rows);
    pinAge();
    setText(parts.facts, answer ? factsOf(answer, rows.length) : "");
    setAttribute(parts.facts, "title", answer && absolute(answer.evaluated, { milliseconds: true }));
    show(parts.nothing, rows.length === 0 && !error);
    setText(parts.nothing, whyNothing(answer));
  }

  /** The value stays in sight beside the age; how far from the edge that is, only the layout knows. */
  function pinAge() {
    const head = grid.element.querySelector(`th[data-column="${AGE}"]`);
    grid.element.style.setProperty("--age-width", `${head?.offsetWidth ?? 0}px`);
  }

  function whyNothing(answer) {
    if (!place.q) return t("nothing_yet");
    if (!answer) return t("loading");
    return t(answer.rows.length === 0 ? "empty_result" : "no_match");
  }

  function drawMeanings() {
    const names = namesIn(place.q ?? "").filter((name) => knowledge.meaning(name)).slice(0, MOST_MEANINGS);
    list(parts.meanings, names, (name) => [h("code", {}, name), " ", knowledge.meaning(name)]);
  }

  function drawChoices() {
    const ids = columns.map(({ id }) => id).join();
    if (parts.chosen.dataset.ids !== ids) {
      parts.chosen.dataset.ids = ids;
      parts.chosen.replaceChildren(...columns.map(({ id, title }) => h("label", {}, h("input", { type: "checkbox", value: id }), title)));
    }
    const hidden = hiddenIds();
    for (const box of parts.chosen.querySelectorAll("input")) box.checked = !hidden.has(box.value);
  }

  const hiddenIds = () => new Set((place.hide ?? "").split(","));

  function visibleColumns() {
    const hidden = hiddenIds();
    return columns.filter(({ id }) => !hidden.has(id));
  }

  function submit() {
    const text = parts.input.value.trim();
    if (text === place.q) query();
    else goQuery(text);
  }

  function goQuery(text) {
    go({ q: text, sort: null, filter: null, hide: null }, { push: true });
  }

  function go(changes, options) {
    change(changes, options);
    arrive();
  }

  /** Changes that need no new answer. */
  function rearrange(changes) {
    change(changes);
    place = params();
    drawRows();
  }

  function sortBy(column) {
    rearrange({ sort: writeSort(nextSort(readSort(place.sort), column, { downFirst: column === VALUE })) });
  }

  function save() {
    const fields = visibleColumns().flatMap((column) => column.csv);
    download("kpwatch.csv", csv([fields.map(([name]) => name), ...rows.map((row) => fields.map(([, read]) => read(row)))]));
  }

  function closeMenu(event) {
    if (!parts.menu.contains(event.target)) parts.menu.open = false;
  }

  function stop() {
    document.removeEventListener("click", closeMenu);
    beat?.stop();
    asking?.abort();
    grid.stop();
  }

  return { element: parts.element, arrive, stop };
}

/** Set a field's text unless it is that already: the caret stays where it is. */
function fill(field, text = "") {
  if (field.value !== text) field.value = text;
}

function list(element, items, content = (item) => [item]) {
  show(element, items.length > 0);
  element.replaceChildren(...items.map((item) => h("li", {}, ...content(item))));
}
