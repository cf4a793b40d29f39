/* Asking the hub. Addresses are relative to the page's home, so the hub may stand behind a path prefix. */

import { home } from "./place";
import { t } from "./words";

const TIMEOUT_SECONDS = 30;
const LONGEST_GET = 4000; // characters of query string; longer queries go as a form, as Prometheus allows

/** What went wrong, in words for the person: `message`; `type` is Prometheus' errorType where there is one. */
export class ServerError extends Error {
  constructor(message: string, readonly type: string | null = null, readonly status: number | null = null) {
    super(message);
  }
}

/* The hub's clock minus ours in seconds: ages must not depend on the clock of the person's laptop. */
let clockAhead = 0;

export const hubTime = (): number => Date.now() / 1000 + clockAhead;

/** The hub's clock as one of its answers told it (Unix seconds). */
export function setHubTime(unixSeconds: number): void {
  const ahead = unixSeconds - Date.now() / 1000;
  clockAhead = Math.abs(ahead) < 2 ? 0 : ahead; // below that it is rounding and the way of the answer
}

type Parameters = Record<string, string | number>;

/** JSON of a URL of the hub; throws ServerError, or what an aborted `signal` makes of it. */
export async function ask<Body>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<Body> {
  const response = await send(path, parameters, signal);
  const status = t("server_status", { status: response.status });
  const body = (await response.json().catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ServerError(response.ok ? t("not_json") : status, null, response.status);
  })) as Body & { status?: string; error?: string; detail?: string; errorType?: string };
  if (!response.ok || body.status === "error") {
    throw new ServerError(body.error ?? body.detail ?? status, body.errorType ?? null, response.status);
  }
  return body;
}

/** The text at a URL of the hub; throws as `ask`. */
export async function askText(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<string> {
  const response = await send(path, parameters, signal);
  if (!response.ok) throw new ServerError(t("server_status", { status: response.status }), null, response.status);
  return response.text();
}

/** Change something at the hub; throws as `ask`. */
export async function tell(method: "POST" | "DELETE", path: string, body?: unknown): Promise<void> {
  const options = { method, signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000), headers: { "content-type": "application/json" } };
  const response = await fetch(new URL(path, home), body === undefined ? options : { ...options, body: JSON.stringify(body) })
    .catch(() => { throw new ServerError(t("server_unreachable")); });
  if (response.ok) return;
  const said = (await response.json().catch(() => ({}))) as { error?: string; detail?: string };
  throw new ServerError(said.error ?? said.detail ?? t("server_status", { status: response.status }), null, response.status);
}

async function send(path: string, parameters: Parameters, signal?: AbortSignal): Promise<Response> {
  const clock = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  const options = { signal: signal ? AbortSignal.any([signal, clock]) : clock, headers: { accept: "application/json" } };
  const form = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const asForm = form.toString().length > LONGEST_GET;
  const url = new URL(asForm || form.size === 0 ? path : `${path}?${form}`, home);
  try {
    return await fetch(url, asForm ? { ...options, method: "POST", body: form } : options);
  } catch (error) {
    if (signal?.aborted) throw error;
    const slow = error instanceof Error && error.name === "TimeoutError";
    throw new ServerError(slow ? t("server_slow", { seconds: TIMEOUT_SECONDS }) : t("server_unreachable"));
  }
}

export type Metric = Record<string, string>;
export type Point = [time: number, value: string];
export interface Histogram { count: string; sum: string }
export interface VectorSample { metric: Metric; value?: Point; histogram?: [number, Histogram] }
export interface MatrixSeries { metric: Metric; values?: Point[]; histograms?: [number, Histogram][] }
export type QueryData =
  | { resultType: "vector"; result: VectorSample[] }
  | { resultType: "matrix"; result: MatrixSeries[] }
  | { resultType: "scalar" | "string"; result: Point };
export interface QueryAnswer { data: QueryData; warnings?: string[]; infos?: string[] }

/** An instant query; `time` as the API takes it, null is the server's now. */
export function instant(query: string, time: string | number | null, signal?: AbortSignal): Promise<QueryAnswer> {
  return ask("api/v1/query", time === null ? { query } : { query, time }, signal);
}

/** The series of a range query. */
export async function range(query: string, start: number, end: number, step: number, signal?: AbortSignal): Promise<MatrixSeries[]> {
  const body = await ask<{ data: { result: MatrixSeries[] } }>("api/v1/query_range", { query, start, end, step }, signal);
  return body.data.result;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

/** Whether only the machine itself reaches this host. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

export type Flags = Record<string, string>;

/** The address on which a hub with these flags lets everybody in without asking who they are; null if it does not. */
export function openAddress(flags: Flags): string | null {
  const address = flags.listen ?? "";
  const host = address.slice(0, address.lastIndexOf(":"));
  return flags["allow-anonymous"] === "true" && !flags["auth-file"] && !isLoopback(host) ? address : null;
}
