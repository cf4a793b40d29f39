import { expect, test } from "vitest";
import { filledIn, namesIn, plainSelector } from "../src/base/promql";

test.each([
  ["up", "up", ""],
  [' up{job="kube-proxy"} ', 'up{job="kube-proxy"}', ""],
  ['{ident="a}b"}', '{ident="a}b"}', ""],
  ["up{a='x\\'}',b=`}`} offset 5m", "up{a='x\\'}',b=`}`}", "offset 5m"],
  ["up @ 1669179.5", "up", "@ 1669179.5"],
])("%s is a plain selector, whose samples have times", (expression, selector, modifiers) => {
  expect(plainSelector(expression)).toEqual({ selector, modifiers });
});

test.each(["rate(up[5m])", "up[5m]", "up + up", "up == 1", "1", '"up"', "sum by (ident) (up)", ""])("%s is computed", (expression) => {
  expect(plainSelector(expression)).toBeNull();
});

test("names are found outside strings, once each", () => {
  expect(namesIn('sum(rate(a_total{x="b_total"}[5m])) / a_total')).toEqual(["sum", "rate", "a_total", "x", "m"]);
});

test.each([
  ["rate(x[$__rate_interval])", "rate(x[300s])", ["$__rate_interval"]],
  ["rate(x[${__interval}]) / rate(y[${__interval}])", "rate(x[300s]) / rate(y[300s])", ["${__interval}"]],
  ["increase(x[[[__range]]]) / $__range_s + $__interval_ms", "increase(x[300s]) / 300 + 300000", ["[[__range]]", "$__range_s", "$__interval_ms"]],
  ["x{a=\"$__intervals\"}", "x{a=\"$__intervals\"}", []],
])("%s of a board can be asked as it is", (expression, query, replaced) => expect(filledIn(expression, 300)).toEqual({ query, replaced }));
