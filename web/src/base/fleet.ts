/* The fleet as the hub tells it, and what the page makes of it. Pure but for the asking. */

import { compare, sorted } from "./format";
import { ask } from "./server";
import { hasWords, language, t } from "./words";

export type Severity = "info" | "warning" | "critical";

export interface Brief {
  readonly check: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly since?: string | null;
}

export interface Node {
  readonly ident: string;
  /** ok, warning, critical or unknown; "silent" for one of which nothing worse is known than that it fell silent. */
  readonly tone: string;
  readonly silent: boolean;
  /** Why, where that is known: node_gone, no_kube_proxy, no_agent. */
  readonly silence: string | null;
  readonly findings: readonly Brief[];
  readonly version: string | null;
  readonly mode: string | null;
  readonly last_sync: number | null;
  readonly sync_p99_seconds: number | null;
  readonly pending_changes: number | null;
  readonly failures: number | null;
  readonly up: number | null;
  readonly last_seen: number | null;
  readonly key: string;
}

export interface Fleet {
  readonly time: number;
  readonly nodes: readonly Node[];
  readonly findings: readonly Brief[];
}

type Told = Partial<Node> & { ident: string; verdict: string; silent: boolean; findings: Brief[] };
interface FleetAnswer { time: number; nodes: Told[]; fleet: { findings: Brief[] } }

export async function askFleet(signal: AbortSignal): Promise<Fleet> {
  const answer = await ask<FleetAnswer>("api/kpwatch/v1/fleet", { lang: language() }, signal);
  return { time: answer.time, nodes: answer.nodes.map(nodeOf), findings: answer.fleet.findings };
}

const BLANK = {
  silence: null, version: null, mode: null, last_sync: null, sync_p99_seconds: null, pending_changes: null, failures: null, up: null, last_seen: null,
};

/** A field the hub leaves out is null, never undefined. */
function nodeOf(told: Told): Node {
  const tone = told.silent && !["critical", "warning"].includes(told.verdict) ? "silent" : told.verdict;
  return { ...BLANK, ...told, tone, key: told.ident };
}

/** The verdicts, worst first. A word the hub knows and this page does not is shown as it is, after these. */
export const TONES = ["critical", "silent", "warning", "info", "unknown", "ok"];

export const toneWord = (tone: string): string => (hasWords(tone) ? t(tone) : tone);

export const rank = (tone: string): number => {
  const place = TONES.indexOf(tone);
  return place === -1 ? TONES.length : place;
};

export function worstFirst(a: Node, b: Node): number {
  return rank(a.tone) - rank(b.tone) || b.findings.length - a.findings.length || (b.failures ?? 0) - (a.failures ?? 0);
}

export interface Filter {
  readonly text?: string | undefined;
  readonly verdict?: string | undefined;
  readonly version?: string | undefined;
  readonly mode?: string | undefined;
  readonly check?: string | undefined;
}

/** The nodes that a filter leaves: every word of its text is somewhere in the row. */
export function filtered(nodes: readonly Node[], filter: Filter): Node[] {
  const words = (filter.text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return nodes.filter((node) => (
    (!filter.verdict || node.tone === filter.verdict)
    && (!filter.version || node.version === filter.version)
    && (!filter.mode || node.mode === filter.mode)
    && (!filter.check || node.findings.some(({ check }) => check === filter.check))
    && (words.length === 0 || words.every((word) => textOf(node).includes(word)))
  ));
}

function textOf(node: Node): string {
  const findings = node.findings.map(({ check, summary }) => `${check} ${summary}`);
  return [node.ident, toneWord(node.tone), node.tone, node.version, node.mode, ...findings].join(" ").toLowerCase();
}

/** What occurs in a column, in its natural order. */
export function occurring(values: readonly (string | null)[]): string[] {
  return sorted([...new Set(values.filter((value) => value !== null && value !== ""))] as string[], (value) => value, compare);
}

/** How many nodes each check finds, worst severity and largest count first. */
export function checksOf(nodes: readonly Node[]): { check: string; severity: Severity; summary: string; count: number }[] {
  const found = new Map<string, { check: string; severity: Severity; summary: string; count: number }>();
  for (const { findings } of nodes) {
    for (const { check, severity, summary } of findings) {
      const known = found.get(check);
      if (!known) found.set(check, { check, severity, summary, count: 1 });
      else {
        known.count += 1;
        if (rank(severity) < rank(known.severity)) known.severity = severity;
      }
    }
  }
  return [...found.values()].sort((a, b) => rank(a.severity) - rank(b.severity) || b.count - a.count || compare(a.check, b.check));
}
