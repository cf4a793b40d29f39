/* Silences of the hub's own: making and ending them. Which alerts they quieten the hub says (`silencedBy`). */

import { hubTime, tell, type Metric } from "./server";

export interface Silence {
  readonly id: string; readonly matchers: readonly { name: string; value: string }[]; readonly comment?: string;
  readonly endsAt?: string; readonly status?: { state: string };
}

const SILENCES = "api/kpwatch/v1/silences";

/** A silence about exactly these labels. */
export function silence(labels: Metric, seconds: number): Promise<void> {
  const matchers = Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
  const endsAt = new Date((hubTime() + seconds) * 1000).toISOString();
  return tell("POST", SILENCES, { matchers, endsAt, createdBy: "kpwatch", comment: "" });
}

/** It ends now. */
export const expire = (id: string): Promise<void> => tell("DELETE", `${SILENCES}/${encodeURIComponent(id)}`);
