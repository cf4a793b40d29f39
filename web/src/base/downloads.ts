/* What the hub gives away, and where agents write to it: addresses, as this browser reaches the hub. */

import { home } from "./place";

export const DOWNLOADS = "api/kpwatch/v1/downloads";

export const writeUrl = (): string => new URL("prometheus/v1/write", home).href;

export function downloadUrl(name: string, parameters: Readonly<Record<string, string>> = {}): string {
  const form = new URLSearchParams(parameters);
  return new URL(`${DOWNLOADS}/${name}${form.size ? `?${form}` : ""}`, home).href;
}
