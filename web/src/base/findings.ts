/* What the doctor says, as `kpwatch doctor --json` has it. */

import type { Brief } from "./fleet";
import { bytes, count, latency } from "./format";
import { ask } from "./server";
import { language } from "./words";

export interface Finding extends Brief {
  readonly evidence: readonly { what: string; value: string | number | boolean | null }[];
  readonly means: string;
  readonly do: readonly string[];
  readonly since: string | null;
}

export interface Judged {
  readonly ident: string;
  readonly verdict: string;
  readonly findings: readonly Finding[];
  readonly not_judged: readonly { check: string; why: string }[];
  /** Checks of the fleet's findings that are about this node too. */
  readonly shared?: readonly string[];
}

export interface Findings { readonly nodes: readonly Judged[]; readonly fleet: { findings: readonly Finding[] } }

export const askFindings = (signal: AbortSignal): Promise<Findings> => ask<Findings>("api/kpwatch/v1/findings", { lang: language() }, signal);

/* How a finding writes units (the number is what programs read), and how a person reads them. */
const EVIDENCE_UNITS: readonly [string, (value: number) => string][] = [
  [" (seconds)", (value) => (value < 0 ? `-${latency(-value)}` : latency(value))],
  [" (bytes)", bytes],
];

/** Name and value of a piece of evidence; the unit moves from the one to the other. */
export function evidenceWords({ what, value }: Finding["evidence"][number]): readonly [string, string] {
  if (typeof value !== "number") return [what, String(value ?? "–")];
  const found = EVIDENCE_UNITS.find(([unit]) => what.includes(unit));
  if (found) return [what.replace(found[0], ""), found[1](value)];
  return [what, count(Math.abs(value) < 1 ? Number(value.toPrecision(3)) : Math.round(value * 10) / 10)];
}
