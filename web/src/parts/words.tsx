/* Texts from the table of words and from the hub, which may hold `code`. */

import type { JSX } from "preact";
import { t } from "../base/words";

/** `code` between backticks is set as code; nothing else is interpreted. */
export function Rich({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

/** An error where it happened, with what to do about it. */
export function Problem({ error, again }: { error: Error | null; again?: (() => void) | undefined }): JSX.Element | null {
  if (!error) return null;
  return (
    <p class="problem" role="alert">
      {t("failed", { error: error.message })} {again && <button type="button" onClick={again}>{t("retry")}</button>}
    </p>
  );
}

/** A wait that is told only when it lasts (CSS delays it). */
export function Waiting(): JSX.Element {
  return <p class="waiting" role="status"><span class="spinner" aria-hidden="true" />{t("loading")}</p>;
}

export function Notes({ notes }: { notes: readonly string[] }): JSX.Element | null {
  return notes.length > 0 ? <ul class="notes">{notes.map((note) => <li key={note}>{note}</li>)}</ul> : null;
}
