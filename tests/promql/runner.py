"""Runs a PromQL test script on our engine and compares by Prometheus' rules (promql/promqltest/test.go).

Every instant query is run again as the middle step of a range query, and with `@` on its selectors at other evaluation
times. What a script does with native histograms cannot be judged: such an eval, and one whose syntax we refuse, is
reported as unsupported with the reason, never as passed.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import BadQuery, QueryError
from kpwatch.model.labels import label_value, make_labels
from kpwatch.model.matchers import matches_all
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.numbers import is_stale
from kpwatch.model.results import Matrix, Scalar, String, Vector
from kpwatch.promql.engine import Engine
from kpwatch.promql.parse import parse
from kpwatch.promql.tree import OF_THE_CLOCK, Aggregation, Binary, Call, Matching, Negation, Range, Selector, Subquery
from tests.promql.script import NATIVE, Clear, Eval, Load, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.results import QueryResult
    from kpwatch.model.source import Slice
    from kpwatch.promql.tree import Node

TOLERANCE = 1e-6


class Mismatch(Exception):
    """The engine answered something else than the script expects."""


class TouchesNative(Exception):
    """The query selects native histograms."""


@dataclass
class Report:
    """What became of a script's evals."""

    passed: int = 0
    unsupported: list[tuple[int, str, str]] = field(default_factory=list)
    failed: list[tuple[int, str, str]] = field(default_factory=list)


class ScriptSource(MemorySource):
    """A MemorySource that knows where native histograms would be and notices when they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._native: dict[Labels, list[int]] = {}
        self.touched_native = False

    def load(self, command: Load) -> None:
        """Store what a load command says."""
        for labels, items in command.series:
            points = [(number * command.step_ms, item) for number, item in enumerate(items) if item is not None]
            floats = [(time_ms, item) for time_ms, item in points if not isinstance(item, str)]
            self.add(labels, [time_ms for time_ms, _ in floats], [value for _, value in floats])
            native_ms = [time_ms for time_ms, item in points if item == NATIVE]
            if native_ms:
                self._native.setdefault(labels, []).extend(native_ms)
            name = label_value(labels, "__name__")
            if command.with_nhcb and name.endswith("_bucket") and label_value(labels, "le"):
                other = {key: value for key, value in labels if key != "le"}
                other["__name__"] = name.removesuffix("_bucket")
                self._native.setdefault(make_labels(other), []).extend(time_ms for time_ms, _ in points)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Slice]:
        """As MemorySource; notices native histograms."""
        for labels, times_ms in self._native.items():
            if any(start_ms <= time_ms <= end_ms for time_ms in times_ms) and matches_all(matchers, labels):
                self.touched_native = True
        return super().select(matchers, start_ms, end_ms)


def run_script(text: str) -> Report:
    """Run all evals of a script."""
    report = Report()
    source = ScriptSource()
    for command in read_script(text):
        match command:
            case Clear():
                source = ScriptSource()
            case Load():
                source.load(command)
            case Eval():
                _run_eval(command, source, report)
    return report


def _run_eval(command: Eval, source: ScriptSource, report: Report) -> None:
    place = command.line, command.query
    if any(NATIVE in items for _, items in command.series):
        report.unsupported.append((*place, "native histogram expected"))
        return
    source.touched_native = False
    try:
        _check_eval(command, Engine(source))
    except BadQuery as error:
        report.unsupported.append((*place, str(error)))
    except (Mismatch, QueryError) as error:
        if source.touched_native:
            report.unsupported.append((*place, "selects native histograms"))
        else:
            report.failed.append((*place, str(error)))
    else:
        if source.touched_native:
            report.unsupported.append((*place, "selects native histograms"))
        else:
            report.passed += 1


def check_answer(command: Eval, ask: Callable[[], QueryResult]) -> None:
    """Ask and compare; raises Mismatch, or what `ask` raises where the script does not expect a failure."""
    if not command.expects("fail"):
        result = ask()
        _check_annotations(command, result)
        _check_value(command, result.value)
        return
    try:
        ask()
    except QueryError as error:
        texts = [(how, text) for kind, how, text in command.expectations if kind == "fail" and text]
        if all(_says(str(error), how, text) for how, text in texts):
            return
        raise Mismatch(f"fails with {str(error)!r} instead of {texts}") from error
    raise Mismatch("does not fail")


def _check_eval(command: Eval, engine: Engine) -> None:
    def ask() -> QueryResult:
        if command.step_ms is None:
            return engine.instant(command.query, command.start_ms)
        return engine.range(command.query, command.start_ms, command.end_ms, command.step_ms)

    if command.expects("fail") or command.step_ms is not None:
        check_answer(command, ask)
        return
    _check_instant(command, engine, parse(command.query), command.start_ms)
    for node, at_ms in _at_variants(command):
        _check_instant(command, engine, node, at_ms)


def _says(actual: str, how: str | None, text: str | None) -> bool:
    """A message may say more than Prometheus' (the next step), after a semicolon or colon."""
    if text is None:
        return True
    if how == "regex":
        return re.search(text, actual) is not None
    return actual == text or re.match(re.escape(text) + "[;:]", actual) is not None


