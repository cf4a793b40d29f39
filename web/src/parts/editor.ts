/* The query editor: CodeMirror with PromQL, loaded when somebody goes into the query box.
 *
 * It lives in a shadow root, where its styles are constructed style sheets: a <style> element would need an exception
 * from the Content-Security-Policy. Colours are the page's custom properties, which a shadow root inherits. */

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionStatus, moveCompletionSelection } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState, Prec, type Transaction } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { home } from "../base/place";

export interface Options {
  readonly text: string;
  readonly selection: readonly [number, number];
  readonly label: string;
  readonly hint: string;
  readonly example: string;
  readonly onChange: (text: string) => void;
  readonly onRun: () => void;
}

const colours = HighlightStyle.define([
  { tag: [tags.function(tags.variableName), tags.keyword, tags.modifier], color: "var(--syntax-function)" },
  { tag: [tags.string], color: "var(--syntax-string)" },
  { tag: [tags.number, tags.literal], color: "var(--syntax-number)" },
  { tag: [tags.labelName], color: "var(--syntax-label)" },
  { tag: [tags.operator, tags.arithmeticOperator, tags.logicOperator, tags.compareOperator], color: "var(--muted)" },
  { tag: [tags.comment], color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.invalid], color: "var(--critical)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--control)", borderRadius: "7px", fontSize: "0.90625rem" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "0.5rem 0.4rem", caretColor: "var(--text)", lineHeight: "1.55" },
  ".cm-scroller": { fontFamily: "var(--mono)", maxHeight: "12rem", lineHeight: "1.55" },
  ".cm-line": { padding: "0 0.35rem" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-soft) !important" },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft) !important", outline: "1px solid var(--line)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "8px", boxShadow: "var(--shadow)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "0.8125rem", maxHeight: "20rem", minWidth: "18rem", maxWidth: "min(44rem, 92vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "0.2rem 0.6rem", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  ".cm-tooltip.cm-completionInfo": { padding: "0.5rem 0.75rem", maxWidth: "24rem", fontFamily: "var(--sans)", fontSize: "0.8125rem" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "0.75rem" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700", color: "var(--accent)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-lintRange": { backgroundImage: "none !important", paddingBottom: "0", borderBottom: "2px dotted var(--warning)" }, // CodeMirror's own line is a data: image, which the policy forbids; a decoration of text Chromium would copy into inline styles
  ".cm-lintRange-error": { borderBottomColor: "var(--critical)" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", fontSize: "0.8125rem", padding: "0.3rem 0.6rem" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--critical)" },
});

/** What is selected on screen, which the state learns of a moment later. A shadow root's getSelection is Chromium's alone. */
function selected(view: EditorView): { from: number; to: number } {
  const selection = (view.root as Partial<Pick<Document, "getSelection">>).getSelection?.();
  const { anchorNode, focusNode, anchorOffset, focusOffset } = selection ?? {};
  if (!anchorNode || !focusNode || !view.contentDOM.contains(anchorNode) || !view.contentDOM.contains(focusNode)) return view.state.selection.main;
  const [from, to] = [view.posAtDOM(anchorNode, anchorOffset), view.posAtDOM(focusNode, focusOffset)].sort((a, b) => a - b);
  return { from: from!, to: to! };
}

/** What is typed goes into the state first and from there into the page, asked of the extensions as CodeMirror asks them:
 * text that Chromium inserts by itself may bring inline styles along, which the policy forbids. Compositions are its own. */
const typed = EditorView.domEventHandlers({
  beforeinput(event, view) {
    if (event.inputType !== "insertText" || event.data === null || event.isComposing || view.composing) return false;
    event.preventDefault();
    const { data: insert } = event;
    const { from, to } = selected(view);
    const change = (): Transaction =>
      view.state.update({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, userEvent: "input.type", scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handles) => handles(view, from, to, insert, change))) view.dispatch(change());
    return true;
  },
});

export function mountEditor(host: HTMLElement, options: Options): EditorView {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const promql = new PromQLExtension().setComplete({ remote: { url: home.href.replace(/\/$/, ""), httpErrorHandler: () => undefined } });
  const run = (view: EditorView): boolean => {
    closeCompletion(view); // what is offered would stand over the answer
    options.onRun();
    return true;
  };
  const takeFirst = (view: EditorView): boolean => {
    if (completionStatus(view.state) !== "active") return false;
    return acceptCompletion(view) || (moveCompletionSelection(true)(view) && acceptCompletion(view));
  };
  const view = new EditorView({
    root,
    state: EditorState.create({
      doc: options.text,
      selection: { anchor: Math.min(options.selection[0], options.text.length), head: Math.min(options.selection[1], options.text.length) },
      extensions: [
        history(), drawSelection(), bracketMatching(), closeBrackets(), EditorView.lineWrapping,
        autocompletion({ selectOnOpen: false, interactionDelay: 0, maxRenderedOptions: 60 }),
        Prec.highest(keymap.of([{ key: "Tab", run: takeFirst }])),
        Prec.high(keymap.of([{ key: "Enter", run, shift: insertNewlineAndIndent }])),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        placeholder(options.example), syntaxHighlighting(colours), look, typed, promql.asExtension(),
        EditorView.contentAttributes.of({ "aria-label": options.label, title: options.hint, spellcheck: "false" }),
        EditorView.updateListener.of((update) => { if (update.docChanged) options.onChange(update.state.doc.toString()); }),
      ],
    }),
  });
  root.replaceChildren(view.dom);
  return view;
}
