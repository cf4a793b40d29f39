"""Random queries that mean something on the samples of test_promql_prometheus: every function, operator and modifier.

Unlike those of `grammar` they are well formed; what they hold against a real Prometheus is the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

VECTORS = (
    "odd_resets_total", "odd_gaps", "odd_values", "odd_steps", 'odd_gaps{kind="one"}', '{__name__=~"odd_(gaps|steps)"}',
    "up", "go_goroutines", "process_cpu_seconds_total", 'process_resident_memory_bytes{ident!="node-b"}',
    'rest_client_requests_total{ident=~"node-[ac]"}', "kubeproxy_sync_proxy_rules_duration_seconds_bucket",
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ident="node-a",le=~"0.*"}', "go_gc_duration_seconds", "nosuch",
    '{kind="two"}', "kubernetes_build_info",
)  # fmt: skip
OVER_TIME = (
    "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "avg_over_time", "min_over_time",
    "max_over_time", "sum_over_time", "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time",
    "present_over_time", "absent_over_time",
)  # fmt: skip
OVER_TIME_3 = (
    "first_over_time", "mad_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time",
    "ts_of_min_over_time",
)  # fmt: skip
EXTENDED = {
    "anchored": ("rate", "increase", "delta", "resets", "changes", "deriv"),
    "smoothed": ("rate", "increase", "delta", "resets"),
}
"""Of each modifier functions that take it, and one that does not."""
POINTWISE = (
    "abs", "ceil", "exp", "floor", "ln", "log2", "log10", "round", "sgn", "sqrt", "acos", "acosh", "asin", "asinh",
    "atan", "atanh", "cos", "cosh", "deg", "rad", "sin", "sinh", "tan", "tanh", "minute", "hour", "day_of_week",
    "day_of_month", "day_of_year", "days_in_month", "month", "year", "timestamp", "absent", "sort", "sort_desc",
)  # fmt: skip
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
GROUPINGS = (
    "",
    "",
    "by (ident)",
    "by (le)",
    "by (ident, kind)",
    "without (ident, instance)",
    "without (le)",
    "by (__name__)",
    "by ()",
)
WINDOWS = ("30s", "1m", "2m30s", "5m", "7m", "10m")
MODIFIERS = ("", "", "", "", " offset 1m", " offset -90s", " @ end()", " @ start()", " offset 2m @ end()")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "> bool", "== bool", "<= bool")
MATCHINGS = ("", "", " on (ident)", " ignoring (le, kind)", " on (ident, le)", " on (kind)", " ignoring (__name__)")


class Sentences:
    """Makes queries; `major` is the version of the Prometheus that has to understand them."""

    def __init__(self, random: Random, major: int) -> None:
        self._random = random
        self._major = major

    def query(self) -> str:
        """One query."""
        return self.vector(self._random.choice((1, 2, 2, 3)))

    def vector(self, depth: int) -> str:
        """An expression of type instant vector."""
        if depth <= 0:
            extension = " smoothed" if self._major >= 3 and self._random.random() < 0.1 else ""
            return self._pick(VECTORS) + extension + self._pick(MODIFIERS)
        makers = (
            self._over_time, self._over_time, self._over_time, self._aggregation, self._aggregation, self._pointwise,
            self._pointwise, self._arithmetic, self._arithmetic, self._set, self._with_scalar, self._with_parameter,
            self._of_labels, self._quantile, self._subquery, self._clamp,
        )  # fmt: skip
        made: str = self._pick(makers)(depth)
        return made

    def scalar(self, depth: int) -> str:
        """An expression of type scalar."""
        simple = ("1", "2", "0.5", "-1", "time()", "pi()", "NaN", "Inf", "0", "1e3", "3 % 2", "2 ^ -1", "1 > bool 2")
        if depth > 1 and self._random.random() < 0.2:
            return f"scalar({self.vector(depth - 1)})"
        return str(self._pick(simple))

    def _range(self) -> str:
        return f"{self._pick(VECTORS)}[{self._pick(WINDOWS)}]{self._pick(MODIFIERS)}"

    def _extended(self) -> str:
        extension = self._pick(tuple(EXTENDED))
        window = f"{self._pick(VECTORS)}[{self._pick(WINDOWS)}] {extension}{self._pick(MODIFIERS)}"
        return f"{self._pick(EXTENDED[extension])}({window})"

    def _over_time(self, _: int) -> str:
        if self._major >= 3 and self._random.random() < 0.15:
            return self._extended()
        functions = OVER_TIME if self._major < 3 else (*OVER_TIME, *OVER_TIME_3)
        kind = self._random.random()
        if kind < 0.1:
            return f"quantile_over_time({self._pick(('0.5', '0.99', '0', '1', '1.5', '-1'))}, {self._range()})"
        if kind < 0.2:
            return f"predict_linear({self._range()}, {self._pick(('60', '-600', '3600'))})"
        return f"{self._pick(functions)}({self._range()})"

    def _subquery(self, depth: int) -> str:
        functions = (
            "rate",
            "avg_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "last_over_time",
            "deriv",
        )
        step = self._pick((":", ":30s", ":1m", ":17s"))
        return (
            f"{self._pick(functions)}(({self.vector(depth - 1)})[{self._pick(WINDOWS)}{step}]{self._pick(MODIFIERS)})"
        )

    def _aggregation(self, depth: int) -> str:
        return f"{self._pick(AGGREGATIONS)} {self._pick(GROUPINGS)} ({self.vector(depth - 1)})"

    def _with_parameter(self, depth: int) -> str:
        operators = ["topk", "bottomk", "quantile", "count_values"]
        if self._major >= 3:
            operators += ["limitk", "limit_ratio"]
        operator = self._pick(operators)
        parameter = {
            "quantile": self._pick(("0.5", "0.9", "0", "1", "2", "-1", "NaN")),
            "count_values": self._pick(('"v"', '"ident"')),
            "limit_ratio": self._pick(("0.5", "-0.5", "1", "0.1", "1.1")),
        }.get(operator) or self._pick(("1", "2", "3", "0", "2.7"))
        return f"{operator} {self._pick(GROUPINGS)} ({parameter}, {self.vector(depth - 1)})"

    def _pointwise(self, depth: int) -> str:
        return f"{self._pick(POINTWISE)}({self.vector(depth - 1)})"

    def _arithmetic(self, depth: int) -> str:
        operator, matching = self._pick(ARITHMETIC), self._pick(MATCHINGS)
        operator, _, is_bool = operator.partition(" ")
        group = self._pick(("", "", " group_left", " group_right", " group_left (kind)")) if "on" in matching else ""
        if "ignoring" in matching:
            group = self._pick(("", " group_left"))
        left = self.vector(depth - 1)
        right = left if self._random.random() < 0.3 else self.vector(depth - 1)
        return f"({left}) {operator} {is_bool}{matching}{group} ({right})"

    def _set(self, depth: int) -> str:
        matching = self._pick(MATCHINGS)
        return f"({self.vector(depth - 1)}) {self._pick(('and', 'or', 'unless'))}{matching} ({self.vector(depth - 1)})"

    def _with_scalar(self, depth: int) -> str:
        sides = [f"({self.vector(depth - 1)})", self.scalar(depth)]
        self._random.shuffle(sides)
        return f"{sides[0]} {self._pick(ARITHMETIC)} {sides[1]}"

    def _clamp(self, depth: int) -> str:
        inner, one, other = self.vector(depth - 1), self.scalar(depth), self.scalar(depth)
        return self._pick(
            (f"clamp({inner}, {one}, {other})", f"clamp_min({inner}, {one})", f"clamp_max({inner}, {one})",
             f"round({inner}, {one})", f"-({inner})", f"vector({one})")
        )  # fmt: skip

    def _quantile(self, depth: int) -> str:
        buckets = self._pick(
            (
                "kubeproxy_sync_proxy_rules_duration_seconds_bucket",
                "rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket[5m])",
                "sum by (le) (rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket[5m]))",
                "sum by (ident, le) (rate(rest_client_request_duration_seconds_bucket[2m]))",
                self.vector(depth - 1),
            )
        )
        if self._major >= 3 and self._random.random() < 0.3:
            return (
                f"histogram_fraction({self._pick(('0', '0.01', '-1'))}, {self._pick(('0.1', '1', 'Inf'))}, {buckets})"
            )
        return f"histogram_quantile({self._pick(('0.5', '0.9', '0.99', '0', '1', '2', 'NaN'))}, {buckets})"

    def _of_labels(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._pick(
            (
                f'label_replace({inner}, "x", "$1-$2", "ident", "(node)-(.*)")',
                f'label_replace({inner}, "ident", "", "ident", ".*a")',
                f'label_replace({inner}, "__name__", "n_$1", "kind", "(.*)")',
                f'label_join({inner}, "y", "/", "ident", "kind", "nosuch")',
                f'label_join({inner}, "ident", "", "kind")',
            )
        )

    def _pick(self, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)
