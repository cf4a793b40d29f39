/* What the doctor says, as `kpwatch doctor --json` has it. */

import { ask } from "./server";
import type { Brief } from "./fleet";
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
