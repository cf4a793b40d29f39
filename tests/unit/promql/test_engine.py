"""The engine: kinds of answers, bounds, and many callers at once."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import BadQuery, QueryTimeout, QueryTooLarge
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Matrix, Scalar, String, Vector
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.promql.parse import forget_trees, parse
from tests.unit.promql.build import labelled, short, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.model.source import Slice

MINUTE = 60_000
SOURCE = source_of('m{i="1"} 0+1x100\nm{i="2"} 0+2x100\ngone 1 stale')


def test_each_type_has_its_answer() -> None:
    """Scalar, String, Vector, Matrix, at the time asked for."""
    engine = Engine(SOURCE)
    assert engine.instant("1 + 1", 4000).value == Scalar(4000, 2.0)
    assert engine.instant('"x"', 4000).value == String(4000, "x")
    assert engine.instant('"\\xff"', 4000).value == String(4000, "\ufffd")
    assert engine.instant("m", MINUTE).value == Vector(
        MINUTE, [(labelled(name="m", i="1"), 1.0), (labelled(name="m", i="2"), 2.0)]
    )
    assert engine.instant("nosuch", MINUTE).value == Vector(MINUTE, [])
    (series,) = engine.range("1", 0, MINUTE, MINUTE).value.series  # type: ignore[union-attr]
    assert (series.labels, series.timestamps_ms.tolist(), series.values.tolist()) == ((), [0, MINUTE], [1.0, 1.0])


def test_a_range_selector_alone_answers_with_the_samples_themselves() -> None:
    """At their own times, without staleness markers; of a subquery, at its steps, without a name that was dropped."""
    engine = Engine(SOURCE)
    for query, expected in (
        ('m{i="2"}[2m]', {"m,i=2": [(2, 4.0), (3, 6.0)]}),
        ("gone[5m]", {"gone": [(0, 1.0)]}),
        ('m{i="1"}[2m] offset 1m', {"m,i=1": [(1, 1.0), (2, 2.0)]}),
        ('m{i="1"}[2m:1m] @ 60', {"m,i=1": [(0, 0.0), (1, 1.0)]}),
        ("abs(m{i='1'})[2m:1m]", {"i=1": [(2, 2.0), (3, 3.0)]}),
        ("nosuch[5m]", {}),
    ):
        value = engine.instant(query, 3 * MINUTE).value
        assert isinstance(value, Matrix)
        points = {
            short(series.labels): [
                (time_ms // MINUTE, number)
                for time_ms, number in zip(series.timestamps_ms.tolist(), series.values.tolist(), strict=True)
            ]
            for series in value.series
        }
        assert points == expected, query


def test_a_range_answer_is_sorted_by_labels_and_ends_at_the_last_whole_step() -> None:
    """start, start + step, … not after end."""
    value = Engine(SOURCE).range("-m or m", MINUTE, 4 * MINUTE - 1, MINUTE).value
    assert isinstance(value, Matrix)
    assert [series.labels for series in value.series] == sorted(series.labels for series in value.series)
    assert {tuple(series.timestamps_ms.tolist()) for series in value.series} == {(MINUTE, 2 * MINUTE, 3 * MINUTE)}


BAD_RANGES = [
    ("m[5m]", 0, 1, 1, 'invalid expression type "range vector"'),
    ('"x"', 0, 1, 1, 'invalid expression type "string"'),
    ("m", 1, 0, 1, "end must not be before start"),
    ("m", 0, 1, 0, "step positive"),
    ("m", 0, 10**18, 10**17, "too far from 1970"),
]


@pytest.mark.parametrize(("query", "start_ms", "end_ms", "step_ms", "says"), BAD_RANGES)
def test_a_range_query_that_cannot_be_is_refused(
    query: str, start_ms: int, end_ms: int, step_ms: int, says: str
) -> None:
    """BadQuery."""
    with pytest.raises(BadQuery, match=says):
        Engine(SOURCE).range(query, start_ms, end_ms, step_ms)


def test_the_lookback_can_be_given_with_the_query() -> None:
    """The API's lookback_delta."""
    engine = Engine(SOURCE)
    assert engine.instant("m", 100 * MINUTE + 90_000, lookback_ms=MINUTE).value == Vector(100 * MINUTE + 90_000, [])
    assert len(engine.instant("m", 100 * MINUTE + 90_000, lookback_ms=2 * MINUTE).value.samples) == 2  # type: ignore[union-attr]


CHURN = source_of(
    "\n".join(
        [f'one{{i="{number}"}} {"_ " * number} 1 stale' for number in range(20)]
        + [f'many{{i="{number}"}} {"_ " * number} 1 stale' for number in range(20)]
        + ["steps 0+1x100", "steady 1x100"]
    )
)

TOO_MUCH_MADE = [
    ("steady * 2", None),
    ("sum(one)", None),
    ('count_values("v", steady)', None),
    ('count_values("v", steps)', "max-samples"),  # a series for every value
    ("many * on() group_left one", "max-samples"),  # every one with every other
]


@pytest.mark.parametrize(("query", "says"), TOO_MUCH_MADE)
def test_what_an_operation_makes_is_counted_before_it_is_made(query: str, says: str | None) -> None:
    """Operations whose answer can be larger than what they are given."""
    engine = Engine(CHURN, EngineOptions(max_samples=5000))
    with pytest.raises(QueryTooLarge, match=says) if says else contextlib.nullcontext():
        engine.range(query, 0, 100 * MINUTE, MINUTE)


