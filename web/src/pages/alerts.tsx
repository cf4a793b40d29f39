/* Alerts: what fires, since when and why; the rules behind it; silences; faults in rule files.
 *
 * URL: ?q=text &state=firing, pending or inactive */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { absolute, count, duration } from "../base/format";
import { useLive, useTick } from "../base/live";
import { change, linkTo, usePlace } from "../base/place";
import { ask, hubTime, type Metric } from "../base/server";
import { expire, silence, type Silence } from "../base/silences";
import { hasWords, language, t, type Word } from "../base/words";
import { Copyable } from "../parts/copyable";
import { Problem, Rich, Waiting } from "../parts/words";

interface Alert { readonly labels: Metric; readonly annotations: Metric; readonly state: "firing" | "pending"; readonly activeAt?: string; readonly value?: string; readonly silencedBy?: readonly string[] }
interface Rule {
  readonly name: string; readonly type: "alerting" | "recording"; readonly state?: string; readonly query: string; readonly duration?: number;
  readonly health: string; readonly lastError?: string; readonly alerts?: readonly Alert[]; readonly annotations?: Metric; readonly labels?: Metric;
}
interface Group { readonly name: string; readonly file: string; readonly rules: readonly Rule[] }
interface Trouble { readonly file: string; readonly line: number | null; readonly where: string; readonly reason: string }
interface Told { readonly groups: readonly Group[]; readonly silences: readonly Silence[]; readonly problems: readonly Trouble[] }

const REFRESH_SECONDS = 10;
const SILENCE_SECONDS = 2 * 3600;
const STATES = ["firing", "pending", "inactive"] as const;
const TONES = { firing: "critical", pending: "warning", inactive: "ok" } as const;

