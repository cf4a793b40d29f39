/* The frame around the views: menu, languages, and which view the URL names.
 *
 * A view is a function (frame) -> { element, arrive(params), stop() }. `frame.memory` outlives the view, so that a
 * change of language redraws what is known instead of asking again; `frame.scroller` is the element that scrolls. */

import { h, rich } from "./dom.js";
import { fleetView } from "./fleet.js";
import { tableView } from "./table.js";
import { ask, openAddress } from "./server.js";
import { chooseLanguage, language, LANGUAGES, t } from "./strings.js";

const VIEWS = [
  { path: "", words: "fleet", make: fleetView },
  { path: "table", words: "table", make: tableView },
];

const home = new URL(".", document.baseURI);
const memories = new Map(VIEWS.map((view) => [view, {}]));
let shown = null;
let openTo = null; // the address, if the hub asks nobody who they are

async function learnWhoMayRead() {
  try {
    openTo = openAddress((await ask("api/v1/status/flags")).data);
  } catch {
    return; // a hub that does not answer is the views' to tell
  }
  if (openTo !== null) document.querySelector("main").before(warning());
}

function warning() {
  return h("p", { class: "warned", role: "note" }, ...rich(t("open_to_all", { address: openTo })));
}

function viewOfUrl() {
  const path = location.pathname.slice(home.pathname.length);
  return VIEWS.find((view) => view.path === path) ?? VIEWS[0];
}

function draw() {
  shown?.live.stop();
  const view = viewOfUrl();
  const scroller = h("main", { id: "content", tabindex: "-1" });
  document.documentElement.lang = language().tag;
  document.title = `${t(view.words)} · ${t("title")}`;
  const warnings = openTo === null ? [] : [warning()];
  document.body.replaceChildren(h("a", { class: "skip", href: "#content" }, t("skip")), header(view), ...warnings, scroller);
  const live = view.make({ scroller, memory: memories.get(view) });
  scroller.append(live.element);
  shown = { view, live };
  live.arrive();
}

function header(current) {
  const links = VIEWS.map((view) => h(
    "a",
    { href: new URL(view.path, home).href, "data-page": true, "aria-current": view === current ? "page" : null },
    t(view.words),
  ));
  const choices = LANGUAGES.map((each) => h(
    "button",
    { type: "button", lang: each.tag, "aria-pressed": String(each === language()), onclick: () => switchTo(each) },
    each.name,
  ));
  return h(
    "header",
    { class: "top" },
    h("a", { class: "brand", href: home.href, "data-page": true },
      h("img", { src: new URL("assets/icon.svg", home).href, alt: "", width: "24", height: "24" }), "kpwatch"),
    h("nav", { "aria-label": t("menu") }, ...links),
    h("div", { class: "languages", role: "group", "aria-label": t("language") }, ...choices),
  );
}

function switchTo(choice) {
  chooseLanguage(choice.code);
  draw();
  document.querySelector(`.languages [lang="${choice.tag}"]`).focus();
}

/** Links between our views change the URL without loading the page again; a click with a modifier stays the browser's. */
function follow(event) {
  const link = event.target.closest?.("a[data-page]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  arrive();
}

function arrive() {
  if (viewOfUrl() === shown.view) shown.live.arrive();
  else draw();
}

document.addEventListener("click", follow);
window.addEventListener("popstate", arrive);
draw();
learnWhoMayRead();
