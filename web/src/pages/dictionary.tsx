/* The dictionary: every metric and check, what it means, what is bad, what to do; with a node's present values beside it.
 *
 * URL: ?q=text &name=METRIC or CHECK (opened) &ident=NODE &kind=metrics or checks */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { askDictionary, type Check, type Dictionary, type Metric } from "../base/dictionary";
import { askFleet, occurring, toneWord } from "../base/fleet";
import { useLive } from "../base/live";
import { change, linkTo, usePlace, type Params } from "../base/place";
import { instant, type VectorSample } from "../base/server";
import { human } from "../base/units";
import { language, said, t, type Said } from "../base/words";
import { Problem, Rich, Waiting } from "../parts/words";

const MOST_VALUES = 12;

export function DictionaryPage(): JSX.Element {
  const { params } = usePlace();
  const known = useLive("dictionary", askDictionary, null);
  const fleet = useLive(`fleet:${language()}`, askFleet, null).shown;
  const found = useMemo(() => (known.shown ? matching(known.shown, params) : null), [known.shown, params.q, params.kind, language()]);
  return (
    <div class="view page dictionary">
      <h1 class="shown">{t("dictionary")}</h1>
      <div class="finders">
        <input type="search" placeholder={t("search_dictionary")} aria-label={t("search_dictionary")} value={params.q ?? ""} onInput={(event) => change({ q: event.currentTarget.value })} />
        <div class="tabs" role="group" aria-label={t("kind")}>
          {([["", "all"], ["metrics", "metrics"], ["checks", "checks"]] as const).map(([kind, word]) => (
            <button key={kind} type="button" aria-pressed={(params.kind ?? "") === kind} onClick={() => change({ kind })}>{t(word)}</button>
          ))}
        </div>
        <label class="field">{t("values_of")}
          <select aria-label={t("values_of")} value={params.ident ?? ""} onChange={(event) => change({ ident: event.currentTarget.value })}>
            <option value="">{t("no_node")}</option>
            {occurring(fleet?.nodes.map(({ ident }) => ident) ?? []).map((ident) => <option key={ident} value={ident}>{ident}</option>)}
          </select>
        </label>
      </div>
      <Problem error={known.error} again={known.again} />
      {!found && !known.error && <Waiting />}
      {found && <Entries found={found} params={params} />}
    </div>
  );
}

interface Found { readonly checks: readonly Check[]; readonly groups: readonly { title: Said; metrics: readonly Metric[] }[]; readonly prefixes: Dictionary["prefixes"] }