def _check_instant(command: Eval, engine: Engine, node: Node, at_ms: int) -> None:
    result = engine.instant(node, at_ms)
    _check_annotations(command, result)
    _check_value(command, result.value)
    if isinstance(result.value, String | Matrix) or command.expects("ordered"):
        return
    ranged = engine.range(node, at_ms - 60_000, at_ms + 60_000, 60_000).value
    assert isinstance(ranged, Matrix)
    middle = [
        (series.labels, float(series.values[list(series.timestamps_ms).index(at_ms)]))
        for series in ranged.series
        if at_ms in series.timestamps_ms
    ]
    if isinstance(result.value, Scalar):
        _check_value(command, Scalar(at_ms, middle[0][1]))
    else:
        _check_value(command, Vector(at_ms, middle))


def _check_annotations(command: Eval, result: QueryResult) -> None:
    for kind, actual in (("warn", result.warnings), ("info", result.infos)):
        if command.expects(f"no_{kind}") and actual:
            raise Mismatch(f"unexpected annotation {actual}")
        wanted = [(how, text) for what, how, text in command.expectations if what == kind]
        if wanted and not actual:
            raise Mismatch(f"no {kind} annotation")
        for how, text in wanted:
            if text is None:
                continue
            if not any(_says(one, how, text) for one in actual):
                raise Mismatch(f"annotation {text!r} not among {actual}")


def _check_value(command: Eval, value: Scalar | String | Vector | Matrix) -> None:
    match value:
        case Scalar():
            if command.scalar is None:
                raise Mismatch(f"unexpected scalar {value.value}")
            _check_number(command.scalar, value.value, "the scalar")
        case String():
            if command.text != value.value:
                raise Mismatch(f"{value.value!r} instead of {command.text!r}")
        case Vector():
            expected = {labels: [(value.timestamp_ms, item) for item in items] for labels, items in command.series}
            _check_series(expected, {labels: [(value.timestamp_ms, one)] for labels, one in value.samples})
            order = [labels for labels, _ in command.series]
            if command.expects("ordered") and [labels for labels, _ in value.samples] != order:
                raise Mismatch(f"order {[labels for labels, _ in value.samples]} instead of {order}")
            if len({labels for labels, _ in value.samples}) != len(value.samples):
                raise Mismatch("a series comes twice")
        case Matrix():
            if [series.labels for series in value.series] != sorted(series.labels for series in value.series):
                raise Mismatch("not sorted by labels")
            start, _, step = command.points_ms or (command.start_ms, command.end_ms, command.step_ms or 1)
            expected = {
                labels: [(start + number * step, item) for number, item in enumerate(items) if item is not None]
                for labels, items in command.series
            }
            _check_series(
                expected,
                {
                    series.labels: list(zip(series.timestamps_ms.tolist(), series.values.tolist(), strict=True))
                    for series in value.series
                },
            )


def _check_series(
    expected: dict[Labels, list[tuple[int, object]]], actual: dict[Labels, list[tuple[int, float]]]
) -> None:
    if expected.keys() != actual.keys():
        raise Mismatch(f"series {sorted(actual)} instead of {sorted(expected)}")
    for labels, points in expected.items():
        if [time_ms for time_ms, _ in points] != [time_ms for time_ms, _ in actual[labels]]:
            raise Mismatch(f"{labels}: points {actual[labels]} instead of {points}")
        for (time_ms, wanted), (_, got) in zip(points, actual[labels], strict=True):
            assert isinstance(wanted, float)
            _check_number(wanted, got, f"{labels} at {time_ms}")


def _check_number(wanted: float, got: float, what: str) -> None:
    if not almost_equal(wanted, got):
        raise Mismatch(f"{what}: {got!r} instead of {wanted!r}")


def almost_equal(left: float, right: float, tolerance: float = TOLERANCE) -> bool:
    """Prometheus' almost.Equal."""
    if is_stale(left) or is_stale(right):
        return is_stale(left) and is_stale(right)
    if left == right or (math.isnan(left) and math.isnan(right)):
        return True
    size, difference = abs(left) + abs(right), abs(left - right)
    if left == 0 or right == 0 or size < sys.float_info.min:
        return difference < tolerance * sys.float_info.min
    return difference / min(size, sys.float_info.max) < tolerance


def _at_variants(command: Eval) -> Iterator[tuple[Node, int]]:
    """The query with `@` its time on every selector, at other times; not if a function looks at the clock."""
    node = parse(command.query)
    if any(isinstance(part, Call) and part.function in OF_THE_CLOCK for part in _walk(node)):
        return
    at_ms = command.start_ms
    pinned = _pin(node, at_ms)
    others = [-10 * at_ms, 0, at_ms // 5, at_ms, 10 * at_ms] if at_ms else [-1000, 0, 1000]
    for other_ms in others:
        yield pinned, other_ms


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        yield from _walk(child)


def _children(node: Node) -> Sequence[Node]:
    match node:
        case Negation() | Subquery():
            return (node.expression,)
        case Range():
            return (node.selector,)
        case Binary():
            return (node.left, node.right)
        case Call():
            return node.arguments
        case Aggregation():
            return (node.expression,) if node.parameter is None else (node.parameter, node.expression)
    return ()


def _pin(node: Node, at_ms: int) -> Node:
    """The node with `@ at_ms` on every selector and subquery that has no time yet; a subquery fixes what is in it."""
    if isinstance(node, Selector | Subquery):
        return node if node.when.at is not None else replace(node, when=replace(node.when, at=at_ms))
    changes: dict[str, Any] = {
        part.name: _pin(value, at_ms) if is_dataclass(value) else tuple(_pin(one, at_ms) for one in value)
        for part in fields(node)
        if is_dataclass(value := getattr(node, part.name)) or part.name == "arguments"
        if not isinstance(value, Matching)
    }
    return replace(node, **changes)
