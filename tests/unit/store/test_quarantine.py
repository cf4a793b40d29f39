"""A damaged block leaves the way: into the quarantine, or, where even that fails, out of sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.logs import Logger
from tests.unit.store.samples import T0, everything, frame, layout, opened, sql

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.database import Store


def two_blocks(store: Store) -> None:
    """One target, three samples in each; the first block is damaged."""
    for number in range(6):
        store.append([frame(1, layout(0), T0 + number, [number])]).result(60)
        if number in (2, 5):
            store.seal()
    sql(store, "UPDATE blocks SET body = zeroblob(length(body)) WHERE id = 1")


def test_a_block_is_moved_once(tmp_path: Path) -> None:
    """However many queries meet it before that."""
    said: list[str] = []
    with opened(tmp_path, log=Logger(said.append)) as store:
        two_blocks(store)
        for _ in range(3):
            assert len(everything(store)) == 3
        store.maintain()
        assert store.status()["quarantine"]["count"] == 1  # type: ignore[index]
        assert sql(store, "SELECT id FROM blocks") == [(2,)]
        assert len(said) == 1
        assert "row 1 of blocks" in said[0]


def test_a_block_that_cannot_be_moved_is_not_looked_at_again(tmp_path: Path) -> None:
    """Nobody waits for it: queries answer the rest, merging goes around it, background work comes to an end."""
    said: list[str] = []
    with opened(tmp_path, log=Logger(said.append)) as store:
        two_blocks(store)
        sql(store, "CREATE TRIGGER no_room BEFORE INSERT ON quarantine BEGIN SELECT raise(ABORT, 'no'); END")
        assert len(everything(store)) == 3
        store.maintain()
        assert any("cannot be moved" in line for line in said)
        store.append([frame(1, layout(0), T0 + 9, [9])]).result(60)
        store.seal()
        store.compact()
        store.maintain()
        assert sql(store, "SELECT id FROM blocks ORDER BY id") == [(1,), (3,)]
        assert len(everything(store)) == 4
