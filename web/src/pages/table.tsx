/* The explorer: any PromQL. As a table: one column per label, the value, the age of the sample.
 *
 * URL: ?q=query &time=Unix seconds (absent: now) &filter=text &sort=column &hide=column,column &unit=how to read values &live=1
 * Further queries stand under the first, as ?q2= &filter2= …; they share the time.
 * The URL is the only state besides the text that is being typed. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { AGE, arranged, columnsOf, factsOf, VALUE, type RowColumn } from "../base/columns";
import { csv, download } from "../base/csv";
import { askDictionary, meaningOf } from "../base/dictionary";
import { EXAMPLES } from "../base/examples";
import { absolute, inputTime } from "../base/format";
import { useLive } from "../base/live";
import { change, nextSort, readSort, usePlace, writeSort, type Params } from "../base/place";
import { namesIn } from "../base/promql";
import { run, type TableAnswer } from "../base/query";
import { MOST_SLOTS, named, numbersOf, paramsOf, SlotNumber, useSlot, without } from "../base/slots";
import type { ServerError } from "../base/server";
import { language, t, type Word } from "../base/words";
import type { Graph as GraphType } from "../parts/graph";
import { Grid } from "../parts/grid";
import { Menu } from "../parts/menu";
import { Picker } from "../parts/picker";
import { QueryBox } from "../parts/querybox";
import { UnitChoice } from "../parts/unitchoice";
import { Notes } from "../parts/words";

const REFRESH_SECONDS = 5;
const MOST_MEANINGS = 2;
const FIRST_QUERY = "up";

export function TablePage(): JSX.Element {
  const { params } = usePlace();
  const numbers = numbersOf(params);
  const free = Array.from({ length: MOST_SLOTS }, (_, at) => at + 1).find((number) => number > Math.max(...numbers));
  return (
    <div class="view explorer">
      <h1>{t("table")}</h1>
      {numbers.map((number) => <SlotNumber key={number} value={number}><Explorer /></SlotNumber>)}
      {free !== undefined && (
        <p class="more"><button type="button" onClick={() => change(named({ q: paramsOf(params, numbers.at(-1) ?? 1).q || FIRST_QUERY }, free), { push: true })}>{t("add_query")}</button></p>
      )}
    </div>
  );
}

/** One query with its answer. */
function Explorer(): JSX.Element {
  const { number, params, change } = useSlot();
  const query = params.q ?? "";
  const time = params.time || null; // as it stands in the URL: what the server cannot read it says itself
  const live = Boolean(params.live) && time === null;
  const typed = useRef(query);
  useEffect(() => { typed.current = query; }, [query]);
  const graph = params.tab === "graph";
  const known = useLive(query && !graph ? `table:${query}@${time ?? ""}` : null, (signal) => run(query, time, signal), live ? REFRESH_SECONDS : null);
  const answer = known.answer;

  const [asked, setAsked] = useState(past);
  useEffect(() => { if (query) setAsked(remember(query)); }, [query]);
  const go = (q: string): void => change({ q, sort: null, filter: null, hide: null, unit: null }, { push: true });
  const submit = (): void => {
    const text = typed.current.trim();
    if (text === query) known.again();
    else go(text);
  };
  return (
    <>
      <div class="tools">
        <form class="asking" onSubmit={(event) => { event.preventDefault(); submit(); }}>
          <QueryBox query={query} onChange={(text) => { typed.current = text; }} onRun={submit} autoFocus={!query} />
          <button type="submit" class="primary">{t("run")}</button>
          <Menu title={t("pick_metric")} end><Picker onPick={go} /></Menu>
          <Menu title={t("history")} end>
            {asked.length === 0 && <p>{t("history_empty")}</p>}
            {asked.map((each) => <button key={each} type="button" onClick={() => go(each)}><code>{each}</code></button>)}
          </Menu>
          {number === 1 ? <ShareButton /> : <button type="button" onClick={() => change(without(1), { push: true })}>{t("remove_query")}</button>}
        </form>
        {known.error && !known.waiting && <QueryProblem error={known.error as ServerError} />}
        <Meanings query={query} />
        {number === 1 && (
          <div class="examples" role="group" aria-label={t("examples")}>
            {EXAMPLES.map((each) => (
              <button key={each.words} type="button" title={each.query} aria-pressed={each.query === query} onClick={() => go(each.query)}>{t(each.words)}</button>
            ))}
          </div>
        )}
        <Notes notes={answer?.notes ?? []} />
        <div class="tabs" role="group" aria-label={t("table")}>
          <button type="button" aria-pressed={!graph} onClick={() => change({ tab: null }, { push: true })}>{t("as_table")}</button>
          <button type="button" aria-pressed={graph} onClick={() => change({ tab: "graph" }, { push: true })}>{t("as_graph")}</button>
        </div>
        {!graph && (
          <div class="finders">
            <When time={time} live={live} />
            {answer && <Found answer={answer} live={live} />}
          </div>
        )}
        {graph && <Suspended query={query} params={params} />}
      </div>
      {!graph && <Result answer={answer} query={query} waiting={known.waiting} failed={known.error !== null} />}
    </>
  );
}

