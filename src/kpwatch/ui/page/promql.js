/* The little the page must know about PromQL; everything else is the server's. Pure. */

const STRING = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`/.source;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/.source;
const MATCHERS = `\\{(?:[^{}"'\`]|${STRING})*\\}`;
const SELECTOR = new RegExp(
  `^\\s*(${NAME}\\s*(?:${MATCHERS})?|${MATCHERS})\\s*((?:offset\\s+-?[0-9a-z]+\\s*|@\\s*[-+0-9.a-z()]+\\s*)*)$`,
);

/** The parts of a plain instant selector, {selector, modifiers}; null for any other expression. */
export function plainSelector(expression) {
  const match = SELECTOR.exec(expression);
  return match && { selector: match[1].trim(), modifiers: match[2].trim() };
}

/** An expression that gives each series' own sample time: timestamp() of a plain selector is the sample's. */
export function timestampQuery(expression) {
  return `timestamp(${expression.trim()})`;
}

/** The same series with their samples of the last `window`: carries sample times and keeps metric names. */
export function rangeQuery({ selector, modifiers }, window) {
  return `${selector}[${window}]${modifiers ? ` ${modifiers}` : ""}`;
}

/** The selector of everything one node wrote. */
export function nodeSelector(ident) {
  return `{ident=${JSON.stringify(ident)}}`;
}

/** The metric-name-like word that ends at `caret`, or null where names make no sense (in a string, in matchers). */
export function wordBefore(text, caret) {
  const before = text.slice(0, caret).replace(new RegExp(STRING, "g"), (found) => " ".repeat(found.length));
  if (/["'`]/.test(before)) return null;
  const brace = before.lastIndexOf("{");
  if (brace > before.lastIndexOf("}") || before.lastIndexOf("[") > before.lastIndexOf("]")) return null;
  const word = /[a-zA-Z_:][a-zA-Z0-9_:]*$/.exec(before);
  return word && { word: word[0], start: word.index };
}

/** The metric-name-like words of an expression, in order, once each. */
export function namesIn(expression) {
  const words = expression.replace(new RegExp(STRING, "g"), " ").match(new RegExp(NAME, "g")) ?? [];
  return [...new Set(words)];
}
