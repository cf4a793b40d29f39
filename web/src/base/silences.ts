/* Silences of the hub's own: which alerts they quieten, and making and ending them. */

import { hubTime, tell, type Metric } from "./server";

export interface Matcher { readonly name: string; readonly value: string; readonly isRegex?: boolean; readonly isEqual?: boolean }
export interface Silence {
  readonly id: string; readonly matchers: readonly Matcher[]; readonly comment?: string; readonly createdBy?: string;
  readonly endsAt?: string; readonly status?: { state: string };
}

const SILENCES = "api/kpwatch/v1/silences";

/** Whether an active silence is about an alert with these labels, as Alertmanager means it. */
export const isSilenced = (labels: Metric, silences: readonly Silence[]): boolean => silences.some(
  ({ matchers, status }) => status?.state === "active" && matchers.every((matcher) => holds(matcher, labels[matcher.name] ?? "")),
);

function holds({ value, isRegex = false, isEqual = true }: Matcher, label: string): boolean {
  return (isRegex ? matches(value, label) : value === label) === isEqual;
}

/* The hub's expressions are RE2's; one that means nothing here silences nothing here. */
function matches(expression: string, text: string): boolean {
  try {
    return new RegExp(`^(?:${expression})$`).test(text);
  } catch {
    return false;
  }
}

/** A silence about exactly these labels. */
export function silence(labels: Metric, seconds: number): Promise<void> {
  const matchers = Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
  const endsAt = new Date((hubTime() + seconds) * 1000).toISOString();
  return tell("POST", SILENCES, { matchers, endsAt, createdBy: "kpwatch", comment: "" });
}

/** It ends now. */
export const expire = (id: string): Promise<void> => tell("DELETE", `${SILENCES}/${encodeURIComponent(id)}`);