/** The graph's code comes with the first graph. */
function Suspended(props: { query: string; params: Params }): JSX.Element {
  const [graph, have] = useState<{ Graph: typeof GraphType } | null>(null);
  useEffect(() => void import("../parts/graph").then(have), []);
  return graph ? <graph.Graph {...props} onError={(error) => <QueryProblem error={error} />} /> : <p class="nothing">{t("loading")}</p>;
}

function ShareButton(): JSX.Element {
  const [word, say] = useState<Word>("share");
  const copy = (): void => void navigator.clipboard?.writeText(location.href).then(() => say("copied"));
  return navigator.clipboard ? <button type="button" onClick={copy}>{t(word)}</button> : <></>; // without a secure origin the address bar has it
}

const HISTORY_KEY = "kpwatch.history";
const MOST_REMEMBERED = 30;

function past(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => typeof each === "string") : [];
  } catch {
    return []; // storage may be forbidden, or hold somebody else's words
  }
}

/** The queries asked, this one first. */
function remember(query: string): string[] {
  const asked = [query, ...past().filter((each) => each !== query)].slice(0, MOST_REMEMBERED);
  try {
    localStorage.setItem(HISTORY_KEY, JSON.stringify(asked));
  } catch {
    // Without storage the history ends with the page; nothing else depends on it.
  }
  return asked;
}

function QueryProblem({ error }: { error: ServerError }): JSX.Element {
  return <div class="problem" role="alert"><b>{t("query_failed")}{error.type ? ` (${error.type})` : ""}</b><pre>{error.message}</pre></div>;
}

export function Meanings({ query }: { query: string }): JSX.Element | null {
  const { answer } = useLive("dictionary", askDictionary, null);
  const names = namesIn(query).filter((name) => meaningOf(answer, name)).slice(0, MOST_MEANINGS);
  if (names.length === 0) return null;
  return <ul class="meanings">{names.map((name) => <li key={name}><code>{name}</code> {meaningOf(answer, name)}</li>)}</ul>;
}

function When({ time, live }: { time: string | null; live: boolean }): JSX.Element {
  const at = time !== null && Number.isFinite(Number(time)) ? inputTime(Number(time)) : "";
  return (
    <div class="when">
      <span class="field">{t("at")}
        <button type="button" aria-pressed={time === null} onClick={() => change({ time: null }, { push: true })}>{t("now")}</button>
        <input
          type="datetime-local" step="1" aria-label={t("chosen_time")} value={at}
          onChange={({ currentTarget: { value } }) => change({ time: value && new Date(value).getTime() / 1000, live: null }, { push: true })}
        />
      </span>
      <label class="switch">
        <input type="checkbox" role="switch" checked={live} disabled={time !== null} onChange={(event) => change({ live: event.currentTarget.checked })} />
        {t("auto_refresh")}
      </label>
    </div>
  );
}

