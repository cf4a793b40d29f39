"""Deleting: what is left of blocks, names and space. That the right samples go is in test_database's model."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.errors import StoreClosed, StoreError
from kpwatch.model.matchers import Matcher
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.deletion import without
from kpwatch.store.parts import Part
from tests.unit.store.samples import FOREVER, T0, between, everything, frame, layout, opened, remember, sql

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.database import Store

WIDE = layout(*range(200))


def fill(store: Store, model: dict, nodes: range, rows: int = 40) -> None:
    rng = np.random.default_rng(7)
    for number in range(rows):
        frames = [frame(node, WIDE, T0 + number * 15_000, rng.normal(size=200)) for node in nodes]
        store.append(frames).result(60)
        remember(model, frames)


def whole(columns: list[int], times: list[int]) -> Part:
    bits = np.arange(len(columns) * len(times), dtype=np.int64).reshape(len(columns), len(times))
    return Part(np.array(columns, np.uint32), np.array(times, np.int64), bits)


CUTS = (
    # columns to delete, from, to -> (columns, times) of what is left
    ([9], 0, 100, [([1, 2], [10, 20, 30])]),
    ([1], 40, 50, [([1, 2], [10, 20, 30])]),
    ([1, 2], 0, 100, []),
    ([1], 0, 100, [([2], [10, 20, 30])]),
    ([1], 20, 20, [([2], [10, 20, 30]), ([1], [10, 30])]),
    ([1, 2], 10, 20, [([1, 2], [30])]),
)


@pytest.mark.parametrize(("columns", "start", "end", "left"), CUTS)
def test_what_is_left_of_a_matrix(columns: list[int], start: int, end: int, left: list) -> None:
    """Other columns whole, the chosen ones without the range; both ends belong to it."""
    rest, _ = without(whole([1, 2], [10, 20, 30]), np.array(columns, np.uint32), start, end)
    assert [(part.columns.tolist(), part.timestamps_ms.tolist()) for part in rest] == left


def test_space_comes_back(tmp_path: Path) -> None:
    """While the store runs: free pages go back to the file system, and names nobody has are forgotten."""
    model: dict = {}
    with opened(tmp_path, seal_rows=8) as store:
        fill(store, model, range(1, 11))
        store.maintain()
        before = int(store.status()["blocks"]["bytes"])  # type: ignore[index]
        assert store.delete([[Matcher("ident", "!=", "node-1")]], *FOREVER).result(60) == (9 * 200, 9 * 200 * 40)
        store.maintain()
        assert store.status()["blocks"]["bytes"] * 8 < before  # type: ignore[index]
        ((free,),) = sql(store, "PRAGMA freelist_count")
        assert free == 0
        sql(store, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert os.stat(tmp_path / "samples.db").st_size < before // 2  # noqa: PTH116
        assert (store.status()["targets"], store.status()["columns"]) == (1, 200)
        assert store.label_values("ident", [], *FOREVER) == ["node-1"]
        assert everything(store) == {key: bits for key, bits in model.items() if dict(key[0])["ident"] == "node-1"}


def test_a_stretch_of_time(tmp_path: Path) -> None:
    """Only what lies in it, both ends included; the series are still known."""
    model: dict = {}
    with opened(tmp_path, seal_rows=8) as store:
        fill(store, model, range(1, 3))
        first, last = T0 + 10 * 15_000, T0 + 19 * 15_000
        assert store.delete([[]], first, last).result(60) == (400, 400 * 10)
        gone = between(model, first, last)
        left = {key: bits for key, bits in model.items() if key not in gone}
        assert everything(store) == left
        assert len(store.series([], *FOREVER)) == 400
        assert store.delete([[]], first, last).result(60) == (0, 0)
    with opened(tmp_path) as store:
        assert everything(store) == left


def test_what_was_deleted_can_be_written_again(tmp_path: Path) -> None:
    """At the same times; nothing of before shows."""
    model: dict = {}
    with opened(tmp_path) as store:
        fill(store, {}, range(1, 2))
        store.delete([[]], *FOREVER).result(60)
        assert everything(store) == {}
        fill(store, model, range(1, 2), 3)
        assert everything(store) == model
        assert store.status()["minTime"] == T0


def test_a_failure_is_told_and_the_store_goes_on(tmp_path: Path) -> None:
    """The one who asked learns of it and can ask again."""
    model: dict = {}
    with opened(tmp_path) as store:
        fill(store, model, range(1, 2))
        sql(store, "CREATE TRIGGER kept BEFORE DELETE ON blocks BEGIN SELECT raise(ABORT, 'not now'); END")
        with pytest.raises(StoreError, match=r"can be asked for again.*not now"):
            store.delete([[]], *FOREVER).result(60)
        assert everything(store) == model
        sql(store, "DROP TRIGGER kept")
        assert store.delete([[]], *FOREVER).result(60) == (200, 8000)


def test_a_damaged_block_is_set_aside(tmp_path: Path) -> None:
    """It cannot be written again without the samples, and nobody reads it any more."""
    with opened(tmp_path, seal_rows=32) as store:
        fill(store, {}, range(1, 2))
        store.seal()
        sql(store, "UPDATE blocks SET body = zeroblob(length(body))")
        assert store.delete([[]], *FOREVER).result(60) == (0, 0)
        assert everything(store) == {}
        assert store.status()["quarantine"]["count"] == 2  # type: ignore[index]


def test_closing_in_the_middle(tmp_path: Path) -> None:
    """What was not deleted yet stays, and whoever waits is told."""
    with opened(tmp_path) as store:
        fill(store, {}, range(1, 2))
        store._maintenance._stages = ()  # nothing is done any more
        deletion = store.delete([[]], -NEVER_MS, NEVER_MS)
    with pytest.raises((StoreClosed, sqlite3.Error)):
        deletion.result(60)
