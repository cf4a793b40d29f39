/* Which time, and whether it goes on. */

import type { JSX } from "preact";
import { absolute, inputTime } from "../base/format";
import { change, type Params } from "../base/place";
import { hubTime } from "../base/server";
import { DEFAULT_PRESET, PRESETS, type Span } from "../base/span";
import { t } from "../base/words";

export const REFRESH_SECONDS = 15;

/** Charts follow the clock unless the URL says otherwise or names a time by hand. */
export const isLive = (params: Params, span: Span): boolean => span.preset !== null && params.live !== "0";

export function TimeBar({ span, params }: { span: Span; params: Params }): JSX.Element {
  const zoom = (factor: number): void => {
    const middle = (span.start + span.end) / 2;
    const half = ((span.end - span.start) / 2) * factor;
    change({ from: Math.round(middle - half), to: Math.min(Math.round(middle + half), Math.round(hubTime())), range: null }, { push: true });
  };
  const shift = (part: number): void => {
    const by = (span.end - span.start) * part;
    change({ from: Math.round(span.start + by), to: Math.round(span.end + by), range: null }, { push: true });
  };
  const pick = (which: "from" | "to", text: string): void => {
    if (!text) return;
    const at = new Date(text).getTime() / 1000;
    change({ from: Math.round(span.start), to: Math.round(span.end), [which]: at, range: null }, { push: true });
  };
  return (
    <div class="timebar" role="group" aria-label={t("time_range")}>
      <div class="presets">
        {PRESETS.map((preset) => (
          <button
            key={preset} type="button" aria-pressed={span.preset === preset}
            onClick={() => change({ range: preset === DEFAULT_PRESET ? null : preset, from: null, to: null }, { push: true })}
          >{preset}</button>
        ))}
      </div>
      <span class="field">
        <button type="button" aria-label={t("earlier")} title={t("earlier")} onClick={() => shift(-0.5)}>‹</button>
        <input type="datetime-local" step="1" aria-label={t("from")} value={inputTime(span.start)} title={absolute(span.start)} onChange={(event) => pick("from", event.currentTarget.value)} />
        –
        <input type="datetime-local" step="1" aria-label={t("to")} value={inputTime(span.end)} title={absolute(span.end)} onChange={(event) => pick("to", event.currentTarget.value)} />
        <button type="button" aria-label={t("later")} title={t("later")} onClick={() => shift(0.5)}>›</button>
        <button type="button" onClick={() => zoom(2)}>{t("zoom_out")}</button>
      </span>
      <label class="switch">
        <input type="checkbox" role="switch" checked={isLive(params, span)} disabled={span.preset === null} onChange={(event) => change({ live: event.currentTarget.checked ? null : "0" })} />
        {t("live")}
      </label>
    </div>
  );
}
