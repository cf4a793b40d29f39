/* What to do when nothing has arrived yet: the exact lines, with this hub's own address. */

import { h, rich, setText } from "./dom.js";
import { isLoopback } from "./server.js";
import { t } from "./strings.js";

export function emptyHub() {
  const steps = [
    [t("step_writer"), writerLines()],
    [t("step_input"), INPUT_LINES],
    [t("step_test"), "kpwatch agent --configs conf --test --inputs prometheus\nkpwatch agent --configs conf"],
  ];
  return h(
    "section",
    { class: "empty" },
    h("h2", {}, t("empty_title")),
    h("p", {}, t("empty_lead")),
    h("ol", {}, ...steps.map(([words, lines]) => h("li", {}, h("p", {}, ...rich(words)), copyable(lines)))),
    isLoopback(location.hostname) ? h("p", { class: "aside" }, ...rich(t("loopback_note", { host: location.host }))) : null,
    h("p", {}, t("or_demo")),
    copyable("kpwatch up --demo"),
  );
}

function writerLines() {
  const url = new URL("prometheus/v1/write", new URL(".", document.baseURI)).href;
  return [
    "[global]", 'hostname = "$HOSTNAME"', "interval = 15", "",
    "[[writers]]", `url = "${url}"`, "timeout = 5000", "dial_timeout = 2500", "max_idle_conns_per_host = 100",
  ].join("\n");
}

const INPUT_LINES = [
  "[[instances]]", 'urls = ["http://127.0.0.1:10249/metrics"]', 'labels = { job="kube-proxy" }',
].join("\n");

function copyable(lines) {
  const code = h("code", {}, lines);
  const button = h("button", { type: "button", onclick: () => copy(code, button) }, t("copy"));
  return h("div", { class: "copyable" }, h("pre", { tabindex: "0" }, code), button);
}

/** The clipboard exists on secure origins only; elsewhere the lines are selected for the person's own Ctrl+C. */
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    setText(button, t("copied"));
  } catch {
    getSelection().selectAllChildren(code);
    setText(button, t("select_to_copy"));
  }
}
