import { expect, test } from "vitest";
import { EXACT, human, inUnit, readAs } from "../src/base/units";

test.each([
  ["1.6679718066295934e+09", "x_last_timestamp_seconds", "2022-11-09 13:30:06 +08:00"], ["0.0123", "x_seconds_sum", "12.3 ms"],
  ["2097152", "x_memory_bytes", "2.00 MiB"], ["512372", "x_total", "512,372"], ["3", "x_total", null], ["NaN", "x_seconds", null],
])("%s of %s is in the unit that the name promises", (raw, metric, text) => expect(human(raw, metric)).toBe(text));

test.each([
  ["", "512372", "x_bytes", "512372"], ["name", "2097152", "x_bytes", "2.00 MiB"], ["name", "512372", "x_total", "512372"],
  ["compact", "512372", "x", "512.372K"], ["bytes", "2048", "x", "2.00 KiB"], ["seconds", "0.5", "x", "500 ms"], ["ratio", "0.25", "x", "25 %"],
  ["unix_seconds", "1667971806", "x", "2022-11-09 13:30:06 +08:00"], ["bytes", "NaN", "x", "NaN"], ["bytes", "+Inf", "x", "+Inf"],
])("chosen to be read as '%s', %s of %s", (choice, raw, metric, text) => expect(readAs(choice, raw, metric)).toBe(text));

test("what is exact keeps every digit", () => expect(inUnit(EXACT, 1795452572.6908412)).toBe("1795452572.6908412"));
