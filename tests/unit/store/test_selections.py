"""What a question selected is found again as long as it is true, and never a moment longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpwatch.model import stack
from kpwatch.model.matchers import Matcher
from kpwatch.model.source import Slice
from kpwatch.store import cutting, selections
from tests.clocks import MovedClock
from tests.unit.store.samples import FOREVER, T0, between, frame, layout, opened, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kpwatch.model.stack import Stack
    from kpwatch.store.database import Store

QUESTION = (Matcher("__name__", "=", "m0"), Matcher("ident", "=~", "node-.*"))
SHAPES = (layout(*range(6)), layout(0, 3), layout(1, 2, 7, 9), layout(3))


def slices_of(stacks: Iterable[Stack]) -> Iterator[Slice]:
    for one in stacks:
        width = one.values.shape[1]
        for number, rows in enumerate(np.split(np.arange(len(one.timestamps_ms)), one.begins[1:])):
            series = one.series[number * width : (number + 1) * width]
            yield Slice(series, one.timestamps_ms[rows], one.values[rows])


def asked(store: Store, start_ms: int, end_ms: int, matchers: tuple[Matcher, ...] = QUESTION) -> dict:
    """What is within the times, as PromQL would see it."""
    stacks = [one for batch in store.stacks(matchers, start_ms, end_ms, 1) for one in batch]
    return between(told(slices_of(stacks)), start_ms, end_ms)


def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with every question that is not answered by what was kept."""
    made: list[object] = []
    read = store._selections._slices

    def counted(*what: object) -> object:
        made.append(what)
        return read(*what)

    monkeypatch.setattr(store._selections, "_slices", counted)
    return made


def scrape(store: Store, at: int, node: int = 0, shape: int = 0) -> list:
    frames = [frame(node, SHAPES[shape], T0 + at, [at * 10.0 + n for n in range(len(SHAPES[shape].columns))])]
    store.append(frames).result(60)
    return frames


ACTIONS = st.one_of(
    st.tuples(st.just("scrape"), st.integers(0, 40), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("later"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.sampled_from(["seal", "merge"])),
    st.tuples(st.just("delete"), st.integers(0, 20), st.integers(20, 40)),
)


@given(actions=st.lists(ACTIONS, min_size=4, max_size=10), length=st.integers(0, 30))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_always_what_a_fresh_look_finds(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple], length: int
) -> None:
    """Whatever happens in between: rows, late rows, other columns, new targets, blocks, deletions."""
    with opened(tmp_path_factory.mktemp("store")) as store:
        for later, action in enumerate(actions, 41):
            match action:
                case "later", node, shape:
                    scrape(store, later, node, shape)
                case "scrape", at, node, shape:
                    scrape(store, at, node, shape)
                case "delete", start, end:
                    store.delete([[Matcher("le", "=", "3")]], T0 + start, T0 + end).result(60)
                case ("merge",):
                    store.compact()
                case _:
                    store.seal()
            for start in (0, 5, 10):
                for stretch in (FOREVER, (T0, T0 + 50), (T0 + start, T0 + start + length)):
                    assert asked(store, *stretch) == told(store.select(QUESTION, *stretch))


def test_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read; nor a little later, whether there is something new or not."""
    with opened(tmp_path) as store:
        for at in range(10):
            scrape(store, at)
        store.seal()
        made = reads(store, monkeypatch)
        first = asked(store, T0 + 5, T0 + 20)
        assert asked(store, T0 + 5, T0 + 20) == first
        assert asked(store, T0 + 7, T0 + 22) == between(first, T0 + 7, T0 + 22)
        assert len(made) == 1
        assert asked(store, T0 + 3, T0 + 18) != first
        assert len(made) == 2
        scrape(store, 15)
        assert asked(store, T0 + 3, T0 + 18) == told(store.select(QUESTION, T0 + 3, T0 + 18))
        assert len(made) == 2


def test_rows_that_came_since_are_put_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some targets or all, one or several; nothing is read for that, but where a row is none that fits there."""
    with opened(tmp_path) as store:
        for at in range(6):
            for node, shape in ((0, 0), (1, 0), (2, 1)):
                scrape(store, at, node, shape)
        store.seal()
        asked(store, T0, T0 + 20)
        made = reads(store, monkeypatch)
        happened = (
            ("a row of each", [(6, 0, 0), (6, 1, 0), (6, 2, 1)], 0),
            ("rows of one", [(7, 1, 0), (8, 1, 0)], 0),
            ("more columns than wanted", [(9, 0, 0)], 0),
            ("a late one", [(6, 0, 0)], 1),
            ("another", [(10, 2, 1)], 1),
            ("lacks a column", [(11, 0, 3)], 2),
            ("a new target", [(12, 3, 0)], 3),
        )
        for what, rows, read in happened:
            for row in rows:
                scrape(store, *row)
            assert asked(store, T0 + 1, T0 + 21) == told(store.select(QUESTION, T0 + 1, T0 + 21)), what
            assert len(made) == read, what


