/* The little the page must know about PromQL; everything else is the server's. Pure. */

const STRING = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`/.source;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/.source;
const MATCHERS = `\\{(?:[^{}"'\`]|${STRING})*\\}`;
const SELECTOR = new RegExp(
  `^\\s*(${NAME}\\s*(?:${MATCHERS})?|${MATCHERS})\\s*((?:offset\\s+-?[0-9a-z]+\\s*|@\\s*[-+0-9.a-z()]+\\s*)*)$`,
);

export interface Selector {
  readonly selector: string;
  readonly modifiers: string;
}

/** The parts of a plain instant selector, {selector, modifiers}; null for any other expression. */
export function plainSelector(expression: string): Selector | null {
  const match = SELECTOR.exec(expression);
  return match && { selector: (match[1] ?? "").trim(), modifiers: (match[2] ?? "").trim() };
}

/** An expression that gives each series' own sample time: timestamp() of a plain selector is the sample's. */
export function timestampQuery(expression: string): string {
  return `timestamp(${expression.trim()})`;
}

/** The same series with their samples of the last `window`: carries sample times and keeps metric names. */
export function rangeQuery({ selector, modifiers }: Selector, window: string): string {
  return `${selector}[${window}]${modifiers ? ` ${modifiers}` : ""}`;
}

/** The selector of everything one node wrote. */
export function nodeSelector(ident: string): string {
  return `{ident=${JSON.stringify(ident)}}`;
}

/** The metric-name-like words of an expression, in order, once each. */
export function namesIn(expression: string): string[] {
  const words = expression.replace(new RegExp(STRING, "g"), " ").match(new RegExp(NAME, "g")) ?? [];
  return [...new Set(words)];
}

/* Variables of other programs' boards: $__interval, ${__rate_interval}, [[__range_s]] … A suffix asks for a bare number. */
const VARIABLE = /\$\{__(?:rate_)?(?:interval|range)(_ms|_s)?\}|\[\[__(?:rate_)?(?:interval|range)(_ms|_s)?\]\]|\$__(?:rate_)?(?:interval|range)(_ms|_s)?(?![a-zA-Z0-9_])/g;

/** An expression copied from a board, its variables of time replaced by so many seconds; `replaced`: which, once each. */
export function filledIn(expression: string, seconds: number): { query: string; replaced: string[] } {
  const replaced = new Set<string>();
  const query = expression.replace(VARIABLE, (variable: string, ...suffixes: (string | undefined)[]) => {
    replaced.add(variable);
    const suffix = suffixes.slice(0, 3).find((each) => each !== undefined);
    return suffix === "_ms" ? String(seconds * 1000) : suffix === "_s" ? String(seconds) : `${seconds}s`;
  });
  return { query, replaced: [...replaced] };
}
