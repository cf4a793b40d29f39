/* What to do when nothing has arrived yet: the exact lines, with this hub's own address. */

import type { JSX } from "preact";
import { writeUrl } from "../base/downloads";
import { isLoopback } from "../base/server";
import { t } from "../base/words";
import { Copyable } from "./copyable";
import { Manifest } from "./manifest";
import { Rich } from "./words";

const WRITER = (): string => [
  "[global]", 'hostname = "$HOSTNAME"', "interval = 15", "",
  "[[writers]]", `url = "${writeUrl()}"`, "timeout = 5000", "dial_timeout = 2500", "max_idle_conns_per_host = 100",
].join("\n");

const INPUT = ["[[instances]]", 'urls = ["http://127.0.0.1:10249/metrics"]', 'labels = { job="kube-proxy" }'].join("\n");
const COMMANDS = "kpwatch agent --configs conf --test --inputs prometheus\nkpwatch agent --configs conf";

export function EmptyHub(): JSX.Element {
  return (
    <section class="empty">
      <h2>{t("empty_title")}</h2>
      <p>{t("empty_lead")}</p>
      {isLoopback(location.hostname) && <p class="aside"><Rich text={t("loopback_note", { host: location.host })} /></p>}
      <h3>{t("agents_in_cluster")}</h3>
      <Manifest />
      <h3>{t("agent_on_host")}</h3>
      <ol>
        <li><p><Rich text={t("step_writer")} /></p><Copyable lines={WRITER()} /></li>
        <li><p><Rich text={t("step_input")} /></p><Copyable lines={INPUT} /></li>
        <li><p><Rich text={t("step_test")} /></p><Copyable lines={COMMANDS} /></li>
      </ol>
      <h3>{t("or_demo")}</h3>
      <Copyable lines="kpwatch up --demo" />
    </section>
  );
}