TOO_LARGE = [
    "m",
    "sum(rate(m[10m]))",
    "m + m",
    "sum_over_time(vector(1)[100y:1ms])",
    "max_over_time(m[1h:10s])",
    "vector(1) * 2 or m @ 0",
]


@pytest.mark.parametrize("query", TOO_LARGE)
def test_a_query_that_needs_too_many_cells_is_refused_before_it_has_them(query: str) -> None:
    """Samples loaded, results and subquery steps count alike."""
    engine = Engine(SOURCE, EngineOptions(max_samples=150))
    with pytest.raises(QueryTooLarge, match="--query-max-samples"):
        engine.range(query, 0, 100 * MINUTE, MINUTE)


def test_too_many_steps_are_refused_at_once() -> None:
    """Without making them."""
    with pytest.raises(QueryTooLarge, match="steps"):
        Engine(SOURCE).range("1", 0, 10**15, 1)


def test_what_a_query_is_done_with_does_not_count() -> None:
    """Many operators one after the other need no more at a time than one."""
    engine = Engine(SOURCE, EngineOptions(max_samples=1000))
    query = " + ".join(["sum(m)"] * 40)
    assert len(engine.range(query, 0, 100 * MINUTE, MINUTE).value.series) == 1  # type: ignore[union-attr]


class TickingClock:
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic_seconds(self) -> float:
        self.now += 1
        return self.now

    def unix_seconds(self) -> float:
        return self.now

    def unix_ms(self) -> int:
        return round(self.now * 1000)


def test_a_query_over_its_time_is_stopped() -> None:
    """The clock is looked at between operations."""
    engine = Engine(SOURCE, EngineOptions(timeout_seconds=10), TickingClock())
    assert engine.instant("1 + 1", 0).value == Scalar(0, 2.0)
    with pytest.raises(QueryTimeout, match="10 s"):
        engine.instant(" + ".join(["m"] * 40), 0)


class HungrySource(MemorySource):
    """A source that has run out of memory."""

    def select(self, *_: object) -> Iterator[Slice]:
        raise MemoryError


def test_running_out_of_memory_is_the_querys_error() -> None:
    """QueryTooLarge; the process lives on."""
    with pytest.raises(QueryTooLarge, match="memory"):
        Engine(HungrySource()).instant("m", 0)


def test_odd_data_and_queries_are_noted() -> None:
    """Infos and warnings beside the answer, each once, with the last place it was said of."""
    result = Engine(SOURCE).range("rate(m[5m]) + rate(m[5m]) + quantile_over_time(2, m[5m])", 0, 5 * MINUTE, MINUTE)
    assert result.infos == [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m" (1:20)',
    ]
    assert result.warnings == ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:48)"]


SORT = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels"


@pytest.mark.parametrize(
    ("query", "end_ms", "warnings"),
    [
        ("sort(m)", 1, [f"{SORT} (1:1)"]),
        ("sort(m)", 0, []),
        ("sort(m @ 0)", 1, []),
        ("sum_over_time(sort(m)[2m:1m])", 0, [f"{SORT} (1:15)"]),
        ("quantile_over_time(2, nosuch[5m])", 1, []),
        ("quantile_over_time(time(), m[5m] @ -1)", 1, []),
    ],
)
def test_warnings_of_what_really_happens(query: str, end_ms: int, warnings: list[str]) -> None:
    """Sorting over many steps, in a subquery too; a quantile where there are samples."""
    assert Engine(SOURCE).range(query, 0, end_ms, 1).warnings == warnings


def test_many_threads_get_the_answers_of_one() -> None:
    """An engine has no state of its own; nor has parsing."""
    engine = Engine(SOURCE)
    queries = [f"sum by (i) (rate(m[{minutes}m])) + {minutes}" for minutes in range(2, 40)]
    expected = [engine.instant(query, 50 * MINUTE).value for query in queries]
    forget_trees()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert [
                result.value for result in pool.map(lambda query: engine.instant(query, 50 * MINUTE), queries)
            ] == expected


def test_a_parsed_query_can_be_evaluated_again_and_again() -> None:
    """Rules parse once."""
    tree = parse("m + 1")
    engine = Engine(SOURCE)
    assert engine.instant(tree, MINUTE) == engine.instant("m + 1", MINUTE)
    assert len(engine.range(tree, 0, MINUTE, MINUTE).value.series) == 2  # type: ignore[union-attr]


def test_without_extrapolation_an_increase_is_the_difference() -> None:
    """Of the samples in the window, resets counted; a rate is per second between the outermost."""
    engine = Engine(source_of("c 3 10 4 _ 9\ng 5 2 7"), EngineOptions(extrapolates=False))
    for query, expected in (
        ("increase(c[5m])", 7.0 + 4.0 + 5.0),
        ("rate(c[5m])", 16.0 / 240),
        ("increase(c[1m:1m])", None),
        ("delta(g[1h])", 2.0),
        ("increase(c[70s] offset 3m)", 7.0),
    ):
        value = engine.instant(query, 4 * MINUTE).value
        assert isinstance(value, Vector)
        assert [number for _, number in value.samples] == ([] if expected is None else [expected]), query
