"""Questions about each target, asked of all at once, have the answers that each would give alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.model.labels import make_labels, split_target
from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.results import Vector
from kpwatch.model.snapshot import Snapshot
from kpwatch.model.source import OfTarget, Slice
from kpwatch.promql.engine import Engine
from kpwatch.promql.needs import needs
from kpwatch.promql.side_by_side import TARGETS_AT_ONCE, SideBySide, narrowed

AT_MS = 1_800_000_000_000
TIMES = frozenset({"started_seconds"})
QUERIES = (
    "up",
    "up == 0",
    "sum by (ident, instance) (rate(c_total[5m]))",
    "sum by (ident, instance, le) (increase(b_bucket[5m]))",
    "histogram_quantile(0.9, sum by (ident, instance, le) (rate(b_bucket[5m])))",
    "started_seconds",
    "time() - started_seconds",
    "timestamp(up) - started_seconds > 100",
    "changes(started_seconds[5m])",
    "up unless on (ident, instance) c_total > 5",
    "max by (ident, instance) (c_total) > 2 * max by (ident, instance) (c_total offset 1m)",
    "count by (ident, instance) (c_total > 3) or 0 * max by (ident, instance) (up)",
    "absent_over_time(nothing[5m])",
)


def target(number: int, ages: list[int], pattern: int, *, late: bool) -> list[Slice]:
    """Some series of one target; `pattern`: which of them it has, `late`: health was asked at other times."""
    own = {"ident": f"n{number}", "instance": f"http://n{number}/", "job": "kube-proxy", "cluster": f"c{number % 2}"}
    times = np.asarray(sorted(AT_MS - 1000 * age for age in ages), np.int64)
    rows = np.arange(len(times), dtype=float)
    columns = {
        ("up",): 1.0 - (rows + number) % 3 // 2,
        ("c_total",): rows * (number % 4),
        ("started_seconds",): np.full(len(times), AT_MS / 1000 - 50 * (number + 1)),
        ("b_bucket", "0.1"): rows,
        ("b_bucket", "+Inf"): rows * 2,
    }
    chosen = [key for place, key in enumerate(columns) if place == 0 or pattern >> place & 1]
    labels = [
        make_labels({**own, "__name__": key[0], **({"le": key[1]} if len(key) > 1 else {})}) for key in chosen
    ]  # fmt: skip
    values = np.stack([columns[key] for key in chosen], axis=1)
    if pattern & 1:
        values[-1, 0] = STALE_NAN
    slices = [Slice(labels, times, values)]
    if late:
        slices.append(Slice([make_labels({**own, "__name__": "health"})], times[-1:] - 500, np.ones((1, 1))))
    return slices


targets = st.lists(
    st.tuples(st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True), st.integers(0, 31), st.booleans()),
    min_size=1,
    max_size=5,
)


@given(some=targets)
def test_the_same_as_asked_one_by_one(some: list[tuple[list[int], int, bool]]) -> None:
    """Values, and the target's own labels; others of the target are left out."""
    slices = [part for number, each in enumerate(some) for part in target(number, each[0], each[1], late=each[2])]
    together = SideBySide(slices, TIMES, Engine)
    for query in QUERIES:
        expected = []
        for number, each in enumerate(some):
            alone = Engine(Snapshot(target(number, each[0], each[1], late=each[2]))).instant(query, AT_MS).value
            assert isinstance(alone, Vector)
            identity = {"ident": f"n{number}", "instance": f"http://n{number}/"}
            for labels, value in alone.samples:
                own = {name: said for name, said in labels if name != "cluster"}
                expected.append((make_labels({**own, **identity}), value))
        found = together.ask(query, AT_MS, is_time=query in TIMES)
        assert sorted(labels for labels, _ in found) == sorted(labels for labels, _ in expected), query
        by_labels = dict(expected)
        for labels, value in found:
            assert value == pytest.approx(by_labels[labels], rel=1e-9, abs=1e-9, nan_ok=True), query


def as_a_store_gives_them(slices: list[Slice]) -> list[Slice]:
    """The names of alike targets are the same object."""
    shared: dict[tuple, tuple] = {}
    given = []
    for part in slices:
        split = [split_target(labels) for labels in part.series]
        columns = tuple(column for _, column in split)
        given.append(part._replace(series=OfTarget(split[0][0], shared.setdefault(columns, columns))))
    return given


@given(some=targets)
def test_shared_names_and_what_no_query_needs_make_no_difference(some: list[tuple[list[int], int, bool]]) -> None:
    """Targets that share their columns, narrowed to what a query needs, answer as whole ones; if anything is left."""
    slices = [part for number, each in enumerate(some) for part in target(number, each[0], each[1], late=each[2])]
    shared = as_a_store_gives_them(slices)
    assert [list(part.series) for part in shared] == [list(part.series) for part in slices]
    for query in QUERIES[:-1]:
        needed = needs([query], 300_000)
        kept = list(narrowed(shared, needed.selectors, AT_MS - needed.reach_ms))
        assert all(needed.names.matches(labels) for part in kept for labels in part.series)
        found = SideBySide(kept, TIMES, Engine).ask(query, AT_MS, is_time=query in TIMES)
        expected = SideBySide(slices, TIMES, Engine).ask(query, AT_MS, is_time=query in TIMES)
        assert repr(sorted(found)) == repr(sorted(expected)), query


def test_series_that_differ_in_nothing_that_is_kept_are_one() -> None:
    """A target that was given another cluster: its samples follow each other."""
    labels = {"__name__": "up", "ident": "a", "job": "kube-proxy"}
    slices = [
        Slice([make_labels({**labels, "cluster": name})], np.asarray([AT_MS - back]), np.asarray([[value]]))
        for name, back, value in (("old", 60_000, 1.0), ("new", 0, 0.0))
    ]
    together = SideBySide(slices, TIMES, Engine)
    assert [value for _, value in together.ask("up", AT_MS)] == [0.0]
    assert [value for _, value in together.ask("count_over_time(up[5m])", AT_MS)] == [2.0]


def test_more_targets_than_are_evaluated_at_once() -> None:
    """Are evaluated in several goes."""
    count = TARGETS_AT_ONCE + 3
    slices = [part for number in range(count) for part in target(number, [0, 60], 31, late=False)]
    together = SideBySide(slices, TIMES, Engine)
    assert len(together.identities) == count
    assert len(together.ask("c_total", AT_MS)) == count


def test_nothing() -> None:
    """Of no target there is nothing to say."""
    assert SideBySide([], TIMES, Engine).ask("up", AT_MS) == []
