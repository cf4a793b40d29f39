/* States over time: a strip for each series, its colours said in words below. */

import type { JSX } from "preact";
import { absolute } from "../base/format";
import type { Line, State } from "../base/panels";
import type { Span } from "../base/span";

interface Run { readonly from: number; readonly to: number; readonly value: number | null }

/** Neighbours of one value as one run, [from, to). */
export function runsOf(values: readonly (number | null)[]): Run[] {
  const runs: Run[] = [];
  let from = 0;
  for (let at = 1; at <= values.length; at += 1) {
    if (at < values.length && values[at] === values[from]) continue;
    runs.push({ from, to: at, value: values[from] ?? null });
    from = at;
  }
  return runs;
}

const severityOf = (states: readonly State[], value: number | null): State | null => states.find((state) => state.value === value) ?? null;

export function Strips({ span, lines, states }: { span: Span; lines: readonly Line[]; states: readonly State[] }): JSX.Element {
  const seen = states.filter(({ value }) => lines.some(({ values }) => values.includes(value)));
  return (
    <div class="strips">
      {lines.map(({ name, values }) => {
        const now = severityOf(states, values.findLast((value) => value !== null) ?? null);
        return (
          <div class="strip" key={name}>
            <span class="name" title={name}>{name}</span>
            <svg viewBox={`0 0 ${span.steps} 10`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${now?.text ?? "–"}`}>
              {runsOf(values).filter(({ value }) => value !== null).map(({ from, to, value }) => {
                const state = severityOf(states, value);
                return (
                  <rect key={from} x={from} y="0" width={to - from} height="10" data-tone={state?.severity}>
                    <title>{`${absolute(span.start + from * span.step)} – ${absolute(span.start + (to - 1) * span.step)}: ${state?.text ?? value}`}</title>
                  </rect>
                );
              })}
            </svg>
            <span class="now" data-tone={now?.severity}>{now?.text ?? "–"}</span>
          </div>
        );
      })}
      <ul class="keys">{seen.map(({ value, severity, text }) => <li key={value} data-tone={severity}>{text}</li>)}</ul>
    </div>
  );
}
