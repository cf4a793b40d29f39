/* What values are read in; files have them as they came. */

import type { JSX } from "preact";
import { useSlot } from "../base/slots";
import { CHOICES } from "../base/units";
import { t } from "../base/words";

export function UnitChoice({ chosen }: { chosen: string }): JSX.Element {
  const { change } = useSlot();
  return (
    <label class="field">{t("unit")}
      <select aria-label={t("unit")} value={chosen} onChange={(event) => change({ unit: event.currentTarget.value })}>
        {CHOICES.map(({ id, words }) => <option key={id} value={id}>{t(words)}</option>)}
      </select>
    </label>
  );
}
