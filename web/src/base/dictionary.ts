/* What the hub knows of kube-proxy: asked once, kept as long as the page lives. */

import { ask } from "./server";
import { said, type Said } from "./words";

export interface Metric {
  readonly name: string;
  readonly group: string;
  readonly type: string;
  readonly unit: string;
  readonly since: string;
  readonly removed: string;
  readonly modes: readonly string[];
  readonly labels: readonly string[];
  readonly buckets: string;
  readonly title: Said | null;
  readonly meaning: Said | null;
  readonly absent: Said | null;
  readonly bad: Said | null;
  readonly do: Said | null;
  readonly changed: readonly ({ at: string } & Said)[];
  readonly see: readonly string[];
}

export interface Group { readonly id: string; readonly exposed_by: string; readonly title: Said }
export interface Prefix { readonly prefix: string; readonly group: string; readonly title: Said; readonly meaning: Said }

export interface Check {
  readonly id: string;
  readonly levels: readonly { severity: string; query: string; for: string }[];
  readonly evidence: readonly { query: string; unit: string; what: Said }[];
  readonly summary: Said;
  readonly means: Said;
  readonly causes: { zh: readonly string[] | string; en: readonly string[] | string };
  readonly do: { zh: readonly string[]; en: readonly string[] };
}

export interface Dictionary {
  readonly groups: readonly Group[];
  readonly prefixes: readonly Prefix[];
  readonly metrics: readonly Metric[];
  /** Absent where the hub is older than this page. */
  readonly checks?: readonly Check[];
}

const SUFFIX = /_(bucket|count|sum)$/; // a histogram's series carry their family's meaning

export const askDictionary = (signal: AbortSignal): Promise<Dictionary> => ask<Dictionary>("api/kpwatch/v1/dictionary", {}, signal);

const indices = new WeakMap<Dictionary, Map<string, Metric>>();

export function metricOf(dictionary: Dictionary | null, name: string): Metric | null {
  if (!dictionary) return null;
  let index = indices.get(dictionary);
  if (!index) indices.set(dictionary, (index = new Map(dictionary.metrics.map((row) => [row.name, row]))));
  return index.get(name) ?? index.get(name.replace(SUFFIX, "")) ?? null;
}

/** A few words about a metric in the chosen language, or "". */
export const meaningOf = (dictionary: Dictionary | null, name: string): string => said(metricOf(dictionary, name)?.meaning);
