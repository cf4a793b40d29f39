/* A metric to start from: the names that this hub has samples of, found by name or by what the dictionary says of them. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { askDictionary, metricOf } from "../base/dictionary";
import { useLive } from "../base/live";
import { ask } from "../base/server";
import { language, said, t } from "../base/words";
import { Problem, Waiting } from "./words";

const MOST_SHOWN = 200;

export function Picker({ onPick }: { onPick: (name: string) => void }): JSX.Element {
  const [wanted, want] = useState("");
  const known = useLive("names", async (signal) => (await ask<{ data: string[] }>("api/v1/label/__name__/values", {}, signal)).data, null);
  const dictionary = useLive("dictionary", askDictionary, null).shown;
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (known.shown ?? [])
    .map((name) => ({ name, title: said(metricOf(dictionary, name)?.title) }))
    .filter(({ name, title }) => words.every((word) => `${name} ${title}`.toLowerCase().includes(word)));
  return (
    <>
      <input type="search" placeholder={t("search_names")} aria-label={t("search_names")} value={wanted} onInput={(event) => want(event.currentTarget.value)} />
      <Problem error={known.error} again={known.again} />
      {!known.shown && !known.error && <Waiting />}
      {found.slice(0, MOST_SHOWN).map(({ name, title }) => <button key={name} type="button" lang={language()} onClick={() => onPick(name)}><code>{name}</code> <small>{title}</small></button>)}
      {known.shown && found.length === 0 && <p>{t("no_match")}</p>}
    </>
  );
}
