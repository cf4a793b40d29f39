"""Background work: targets are sealed in turn, small blocks become large, a step that fails is tried again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from kpwatch.base.logs import Logger
from kpwatch.model.matchers import Matcher
from kpwatch.store.deletion import Deletion
from kpwatch.store.schema import FILE_NAME
from tests.clocks import MovedClock
from tests.unit.store.samples import FOREVER, T0, everything, frame, layout, opened, remember, sql

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from kpwatch.store.database import Store

WIDE = layout(*range(200))


def append(store: Store, model: dict, nodes: range, numbers: range) -> None:
    for number in numbers:
        frames = [frame(node, WIDE, T0 + number * 15_000, [number] * 200) for node in nodes]
        store.append(frames).result(60)
        remember(model, frames)


def test_the_first_blocks_are_cut_at_different_ages(tmp_path: Path) -> None:
    """So that later not all targets are due at once, and memory holds half of what it otherwise would."""
    with opened(tmp_path, seal_rows=32) as store:
        append(store, {}, range(20), range(25))
        store.maintain()
        left = {len(store._state.head.rows(number)) for number in store._state.head.targets()}
        assert len(left) > 5
        assert store.status()["blocks"]["count"] > 5  # type: ignore[index]


def test_blocks_grow(tmp_path: Path) -> None:
    """A day of small blocks is a few large ones; the samples are the same."""
    model: dict = {}
    with opened(tmp_path, seal_rows=32, close_seconds=0) as store:
        append(store, model, range(1, 2), range(600))
        store.maintain()
        rows = [count for (count,) in sql(store, "SELECT row_count FROM blocks ORDER BY id")]
        assert max(rows) >= 256
        assert len(rows) < 10
        assert everything(store) == model


def test_the_head_is_bounded_whatever_comes(tmp_path: Path) -> None:
    """Above head_bytes sealing goes before committing."""
    with opened(tmp_path, seal_rows=4, head_bytes=100_000) as store:
        append(store, {}, range(30), range(30))
        store.maintain()
        assert store.status()["head"]["bytes"] < 300_000  # type: ignore[index,operator]


def test_a_deletion_does_not_keep_appends_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time of a step is over, what must be sealed is; the deletion goes on in the next, behind a commit."""
    monkeypatch.setattr("kpwatch.store.maintenance.STEP_SECONDS", 0.0)
    deletion = Deletion([[Matcher("__name__", "=", "m0")]], *FOREVER)
    with opened(tmp_path, seal_rows=100) as store:
        append(store, {}, range(5), range(9))
        maintenance, head = store._maintenance, store._state.head

        def one_step() -> tuple[bool, int]:
            maintenance.delete(deletion)
            maintenance._to_seal.update(dict.fromkeys(head.targets()))
            maintenance._owed_rows = 1_000_000
            maintenance.step()
            return deletion.complete, head.count

        assert store._in_writer(one_step) == (False, 0)
        assert deletion.future.result(60).series == 5 * 67


def test_many_layouts_are_not_kept(tmp_path: Path, monkeypatch) -> None:
    """A sender that cuts its requests anywhere leaves no trace but its samples."""
    monkeypatch.setattr("kpwatch.store.maintenance.LAYOUTS_KEPT", 5)
    model: dict = {}
    with opened(tmp_path) as store:
        for number in range(40):
            frames = [
                frame(1, layout(*range(number % 20, number % 20 + 5 + number % 7)), T0 + number, range(5 + number % 7))
            ]
            store.append(frames).result(60)
            remember(model, frames)
            if number % 10 == 9:
                store.seal()
        assert store.status()["layouts"] < 15  # type: ignore[operator]
        assert everything(store) == model
    with opened(tmp_path) as store:
        assert everything(store) == model
        ((unused,),) = sql(store, "SELECT count(*) FROM layouts WHERE id NOT IN (SELECT layout FROM journal)")
        assert unused == 0, "a clean stop leaves none"


def test_dead_rows_of_the_journal_go(tmp_path: Path, monkeypatch) -> None:
    """Also behind a target that hardly ever has a sample: it is sealed early, so that it does not hold up the rest."""
    monkeypatch.setattr("kpwatch.store.maintenance.TRIM_ROWS", 50)
    model: dict = {}
    with opened(tmp_path, seal_rows=8) as store:
        frames = [frame(99, layout(0), T0, [1.5])]
        store.append(frames).result(60)
        remember(model, frames)
        append(store, model, range(1, 11), range(100))
        store.maintain()
        ((rows,),) = sql(store, "SELECT count(*) FROM journal")
        assert rows < 300, "of a thousand"
        assert everything(store) == model
    with opened(tmp_path) as store:
        assert everything(store) == model


def test_a_failing_step_is_told_and_tried_again(tmp_path: Path) -> None:
    """Here: somebody took the table away, and gave it back. Appends and queries go on meanwhile."""
    clock = MovedClock(T0 / 1000)
    said: list[str] = []
    model: dict = {}
    with opened(tmp_path, clock, log=Logger(said.append), seal_rows=8) as store:
        append(store, model, range(1, 2), range(2))
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=60)) as other, other:
            other.execute("CREATE TRIGGER no_blocks BEFORE INSERT ON blocks BEGIN SELECT raise(ABORT, 'not now'); END")
        append(store, model, range(1, 2), range(2, 12))
        assert everything(store) == model
        assert "not now" in str(store.status()["lastError"])
        assert any("not now" in line for line in said)
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=60)) as other, other:
            other.execute("DROP TRIGGER no_blocks")
        store.maintain()
        assert store.status()["blocks"]["count"] > 0  # type: ignore[index]
        assert everything(store) == model