function matching(dictionary: Dictionary, params: Params): Found {
  const words = (params.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const holds = (...texts: (string | undefined)[]): boolean => {
    const text = texts.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const checks = params.kind === "metrics" ? [] : (dictionary.checks ?? []).filter((check) => holds(check.id, said(check.summary), said(check.means)));
  const metrics = params.kind === "checks" ? [] : dictionary.metrics.filter((row) => holds(row.name, said(row.title), said(row.meaning), row.type));
  const prefixes = params.kind === "checks" ? [] : dictionary.prefixes.filter((row) => holds(row.prefix, said(row.title), said(row.meaning)));
  const groups = dictionary.groups.map(({ id, title }) => ({ title, metrics: metrics.filter(({ group }) => group === id) })).filter((group) => group.metrics.length > 0);
  return { checks, groups, prefixes };
}

function Entries({ found, params }: { found: Found; params: Params }): JSX.Element {
  const values = useValues(params.ident ?? "");
  const opened = params.name ?? "";
  const size = found.checks.length + found.prefixes.length + found.groups.reduce((sum, { metrics }) => sum + metrics.length, 0);
  if (size === 0) return <p class="nothing">{t("no_match")} <button type="button" onClick={() => change({ q: null, kind: null })}>{t("clear_filter")}</button></p>;
  return (
    <div class="entries">
      {found.checks.length > 0 && <section class="section"><h2>{t("checks")}</h2>{found.checks.map((check) => <CheckEntry key={check.id} check={check} opened={opened === check.id} />)}</section>}
      {found.groups.map(({ title, metrics }) => (
        <section key={title.en} class="section"><h2>{said(title)}</h2>
          {metrics.map((metric) => <MetricEntry key={metric.name} metric={metric} opened={opened === metric.name} values={values?.get(metric.name)} ident={params.ident ?? ""} />)}
        </section>
      ))}
      {found.prefixes.length > 0 && (
        <section class="section"><h2>{t("families")}</h2>
          {found.prefixes.map((row) => <div key={row.prefix} class="entry flat"><p><code>{row.prefix}…</code> {said(row.title)}</p><p class="meaning"><Rich text={said(row.meaning)} /></p></div>)}
        </section>
      )}
    </div>
  );
}

/** The chosen node's samples of now, by metric's name. */
function useValues(ident: string): Map<string, VectorSample[]> | null {
  const { shown } = useLive(ident ? `values:${ident}` : null, async (signal) => {
    const { data } = await instant(`{ident=${JSON.stringify(ident)},__name__!~".+_bucket"}`, null, signal);
    const found = new Map<string, VectorSample[]>();
    for (const sample of data.resultType === "vector" ? data.result : []) {
      const name = sample.metric.__name__ ?? "";
      for (const key of new Set([name, name.replace(/_(count|sum)$/, "")])) found.set(key, [...(found.get(key) ?? []), sample]);
    }
    return found;
  }, 15);
  return ident ? shown : null;
}

/** The URL names the entry that stands open, so that it can be sent; it is scrolled to once. */
function Entry({ name, opened, head, children }: { name: string; opened: boolean; head: JSX.Element; children: preact.ComponentChildren }): JSX.Element {
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => { if (opened) element.current?.scrollIntoView({ block: "start" }); }, []);
  return (
    <details class="entry" ref={element} open={opened} data-name={name} onToggle={(event) => {
      if (event.currentTarget.open !== opened) change({ name: event.currentTarget.open ? name : null });
    }}>
      <summary>{head}</summary>
      {opened && <div class="body">{children}</div>}
    </details>
  );
}

function MetricEntry({ metric, opened, values, ident }: { metric: Metric; opened: boolean; values: VectorSample[] | undefined; ident: string }): JSX.Element {
  const first = values?.length === 1 ? values[0] : undefined;
  const head = (
    <>
      <code>{metric.name}</code> <span class="title">{said(metric.title)}</span>
      {first?.value && <span class="present">{human(first.value[1], metric.name) ?? first.value[1]}</span>}
      {values && values.length > 1 && <span class="present">{t("series_count", { count: values.length })}</span>}
    </>
  );
  const releases = [metric.since && t("from_release", { release: metric.since }), metric.removed && t("until_release", { release: metric.removed })].filter(Boolean).join(", ");
  const facts: [string, string][] = [[t("type"), metric.type], [t("unit"), metric.unit], [t("labels"), metric.labels.join(", ")], [t("mode"), metric.modes.join(", ")], [t("releases"), releases]];
  return (
    <Entry name={metric.name} opened={opened} head={head}>
      <Text title={null} text={metric.meaning} />
      <Text title={t("bad_when")} text={metric.bad} />
      <Text title={t("what_to_do")} text={metric.do} />
      <Text title={t("absent_when")} text={metric.absent} />
      {metric.changed.map((change) => <Text key={change.at} title={change.at} text={change} />)}
      <dl class="facts-list">{facts.filter(([, text]) => text).map(([name, text]) => <div key={name}><dt>{name}</dt><dd>{text}</dd></div>)}</dl>
      {values && (
        <table class="values"><caption>{t("now_on", { ident })}</caption><tbody>
          {values.slice(0, MOST_VALUES).map((sample, index) => <tr key={index}><td>{labelsOf(sample)}</td><td title={sample.value?.[1]}>{human(sample.value?.[1] ?? "", sample.metric.__name__) ?? sample.value?.[1]}</td></tr>)}
        </tbody></table>
      )}
      <p class="links"><a href={linkTo("table", { q: ident ? `${metric.name}{ident=${JSON.stringify(ident)}}` : metric.name })}>{t("open_in_explorer")}</a>
        {metric.see.map((name) => <a key={name} href={linkTo("dictionary", { name, ident })}><code>{name}</code></a>)}</p>
    </Entry>
  );
}

function labelsOf(sample: VectorSample): string {
  const { __name__: name = "", ident: _, instance: __, job: ___, ...rest } = sample.metric;
  const suffix = /_(count|sum)$/.exec(name)?.[0] ?? "";
  return [suffix, ...Object.entries(rest).map(([key, value]) => `${key}=${value}`)].filter(Boolean).join(" ") || "–";
}

function Text({ title, text }: { title: string | null; text: Said | null | undefined }): JSX.Element | null {
  return text ? <p>{title && <b>{title}: </b>}<Rich text={said(text)} /></p> : null;
}

const listed = (texts: readonly string[] | string): readonly string[] => (typeof texts === "string" ? [texts] : texts).filter(Boolean);

function CheckEntry({ check, opened }: { check: Check; opened: boolean }): JSX.Element {
  const worst = check.levels.at(-1)?.severity === "critical" || check.levels.some(({ severity }) => severity === "critical") ? "critical" : check.levels[0]?.severity ?? "info";
  const steps = listed(check.do[language()]);
  const causes = listed(check.causes[language()]);
  return (
    <Entry name={check.id} opened={opened} head={<><span class="badge" data-tone={worst}>{toneWord(worst)}</span> <code>{check.id}</code> <span class="title">{said(check.summary)}</span></>}>
      <Text title={null} text={check.means} />
      {causes.length > 0 && <><h3>{t("causes")}</h3><ul class="steps">{causes.map((each) => <li key={each}><Rich text={each} /></li>)}</ul></>}
      {steps.length > 0 && <><h3>{t("what_to_do")}</h3><ol class="steps">{steps.map((each) => <li key={each}><Rich text={each} /></li>)}</ol></>}
      <p class="links"><a href={linkTo("", { check: check.id })}>{t("nodes_with", { check: check.id })}</a></p>
    </Entry>
  );
}
