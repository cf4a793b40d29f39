/* The query box: a plain text field at once, and the editor as soon as somebody goes into it and the editor has come.
 * What was typed meanwhile, the caret and the focus go along. Without the editor (it cannot be loaded) the field stays. */

import type { EditorView } from "@codemirror/view";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { language, t } from "../base/words";

interface Props {
  /** What stands in the box until somebody types; whenever it changes it replaces what was typed. */
  readonly query: string;
  readonly onChange: (text: string) => void;
  readonly onRun: () => void;
  readonly autoFocus: boolean;
}

const EXAMPLE = 'up{job="kube-proxy"}';

export function QueryBox({ query, onChange, onRun, autoFocus }: Props): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView | null>(null);
  const [has, have] = useState(false);
  const handlers = useRef({ onChange, onRun });
  handlers.current = { onChange, onRun };
  const asked = useRef(false);

  async function load(): Promise<void> {
    if (asked.current) return;
    asked.current = true;
    const { mountEditor } = await import("./editor").catch(() => ({ mountEditor: null }));
    const from = field.current;
    if (!mountEditor || !from || !host.current) return;
    const focused = document.activeElement === from;
    editor.current = mountEditor(host.current, {
      text: from.value, selection: [from.selectionStart, from.selectionEnd], label: t("query"), hint: t("query_hint"), example: EXAMPLE,
      onChange: (value) => handlers.current.onChange(value), onRun: () => handlers.current.onRun(),
    });
    host.current.hidden = false; // what is hidden takes no focus, and the next drawing is not yet
    if (focused) editor.current.focus();
    have(true);
  }

  useEffect(() => {
    const view = editor.current;
    if (field.current) field.current.value = query;
    if (view && view.state.doc.toString() !== query) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: query }, selection: { anchor: query.length } });
  }, [query]);
  useEffect(() => { editor.current?.contentDOM.setAttribute("aria-label", t("query")); }, [language()]);
  useEffect(() => { if (autoFocus) field.current?.focus({ preventScroll: true }); }, []);
  useEffect(() => () => editor.current?.destroy(), []);

  return (
    <div class="box">
      <div ref={host} class="editor" hidden={!has} />
      {!has && (
        <textarea
          ref={field} class="query" rows={1} spellcheck={false} autocapitalize="off" autocomplete="off"
          aria-label={t("query")} title={t("query_hint")} placeholder={EXAMPLE}
          onFocus={() => void load()} onInput={(event) => onChange(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            onRun();
          }}
        />
      )}
    </div>
  );
}