export function AlertsPage(): JSX.Element {
  const { params } = usePlace();
  const known = useLive("alerts", askAlerts, REFRESH_SECONDS);
  useTick(1);
  const told = known.shown;
  const [failed, setFailed] = useState<Error | null>(null);
  const act = (doing: Promise<void>): void => void doing.then(() => setFailed(null), setFailed).then(known.again);
  const rules = useMemo(() => told?.groups.flatMap((group) => group.rules.map((rule) => ({ rule, group }))) ?? [], [told]);
  const alerting = rules.filter(({ rule }) => rule.type === "alerting");
  const words = (params.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rules
    .filter(({ rule }) => !params.state || rule.state === params.state)
    .filter(({ rule, group }) => words.every((word) => JSON.stringify([rule.name, group.name, rule.query, rule.alerts?.map(({ labels }) => labels)]).toLowerCase().includes(word)))
    .sort((a, b) => order(a.rule) - order(b.rule));
  return (
    <div class="view page alerts">
      <h1 class="shown">{t("alerts")}</h1>
      <Problem error={failed ?? known.error} again={known.again} />
      {!told && !known.error && <Waiting />}
      {told && told.problems.length > 0 && <ul class="notes">{told.problems.map((each, index) => <li key={index}><code>{each.file}{each.line ? `:${each.line}` : ""}</code> {each.where} {each.reason}</li>)}</ul>}
      {told && rules.length === 0 && (
        <section class="empty"><h2>{t("no_rules")}</h2><p><Rich text={t("no_rules_lead")} /></p><Copyable lines={"kpwatch publish --for prometheus --out published\nkpwatch hub --rules published/prometheus/rules/*.yml"} /></section>
      )}
      {rules.length > 0 && (
        <>
          <div class="finders">
            <div class="verdicts" role="group" aria-label={t("verdict")}>
              {STATES.map((state) => {
                const size = alerting.filter(({ rule }) => rule.state === state).length;
                return (
                  <button key={state} type="button" data-tone={size > 0 ? TONES[state] : undefined} aria-pressed={params.state === state} onClick={() => change({ state: params.state === state ? null : state }, { push: true })}>
                    <b>{count(size)}</b> <span>{t(wordOf(state))}</span>
                  </button>
                );
              })}
            </div>
            <input type="search" placeholder={t("filter_rules")} aria-label={t("filter_rules")} value={params.q ?? ""} onInput={(event) => change({ q: event.currentTarget.value })} />
          </div>
          <div class="entries">{shown.map(({ rule, group }) => <RuleView key={`${group.file}/${group.name}/${rule.name}/${rule.query}`} rule={rule} group={group} act={act} />)}</div>
          {shown.length === 0 && <p class="nothing">{t("no_match")}</p>}
          <section class="section"><h2>{t("silences")}</h2>
            {told?.silences.length === 0 && <p class="meaning">{t("no_silences")}</p>}
            <ul class="plain">{told?.silences.map((each) => <li key={each.id}><code>{each.matchers.map(({ name, value }) => `${name}=${value}`).join(", ")}</code> {each.comment} {each.endsAt && t("until", { time: absolute(Date.parse(each.endsAt) / 1000) })} <button type="button" onClick={() => act(expire(each.id))}>{t("end_silence")}</button></li>)}</ul>
          </section>
        </>
      )}
    </div>
  );
}

const wordOf = (state: (typeof STATES)[number] | "recording"): Word => (state === "pending" ? "pending_word" : state);

const order = (rule: Rule): number => (rule.health === "err" ? -1 : rule.type === "recording" ? 9 : STATES.indexOf(rule.state as "firing"));

async function askAlerts(signal: AbortSignal): Promise<Told> {
  const [rules, problems, silences] = await Promise.all([
    ask<{ data: { groups: Group[] } }>("api/v1/rules", {}, signal),
    ask<{ data: { problems: Trouble[] } }>("api/kpwatch/v1/rules/problems", {}, signal),
    ask<{ data: { silences: Silence[] } }>("api/kpwatch/v1/silences", {}, signal),
  ]);
  return { groups: rules.data.groups, problems: problems.data.problems, silences: silences.data.silences.filter(({ status }) => status?.state !== "expired") };
}

interface Actions { readonly act: (doing: Promise<void>) => void }

const severityWord = (severity: string): string => (hasWords(severity) ? t(severity) : severity);

function RuleView({ rule, group, ...actions }: { rule: Rule; group: Group } & Actions): JSX.Element {
  const state = rule.type === "recording" ? "recording" : (rule.state as (typeof STATES)[number] | undefined) ?? "inactive";
  const tone = rule.health === "err" ? "warning" : state === "recording" ? "unknown" : TONES[state];
  return (
    <details class="entry" open={state === "firing"}>
      <summary>
        <span class="badge" data-tone={tone}>{t(rule.health === "err" ? "rule_error" : wordOf(state))}</span> <b>{rule.name}</b>
        <span class="title">{rule.labels?.severity ? `${severityWord(rule.labels.severity)} · ` : ""}{group.name}{rule.alerts && rule.alerts.length > 0 ? ` · ${t("alerts_count", { count: rule.alerts.length })}` : ""}</span>
      </summary>
      <div class="body">
        {rule.lastError && <p class="problem">{rule.lastError}</p>}
        {rule.alerts?.map((alert) => <AlertView key={JSON.stringify(alert.labels)} alert={alert} {...actions} />)}
        <details class="promql"><summary>PromQL</summary><pre tabIndex={0}><code>{rule.query}</code></pre></details>
        <p class="links"><a href={linkTo("table", { q: rule.query })}>{t("open_in_explorer")}</a> <span>{rule.duration ? t("held_for", { age: duration(rule.duration) }) : ""} <code>{group.file}</code></span></p>
      </div>
    </details>
  );
}

function AlertView({ alert, act }: { alert: Alert } & Actions): JSX.Element {
  const { ident, alertname: _, ...labels } = alert.labels;
  const summary = (language() === "zh" && alert.annotations.summary_zh) || alert.annotations.summary;
  const since = alert.activeAt ? Date.parse(alert.activeAt) / 1000 : null;
  return (
    <div class="alert">
      <span class="badge" data-tone={TONES[alert.state]}>{t(wordOf(alert.state))}</span>
      {ident && <a href={linkTo("node", { ident })}>{ident}</a>}
      <span class="title">{summary ?? Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ")}</span>
      {since !== null && <span class="since" title={absolute(since)}>{duration(hubTime() - since)}</span>}
      {alert.silencedBy
        ? <span class="since">{t("silenced")}</span>
        : alert.state === "firing" && <button type="button" onClick={() => act(silence(alert.labels, SILENCE_SECONDS))}>{t("silence_for", { age: duration(SILENCE_SECONDS) })}</button>}
    </div>
  );
}
