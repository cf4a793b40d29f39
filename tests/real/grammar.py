"""Random PromQL for comparing what is accepted: sentences of the grammar, each with odd spellings, some a little wrong.

Everything a person could write differently is written differently: case of keywords, order of modifiers, brackets,
commas at the end, spaces and comments, quotes and escapes, ways to write a number or a duration, keywords as names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.promql.functions import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

NUMBERS = (
    "1", "0", "1.5", ".5", "5.", "1e3", "1E-3", "1e+3", "0x1F", "0X1f", "1_000", "1_0.5_0", "0x_1F", "0xA_B",
    "1__0", "1_", "NaN", "nan", "Inf", "inf", "+Inf", "-inf", "1e", "0x", "007", "08", "1.2.3", "1e3.4", "0b1",
    "0o7", "1i", "1_e3", "1e1_0", "._5", "1._5", "infinity", "1e999", "0x1p3", "5m", "1h30m", "1d12h", "90s",
    "1y2w", "100ms", "1m30", "1.5m", "0x5m", "5M", "1ms5s", "30m1h", "1h1h", "1w", "00005m", "5mm", "1_0m", "5 m",
    "9223372036854775808", "1e309",
)  # fmt: skip
DURATIONS = (
    "5m", "1h30m", "90s", "300", "0.5", "1e2", "0", "0s", "1", "5", "0x10", "1_0", "100ms", "1ms", "0.5ms", "0.001",
    "0.0004", "1y", "292y", "293y", "1d", "1w2d", "-5m", "+5m", "5m5", "30m1h", "1h1h", "m", "", "inf", "NaN",
    "1e10", "1e18", "5M", " 5m ", "5m:1m", "5m:", "5m :1m", "5m: 1m", "5m:0", "5m:0s", "5m:-1m", "5m:30", ":1m",
    ":", "5m::", "5m:1m:", "1h:90s", "5m:1e1", "5m:0.5", "5m#c\n", "5m:1_0", "5m*2", "5m + 1m", "(5m)", "-5m + 10m",
    "2*5m:1m", "1m^2", "10m%3m", "10m/2", "10m-(2*1m)", "5m:1m*2", "((5m))", "5m + 2", "step()", "range()",
    "2*step()", "max_of(step(),5s)", "min_of(1m,2m)", "1m-2m", "1m/0", "step", "5m:step()", "1h/3", "2^0.5",
    "-(-5m)", "- 5m", "--5m", "+5m+5m", "min_of(1m)", "max_of(1m,2m,3m)", "MAX_OF(1m,2m)", "STEP()",
)  # fmt: skip
NAMES = (
    "m", "up", "a:b", ":c", "_x", "sum", "by", "on", "offset", "and", "bool", "start", "end", "rate", "inf", "nan",
    "Infx", "without", "atan2", "group_left", "e1", "x1", "ignoring", "time", "m.n", "5x", "é", "fill", "smoothed",
    "anchored", "step", "range", "min_of", "NAN", "count_values", "limitk", "unless", "or", "SUM", "le", "topk",
    "fill_left", "info",
)  # fmt: skip
LABELS = (
    "a", "le", "__name__", "job", "by", "sum", "on", "bool", "and", "offset", "start", "inf", "nan", "atan2", '"a"',
    "'my.l'", '"my.label"', "`a`", '""', "a:b", "1a", "é", "_", "NaN", "group_left", "without", "Inf", "step",
    "fill", "smoothed", '"\\xff"', "end", "limitk", '"__name__"', "anchored", "range", "or", "min_of", '"a b"', "5",
)  # fmt: skip
STRINGS = (
    '"x"', "'x'", "`x`", '""', '"\\n"', '"\\""', "'\\''", "'\\\"'", '"\\\'"', '"\\x41"', '"\\101"', '"\\u00e9"',
    '"\\U0001F600"', '"\\q"', '"é"', '"\\xff"', '"\\400"', '"\\ud800"', '"\\U00110000"', '"\\x4"', "`a\nb`",
    '"a\nb"', "'", '"', "`\\`", '"\\`"', '"a#b"', '"\\8"', '"\\a\\b\\f\\r\\t\\v\\\\"', "`é`", '"\\u12"', '"\\00"',
)  # fmt: skip
PATTERNS = (
    '".*"', '".+"', '"a|b"', '"("', '"[a-"', '"a{2}"', '"a{1001}"', '"\\\\d+"', '"(?i)x"', '"(?P<n>x)"',
    '"(?<n>x)"', '"\\\\1"', '"(?=x)"', '"\\\\C"', '"\\\\pL"', '"[[:alpha:]]"', '"\\\\Qa.b\\\\E"', '"a**"',
    '"(?U)a"', '"\\\\z"', '"\\\\Z"', '""', '"\\\\u00e9"', '"x*+"', '"\\\\x{10FFFF}"', '"\\\\p{Greek}"', '"\\\\pX"',
    '"(?s).(?-s)."', '"^a$"', '"a{,2}"', '"{"', '"\\\\b"', '"a{2,1}"', '"é"', '"\\\\K"', '"\\\\h"', '"\\\\e"',
    '"[\\\\d-z]"', '"(?x)a"', '"(?#c)"', '"[]a]"', '"[^]"', '"\\\\07"', '"(((a{100}){100}){100})"',
)  # fmt: skip
TIMES = (
    "1", "0", "-1", "1.5", "1e3", "0x10", "1_0", "start()", "end()", "start ()", "START()", "start( )", "- 1", "+1",
    "NaN", "Inf", "-Inf", "5m", "1e18", "9223372036854775", "1e16", "time()", "(1)", "", "--1", "-1_0", "end",
    "- 0x1", "1h30m", "-5m", "-0", "-.5",
)  # fmt: skip
OFFSETS = (
    "5m", "-5m", "- 5m", "1h30m", "0", "5", "-5", "0.5", "+5m", "1_0", "--5m", "inf", "1e10", "0x5", "293y", "(5m)",
    "", "30m1h", "5m5", "(5m*2)", "-(5m)", "+(5m)", "5m*2", "step()", "-step()", "(step())", "-(2*step())",
    "max_of(1m,2m)", "- min_of(1m,2m)", "+step()", "range()", "(-5m)", "(5)", "-5m+1m", "NaN",
)  # fmt: skip
BINARY = (
    "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "atan2", "AND", "Or",
    "=", "=~", "&&", "!",
)  # fmt: skip
AGGREGATIONS = (
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "SUM", "Avg",
)  # fmt: skip
WITH_PARAMETER = (
    "topk", "bottomk", "quantile", "count_values", "TOPK", "limitk", "limit_ratio",
)  # fmt: skip
SPACES = (
    "", " ", " ", " ", "\n", "\t", "  ", "\r\n", "\v", "\u00a0", "#c\n", " # c\n ",
)  # fmt: skip


class Grammar:
    """Makes queries."""

    def __init__(
        self, random: Random, functions: Sequence[str] = (*FUNCTIONS, "info", "nosuch", "holt_winters")
    ) -> None:
        self._random = random
        self._functions = functions

    def query(self) -> str:
        """One query, seldom longer than a line."""
        return self._space() + self.expression(self._random.choice((1, 2, 2, 3))) + self._space()

    def expression(self, depth: int) -> str:
        """Of the given depth at most."""
        if depth <= 0:
            return self._pick((self.selector, self.selector, self.number, self.string))()
        make = self._pick(
            (
                self.selector, self.number, self._bracketed, self._signed, self._binary, self._binary,
                self._aggregation, self._aggregation, self._call, self._call, self._ranged, self._ranged,
                self._subquery,
            )
        )  # fmt: skip
        if make in (self.selector, self.number):
            return make()
        return make(depth)

    def number(self) -> str:
        """A number or a duration, well written or not."""
        return self._pick(NUMBERS if self._sometimes(0.4) else ("1", "2", "0.5"))

    def string(self) -> str:
        """A string literal, well written or not."""
        return self._pick(STRINGS)

    def selector(self) -> str:
        """An instant vector selector."""
        name = self._pick(NAMES) if self._sometimes(0.3) else self._pick(("m", "up", "m"))
        matchers = [self._matcher() for _ in range(self._pick((0, 0, 1, 1, 2)))]
        inside = ("," if not self._sometimes(0.05) else ",,").join(matchers)
        inside += "," if self._sometimes(0.08) else ""
        if self._sometimes(0.15):
            name, inside = (
                "",
                self._pick(('"m"', "'m.n'", '"",', '"m","n"', "m", "`m`", '{"m"}', ""))
                + ("," + inside if inside else ""),
            )
        braces = f"{{{self._space()}{inside}{self._space()}}}" if inside or self._sometimes(0.1) or not name else ""
        return name + (self._space() if self._sometimes(0.05) else "") + braces + self._when()

    def _matcher(self) -> str:
        operator = self._pick(("=", "!=", "=~", "!~", "=", "=") if not self._sometimes(0.04) else ("==", "~", "<", " "))
        value = (
            self._pick(PATTERNS) if "~" in operator else self._pick(STRINGS if self._sometimes(0.3) else ('"x"', "'y'"))
        )
        name = self._pick(LABELS if self._sometimes(0.4) else ("a", "b"))
        return f"{name}{self._space()}{operator}{self._space()}{value}"

    def _when(self) -> str:
        parts = []
        if self._sometimes(0.12):
            parts.append(f" {self._pick(('offset', 'offset', 'OFFSET', 'Offset'))} {self._pick(OFFSETS)}")
        if self._sometimes(0.1):
            parts.append(f" @{self._space()}{self._pick(TIMES)}")
        if self._sometimes(0.02):
            parts.append(self._pick((" offset 1m", " @ 1")))
        if self._sometimes(0.05):
            parts.append(
                self._pick((" smoothed", " anchored", " SMOOTHED", " anchored smoothed", " anchored anchored"))
            )
        self._random.shuffle(parts)
        return "".join(parts)

    def _bracketed(self, depth: int) -> str:
        return f"({self._space()}{self.expression(depth - 1)}{self._space()})" if not self._sometimes(0.02) else "()"

    def _signed(self, depth: int) -> str:
        return self._pick(("-", "+", "- ", "--", "-+", "!")) + self.expression(depth - 1)

    def _binary(self, depth: int) -> str:
        operator = self._pick(BINARY if self._sometimes(0.3) else ("+", "-", "*", "/", ">", "==", "and", "or"))
        modifier = ""
        if self._sometimes(0.12):
            modifier += self._pick((" bool", " BOOL", " bool bool"))
        if self._sometimes(0.25):
            modifier += f" {self._pick(('on', 'ignoring', 'ON'))}{self._space()}({self._names()})"
        if self._sometimes(0.15):
            lent = self._pick(("", "()", f"({self._names()})", f" ({self._names()})"))
            modifier += f" {self._pick(('group_left', 'group_right', 'GROUP_LEFT'))}{lent}"
        if self._sometimes(0.02):
            modifier += self._pick((" fill(0)", " bool", " fill_left(1)"))
        left, right = self.expression(depth - 1), self.expression(depth - 1)
        return f"{left} {operator}{modifier} {right}"

    def _names(self) -> str:
        names = [self._pick(LABELS if self._sometimes(0.3) else ("a", "b")) for _ in range(self._pick((0, 1, 1, 2)))]
        return self._space() + ",".join(names) + ("," if self._sometimes(0.1) else "") + self._space()

    def _aggregation(self, depth: int) -> str:
        takes = self._sometimes(0.4)
        operator = self._pick(WITH_PARAMETER if takes else AGGREGATIONS)
        arguments = [self.expression(depth - 1)]
        if takes != self._sometimes(0.05):
            first = (
                self._pick(('"v"', '"my.v"', "1", "0.5", "scalar(m)", '""'))
                if self._sometimes(0.8)
                else self.expression(1)
            )
            arguments.insert(0, first)
        if self._sometimes(0.02):
            arguments.append("1")
        grouping = ""
        if self._sometimes(0.4):
            grouping = f"{self._pick(('by', 'without', 'BY', 'on'))}{self._space()}({self._names()})"
        call = f"({', '.join(arguments)}{',' if self._sometimes(0.04) else ''})"
        return f"{operator} {grouping} {call}" if self._sometimes(0.5) else f"{operator}{call} {grouping}"

    def _call(self, depth: int) -> str:
        name = self._pick(self._functions) if self._sometimes(0.8) else self._pick(("rate", "abs", "Rate", "ABS"))
        arguments = [self._argument(depth) for _ in range(self._pick((0, 1, 1, 1, 2, 2, 3)))]
        return f"{name}{self._space()}({', '.join(arguments)}{',' if self._sometimes(0.04) else ''})"

    def _argument(self, depth: int) -> str:
        if self._sometimes(0.7):
            return str(self._pick((self.expression, self._ranged))(depth - 1))
        return str(self._pick(('"s"', "1", "m", "m[5m]")))

    def _ranged(self, _: int) -> str:
        duration = self._pick(DURATIONS if self._sometimes(0.4) else ("5m", "1m", "30s"))
        inner = "m" if self._sometimes(0.8) else self.selector()
        ranged = f"{inner}{self._space() if self._sometimes(0.1) else ''}[{duration}]{self._when()}"
        return (
            f"{self._pick(('rate', 'sum_over_time', 'last_over_time', 'deriv'))}({ranged})"
            if self._sometimes(0.8)
            else ranged
        )

    def _subquery(self, depth: int) -> str:
        inner = self._bracketed(depth) if self._sometimes(0.7) else self.expression(depth - 1)
        duration = self._pick(DURATIONS) if self._sometimes(0.4) else "5m:1m"
        return f"{self._pick(('sum_over_time', 'rate', 'max_over_time'))}({inner}[{duration}]{self._when()})"

    def _space(self) -> str:
        return self._pick(SPACES) if self._sometimes(0.15) else ""

    def _sometimes(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)