/** What is shown of an answer, as the URL says. */
function useShown(answer: TableAnswer): { columns: RowColumn[]; visible: RowColumn[]; rows: ReturnType<typeof arranged>; hidden: Set<string> } {
  const { params } = useSlot();
  const columns = useMemo(() => columnsOf(answer, params.unit ?? ""), [answer, params.unit, language()]);
  const rows = useMemo(() => arranged(answer.rows, columns, params), [answer, columns, params.filter, params.sort]);
  const hidden = new Set((params.hide ?? "").split(","));
  const visible = useMemo(() => columns.filter(({ id }) => !hidden.has(id)), [columns, params.hide]);
  return { columns, visible, rows, hidden };
}

function Found({ answer, live }: { answer: TableAnswer; live: boolean }): JSX.Element {
  const { params, change } = useSlot();
  const { columns, visible, rows, hidden } = useShown(answer);
  const records = (): unknown[][] => {
    const fields = visible.flatMap((column) => column.csv);
    return [fields.map(([name]) => name), ...rows.map((row) => fields.map(([, read]) => read(row)))];
  };
  const toggle = (id: string, show: boolean): void => {
    const others = [...hidden].filter((each) => each && each !== id);
    change({ hide: (show ? others : [...others, id]).join(",") });
  };
  return (
    <>
      <input
        type="search" placeholder={t("filter_rows")} aria-label={t("filter_rows")} value={params.filter ?? ""}
        onInput={(event) => change({ filter: event.currentTarget.value })}
      />
      <UnitChoice chosen={params.unit ?? ""} />
      <Menu title={t("columns")}>
        {columns.map(({ id, title }) => (
          <label key={id}><input type="checkbox" value={id} checked={!hidden.has(id)} onChange={(event) => toggle(id, event.currentTarget.checked)} />{title}</label>
        ))}
      </Menu>
      <button type="button" onClick={() => download("kpwatch.csv", csv(records()))}>{t("csv")}</button>
      <button type="button" onClick={() => download("kpwatch.json", JSON.stringify(answer.data, null, 1), "application/json")}>{t("json")}</button>
      <p class="facts" aria-live={live ? "off" : "polite"} title={absolute(answer.evaluated, { milliseconds: true })}>{factsOf(answer, rows.length)}</p>
    </>
  );
}

interface ResultProps {
  readonly answer: TableAnswer | null;
  readonly query: string;
  readonly waiting: boolean;
  readonly failed: boolean;
}

function Result({ answer, query, waiting, failed }: ResultProps): JSX.Element {
  if (!answer) return <div class="board" aria-busy={waiting || undefined}>{!failed && <p class="nothing">{t(query ? "loading" : "nothing_yet")}</p>}</div>;
  return <Rows answer={answer} waiting={waiting} />;
}

function Rows({ answer, waiting }: { answer: TableAnswer; waiting: boolean }): JSX.Element {
  const { params, change } = useSlot();
  const { visible, rows } = useShown(answer);
  const sort = readSort(params.sort);
  const board = useRef<HTMLDivElement>(null);
  useEffect(() => { // the value stays in sight beside the age; how far from the edge that is, only the layout knows
    const head = board.current?.querySelector<HTMLElement>(`th[data-column="${AGE}"]`);
    board.current?.style.setProperty("--age-width", `${head?.offsetWidth ?? 0}px`);
  });
  return (
    <div class="board" ref={board} aria-busy={waiting || undefined}>
      {rows.length > 0 && (
        <Grid label={t("table")} columns={visible} rows={rows} sort={sort} onSort={(id) => change({ sort: writeSort(nextSort(sort, id, id === VALUE)) })} />
      )}
      {rows.length === 0 && <p class="nothing">{t(answer.rows.length === 0 ? "empty_result" : "no_match")}</p>}
    </div>
  );
}
