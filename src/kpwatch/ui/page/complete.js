/* Completing metric names in the query box: a listbox under it, as WAI-ARIA's combobox pattern has it. Down and Up
 * choose, Tab or Enter take the choice, Escape closes; without a choice Enter keeps its meaning (run). */

import { h, setAttribute, show } from "./dom.js";
import { wordBefore } from "./promql.js";
import { t } from "./strings.js";

const MOST = 10;

/** `names()` gives what may be offered, `meaning(name)` a few words about one. Answers the list's element. */
export function completion(input, names, meaning) {
  const list = h("ul", { class: "suggestions", id: "suggestions", role: "listbox", "aria-label": t("suggestions"), hidden: true });
  let chosen = -1;
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "suggestions"], ["aria-expanded", "false"]]) {
    input.setAttribute(name, value);
  }
  input.addEventListener("input", offer);
  input.addEventListener("keydown", pressed);
  input.addEventListener("blur", close);

  function offer() {
    const found = wordBefore(input.value, input.selectionStart);
    const offers = found && found.word.length > 1 ? matching(names(), found.word) : [];
    list.replaceChildren(...offers.map((name, index) => option(name, index)));
    open(offers.length > 0);
  }

  function option(name, index) {
    // mousedown, not click: the box must not lose its focus first
    const take = (event) => { event.preventDefault(); accept(name); };
    return h("li", { role: "option", id: `suggestion-${index}`, "data-name": name, onmousedown: take }, h("code", {}, name), " ", h("small", {}, meaning(name)));
  }

  function open(visible) {
    choose(-1);
    show(list, visible);
    setAttribute(input, "aria-expanded", String(visible));
  }

  function close() {
    open(false);
  }

  function choose(index) {
    chosen = index;
    [...list.children].forEach((item, place) => setAttribute(item, "aria-selected", place === index ? "true" : null));
    list.children[index]?.scrollIntoView({ block: "nearest" });
    setAttribute(input, "aria-activedescendant", index === -1 ? null : `suggestion-${index}`);
  }

  function pressed(event) {
    if (list.hidden || event.isComposing) return;
    const size = list.children.length;
    const action = {
      ArrowDown: () => choose((chosen + 1) % size),
      ArrowUp: () => choose((chosen + size + (chosen === -1 ? 0 : -1)) % size),
      Escape: close,
      Tab: () => accept(list.children[Math.max(0, chosen)].dataset.name),
      Enter: chosen === -1 ? null : () => accept(list.children[chosen].dataset.name),
    }[event.key];
    if (!action || (event.key === "Tab" && event.shiftKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    action();
  }

  function accept(name) {
    const { start, word } = wordBefore(input.value, input.selectionStart);
    input.setRangeText(name, start, start + word.length, "end");
    close();
    input.dispatchEvent(new Event("change"));
  }

  return list;
}

/** Names that hold the word's pieces in its order ("proxy_dur" finds kubeproxy_sync_proxy_rules_duration_seconds_sum):
 * those that begin with the word first, shorter before longer. A whole name offers nothing. */
function matching(names, word) {
  if (names.includes(word)) return [];
  const pieces = word.toLowerCase().split("_").map((piece) => piece.replace(/[^a-z0-9:]/g, ""));
  const pattern = new RegExp(pieces.join(".*"));
  const late = (name) => Number(!name.startsWith(word));
  return names
    .filter((name) => pattern.test(name.toLowerCase()))
    .sort((a, b) => late(a) - late(b) || a.length - b.length || (a < b ? -1 : 1))
    .slice(0, MOST);
}