def test_a_shorter_stretch_is_taken_out_of_a_longer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read for it, nor for the rows that come later; a target that has nothing there is not in it."""
    with opened(tmp_path) as store:
        for at in range(12):
            for node, shape in ((0, 0), (1, 0), (2, 1), (3, 1)):
                if node != 3 or at < 4:
                    scrape(store, at, node, shape)
        made = reads(store, monkeypatch)
        asked(store, T0, T0 + 20)
        for start, end in ((6, 10), (11, 12), (12, 13), (2, 9), (0, 19)):
            for _ in range(2):
                assert asked(store, T0 + start, T0 + end) == told(store.select(QUESTION, T0 + start, T0 + end))
        for at, node, shape in ((12, 0, 0), (13, 2, 1), (13, 0, 0)):
            scrape(store, at, node, shape)
            assert asked(store, T0 + 10, T0 + 14) == told(store.select(QUESTION, T0 + 10, T0 + 14))
        assert len(made) == 1
        scrape(store, 14, 3, 1)  # it had nothing to put this behind
        assert asked(store, T0 + 10, T0 + 14) == told(store.select(QUESTION, T0 + 10, T0 + 14))
        assert len(made) <= 2


def test_what_is_taken_out_is_small_enough_to_be_evaluated_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has as many cells as for a question that was read, also where it has many steps."""
    monkeypatch.setattr(stack, "SLICE_CELLS", 1)  # each slice is a batch
    with opened(tmp_path) as store:
        for at in range(8):
            for node in range(4):
                scrape(store, at, node)
        made = reads(store, monkeypatch)
        ((one,), *_) = store.stacks(QUESTION, T0, T0 + 20, 1)
        monkeypatch.setattr(cutting, "BATCH_CELLS", 12 * one.values.shape[1])  # two slices of five rows
        for steps, count in ((1, 2), (6, 2), (7, 4), (40, 4)):
            batches = list(store.stacks(QUESTION, T0 + 3, T0 + 9, steps))
            assert len(batches) == count, steps
        assert len(made) == 1


def test_an_end_within_the_samples_is_an_end(tmp_path: Path) -> None:
    """A later question of the same length is read."""
    with opened(tmp_path) as store:
        for at in range(10):
            scrape(store, at)
        for start in (1, 3, 2, 6):
            assert asked(store, T0 + start, T0 + start + 3) == told(store.select(QUESTION, T0 + start, T0 + start + 3))


def test_of_any_number_of_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not evaluated at once is kept as well, but for a question of more steps than it was made for."""
    monkeypatch.setattr(stack, "SLICE_CELLS", 1)  # each slice is a batch
    with opened(tmp_path) as store:
        for at in range(4):
            for node in range(3):
                scrape(store, at, node)
        made = reads(store, monkeypatch)
        for steps, reads_before in ((2, 1), (2, 1), (1, 1), (3, 2)):
            batches = list(store.stacks(QUESTION, T0, T0 + 5, steps))
            assert len(batches) == 3
            assert told(slices_of(one for batch in batches for one in batch)) == told(
                store.select(QUESTION, T0, T0 + 5)
            )
            assert len(made) == reads_before


@pytest.mark.parametrize("of", [pytest.param("bytes", id="half of the cache"), pytest.param("targets", id="targets")])
def test_what_is_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    """It would only push out everything else, or take as long to look after as to read."""
    with opened(tmp_path) as store:
        for node in range(3):
            scrape(store, 1, node)
        made = reads(store, monkeypatch)
        if of == "bytes":
            monkeypatch.setattr(store._cache, "bytes_max", 2000)
        else:
            monkeypatch.setattr(selections, "TARGETS_MAX", 2)
        assert asked(store, T0, T0 + 5) == asked(store, T0, T0 + 5)
        assert len(made) == 2


def test_nothing_is_shown_that_retention_hides(tmp_path: Path) -> None:
    """What was kept when it could be seen is not shown once it is too old."""
    clock = MovedClock(unix_seconds=T0 / 1000 + 10)
    with opened(tmp_path, clock, retention_seconds=60) as store:
        for at in (0, 30_000):
            scrape(store, at)
        assert len({at for _, at in asked(store, T0 - 1000, T0 + 59_000)}) == 2
        clock.advance(70)
        visible = told(slices_of(one for batch in store.stacks(QUESTION, T0 - 1000, T0 + 59_000, 1) for one in batch))
        assert {at for _, at in visible} == {T0 + 30_000}


def test_nobody_writes_to_what_is_kept(tmp_path: Path) -> None:
    """It is read-only for all who get it."""
    with opened(tmp_path) as store:
        scrape(store, 1)
        list(store.stacks(QUESTION, T0, T0 + 5, 1))
        ((one,),) = store.stacks(QUESTION, T0, T0 + 5, 1)
        with pytest.raises(ValueError, match="read-only"):
            one.values[0, 0] = 1.0
