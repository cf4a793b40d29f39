"""Slices evaluated together answer what each answers alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.model import stack
from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.results import Matrix, Vector
from kpwatch.model.source import Slice
from kpwatch.model.stack import batches, stack_of
from kpwatch.promql import extended
from kpwatch.promql.engine import Engine
from kpwatch.promql.functions import FUNCTIONS, OverTime
from kpwatch.promql.stacks import unstacked
from tests.unit.promql.build import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.model.labels import Labels

VALUES = st.one_of(
    st.integers(0, 30).map(float), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, STALE_NAN])
)
NEEDS_SCALARS = {
    "quantile_over_time": "quantile_over_time(time() / 700, m[{}s])",
    "predict_linear": "predict_linear(m[{}s], time())",
    "double_exponential_smoothing": "double_exponential_smoothing(m[{}s], 0.5, 0.1 + time() / 1000)",
}
OVER_TIME = [name for name, function in FUNCTIONS.items() if isinstance(function, OverTime)]
QUERIES = ["m", "m offset 20s", "m @ 100", "timestamp(m)", "m and m > 3", "sum(m)", "rate(m[2m] @ 300)", "m smoothed"]
EXTENDED = [f"{name}(m[{{}}s] {extension})" for extension, bodies in extended.BODIES.items() for name in bodies]


class Given:
    """A source of these slices."""

    def __init__(self, parts: Sequence[Slice]) -> None:
        self._parts = parts

    def select(self, _: object, start_ms: int, end_ms: int) -> Iterator[Slice]:
        for part in self._parts:
            first, last = np.searchsorted(part.timestamps_ms, (start_ms, end_ms + 1)).tolist()
            if first < last:
                yield Slice(part.series, part.timestamps_ms[first:last], part.values[first:last])


@st.composite
def fleets(draw: st.DrawFn) -> list[Slice]:
    """Targets with their own times, and up to 3 series each."""
    parts = []
    for number in range(draw(st.integers(1, 6))):
        times_ms = np.cumsum(draw(st.lists(st.integers(1, 40_000), min_size=1, max_size=20)))
        width = draw(st.integers(1, 3))
        size = width * len(times_ms)
        cells = np.asarray(draw(st.lists(VALUES, min_size=size, max_size=size)))
        series = [labelled(name="m", i=str(column), ident=str(number)) for column in range(width)]
        parts.append(Slice(series, times_ms, cells.reshape(-1, width)))
    return parts


def answers(parts: Sequence[Slice], query: str, times_s: tuple[int, int, int]) -> dict[Labels, list[tuple[int, float]]]:
    """Of a range query, and of the same at its end."""
    engine = Engine(Given(parts))  # type: ignore[arg-type]
    start, end, step = (1000 * one for one in times_s)
    matrix, vector = engine.range(query, start, end, step).value, engine.instant(query, end).value
    assert isinstance(matrix, Matrix)
    assert isinstance(vector, Vector)
    found = {
        one.labels: list(zip(one.timestamps_ms.tolist(), map(repr, one.values.tolist()), strict=True))
        for one in matrix.series
    }
    for labels, value in vector.samples:
        found.setdefault(labels, []).append((-1, repr(value)))
    return found


@pytest.mark.parametrize(
    "query", [*QUERIES, *EXTENDED, *(NEEDS_SCALARS.get(name, f"{name}(m[{{}}s])") for name in OVER_TIME)]
)
@given(
    parts=fleets(),
    times_s=st.tuples(st.integers(0, 200), st.integers(200, 500), st.integers(40, 200)),
    range_s=st.integers(1, 300),
)
@settings(max_examples=30, deadline=None)
def test_together_or_alone(query: str, parts: list[Slice], times_s: tuple[int, int, int], range_s: int) -> None:
    """Every function, bit by bit: windows never reach from one slice into the next."""
    query = query.replace("{}", str(range_s))
    together = answers(parts, query, times_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "SLICE_CELLS", 0)
        assert answers(parts, query, times_s) == together


def test_raw_samples_of_several_targets() -> None:
    """A range selector alone shows each series' own samples."""
    parts = [
        Slice(
            [labelled(name="m", ident=str(number))], np.asarray([number, 1000, 9000]), np.asarray([[1.0], [2.0], [3.0]])
        )
        for number in range(3)
    ]
    found = Engine(Given(parts)).instant("m[2s]", 2000).value  # type: ignore[arg-type]
    assert isinstance(found, Matrix)
    assert [one.timestamps_ms.tolist() for one in found.series] == [[1000], [1, 1000], [2, 1000]]


def a_slice(rows: int, columns: int) -> Slice:
    series = [labelled(name=str(column)) for column in range(columns)]
    return Slice(series, np.arange(rows), np.zeros((rows, columns)))


def test_long_slices_stay_alone_and_batches_have_an_end() -> None:
    """By samples or by answers, whichever are more."""
    small, large = a_slice(10, 2), a_slice(stack.SLICE_CELLS + 1, 1)
    assert [len(batch) for batch in batches([small, large, small], 1)] == [1, 2]
    assert [len(batch) for batch in batches([small, small], stack.SLICE_CELLS)] == [1, 1]
    many = [a_slice(100, 100)] * 20
    assert [len(batch) for batch in batches(many, 1)] == [13, 7]


def test_times_too_far_apart_for_epochs() -> None:
    """Are looked for slice by slice, with the same answer."""
    parts = [Slice([labelled(name="a")], np.asarray([0, time_ms]), np.zeros((2, 1))) for time_ms in (5, 2**60, 2**61)]
    (found,) = stack_of(parts).rows_until(np.asarray([-1, 4, 2**60]))
    assert found.tolist() == [0, 1, 2, 2, 3, 4, 4, 5, 5]


def test_the_cells_of_a_stack_become_rows() -> None:
    """First all columns of the first slice."""
    cells = np.asarray([[11, 12], [13, 14], [21, 22], [23, 24]], np.float64)
    assert unstacked(cells, 2).tolist() == [[11, 13], [12, 14], [21, 23], [22, 24]]
