/* Asking the hub. Addresses are relative to the page, so the hub may stand behind a path prefix. */

import { t } from "./strings.js";

const TIMEOUT_SECONDS = 30;
const LONGEST_GET = 4000; // characters of query string; longer queries go as a form, as Prometheus allows

/** What went wrong, in words for the person: `message`; `type` is Prometheus' errorType where there is one. */
export class ServerError extends Error {
  constructor(message, type = null) {
    super(message);
    this.type = type;
  }
}

/* The hub's clock minus ours in seconds: ages must not depend on the clock of the person's laptop. */
let clockAhead = 0;

export function hubTime() {
  return Date.now() / 1000 + clockAhead;
}

/** The hub's clock as one of its answers told it (Unix seconds). */
export function setHubTime(unixSeconds) {
  const ahead = unixSeconds - Date.now() / 1000;
  clockAhead = Math.abs(ahead) < 2 ? 0 : ahead; // below that it is rounding and the way of the answer
}

export async function ask(path, parameters = {}, { signal = null } = {}) {
  const response = await send(path, parameters, signal);
  const body = await response.json().catch(() => {
    throw new ServerError(response.ok ? t("not_json") : t("server_status", { status: response.status }));
  });
  if (!response.ok || body.status === "error") {
    const status = t("server_status", { status: response.status });
    throw new ServerError(body.error ?? body.detail ?? status, body.errorType ?? null);
  }
  return body;
}

async function send(path, parameters, signal) {
  const clock = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  const options = { signal: signal ? AbortSignal.any([signal, clock]) : clock, headers: { accept: "application/json" } };
  const form = new URLSearchParams(parameters);
  const asForm = form.toString().length > LONGEST_GET;
  const url = asForm || form.size === 0 ? path : `${path}?${form}`;
  try {
    return await fetch(url, asForm ? { ...options, method: "POST", body: form } : options);
  } catch (error) {
    if (signal?.aborted) throw error;
    const slow = error.name === "TimeoutError";
    throw new ServerError(slow ? t("server_slow", { seconds: TIMEOUT_SECONDS }) : t("server_unreachable"));
  }
}

/** An instant query: the answer's { data, warnings, infos }. `time` as the API takes it; null is the server's now. */
export async function instant(query, time, options) {
  return ask("api/v1/query", time === null ? { query } : { query, time }, options);
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

/** Whether only the machine itself reaches this host. */
export function isLoopback(host) {
  return LOOPBACK.test(host);
}

/** The address on which a hub with these flags lets everybody in without asking who they are; null if it does not. */
export function openAddress(flags) {
  const address = flags.listen ?? "";
  const host = address.slice(0, address.lastIndexOf(":"));
  return flags["allow-anonymous"] === "true" && !flags["auth-file"] && !isLoopback(host) ? address : null;
}
