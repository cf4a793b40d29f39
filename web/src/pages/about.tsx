/* About this hub: versions, what is stored, options, and what to take along. */

import type { JSX } from "preact";
import { downloadUrl } from "../base/downloads";
import { absolute, count, duration } from "../base/format";
import { useLive } from "../base/live";
import { home } from "../base/place";
import { ask, hubTime, isLoopback, type Flags } from "../base/server";
import { t } from "../base/words";
import { Manifest } from "../parts/manifest";
import { Problem, Rich, Waiting } from "../parts/words";

interface Told {
  readonly build: { application?: string; applicationVersion?: string; version: string; pythonVersion?: string };
  readonly runtime: { startTime: string; hostname?: string; storageRetention: string };
  readonly flags: Flags;
  readonly store: { headStats: { numSeries: number; minTime: number; maxTime: number }; seriesCountByMetricName: { name: string; value: number }[] } | null;
}

async function askAbout(signal: AbortSignal): Promise<Told> {
  const of = async <Body,>(name: string): Promise<Body> => (await ask<{ data: Body }>(`api/v1/status/${name}`, {}, signal)).data;
  const [build, runtime, flags, store] = await Promise.all([
    of<Told["build"]>("buildinfo"), of<Told["runtime"]>("runtimeinfo"), of<Flags>("flags"),
    of<Told["store"]>("tsdb").catch(() => null), // an engine may not tell
  ]);
  return { build, runtime, flags, store };
}

/* What the hub packs for whom. */
const PACKS = [["nightingale", "pack_nightingale"], ["grafana", "pack_grafana"], ["prometheus", "pack_prometheus"], ["markdown", "pack_markdown"]] as const;

const span = (seconds: string): string => (seconds === "0s" ? t("for_ever") : duration(Number.parseFloat(seconds)));

export function AboutPage(): JSX.Element {
  const known = useLive("about", askAbout, 30);
  const told = known.shown;
  return (
    <div class="view page about">
      <h1 class="shown">{t("about")}</h1>
      <Problem error={known.error} again={known.again} />
      {!told && !known.error && <Waiting />}
      {told && (
        <>
          <div class="panels">
            <Facts title={t("this_hub")} facts={[
              ["kpwatch", told.build.applicationVersion ?? "–"], [t("like_prometheus"), told.build.version], ["Python", told.build.pythonVersion ?? "–"],
              [t("host"), told.runtime.hostname ?? "–"], [t("started"), `${absolute(Date.parse(told.runtime.startTime) / 1000)} (${t("ago", { age: duration(hubTime() - Date.parse(told.runtime.startTime) / 1000) })})`],
            ]} />
            {told.store && (
              <Facts title={t("store")} facts={[
                [t("series"), count(told.store.headStats.numSeries)], [t("oldest"), timeOf(told.store.headStats.minTime)], [t("newest"), timeOf(told.store.headStats.maxTime)],
                [t("retention"), span(told.runtime.storageRetention)],
                ...told.store.seriesCountByMetricName.slice(0, 5).map(({ name, value }): [string, string] => [name, count(value)]),
              ]} />
            )}
          </div>
          <section class="section"><h2>{t("take_along")}</h2>
            <div class="panels">
              <section class="panel wide"><h3>{t("agents_in_cluster")}</h3>
                {isLoopback(location.hostname) && <p class="notes"><Rich text={t("loopback_note", { host: location.host })} /></p>}
                <Manifest />
              </section>
              <section class="panel"><h3>{t("boards_and_rules")}</h3>
                <p class="meaning">{t("boards_and_rules_lead")}</p>
                <ul class="plain">
                  {PACKS.map(([name, holds]) => <li key={name}><a href={downloadUrl(name)} download={`kpwatch-${name}.zip`}>kpwatch-{name}.zip</a> <span class="meaning">– {t(holds)}</span></li>)}
                </ul>
                <p class="meaning"><Rich text={t("or_publish")} /></p>
              </section>
              <section class="panel"><h3>{t("for_programs")}</h3>
                <ul class="plain">
                  {["api/kpwatch/v1/openapi.json", "api/kpwatch/v1/fleet", "api/kpwatch/v1/findings", "metrics"].map((path) => <li key={path}><a href={new URL(path, home).href} target="_blank" rel="noopener">/{path}</a></li>)}
                  <li><a href={new URL("licenses.txt", home).href} target="_blank" rel="noopener">{t("licences")}</a></li>
                </ul>
              </section>
            </div>
          </section>
          <section class="section"><h2>{t("options")}</h2>
            <div class="panel"><dl class="evidence many">{Object.entries(told.flags).map(([name, value]) => <div key={name}><dt><code>--{name}</code></dt><dd>{value || "–"}</dd></div>)}</dl></div>
          </section>
        </>
      )}
    </div>
  );
}

const timeOf = (milliseconds: number): string => (milliseconds > 0 && milliseconds < 8e15 ? absolute(milliseconds / 1000) : "–");

function Facts({ title, facts }: { title: string; facts: readonly [string, string][] }): JSX.Element {
  return <section class="panel"><h3>{title}</h3><dl class="evidence">{facts.map(([name, text]) => <div key={name}><dt>{name}</dt><dd>{text}</dd></div>)}</dl></section>;
}
