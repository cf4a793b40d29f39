"""SQLite's log is emptied by a thread of its own and begins anew; nobody's commit copies more than a little of it."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.store.checkpoint import LITTLE_PAGES, Checkpointer
from kpwatch.store.schema import FILE_NAME, PAGE_BYTES, connect_writer
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember

if TYPE_CHECKING:
    from pathlib import Path

WIDE = layout(*range(500))


def test_the_log_does_not_grow(tmp_path: Path, monkeypatch) -> None:
    """What is written is many times what the log ever holds, and everything is there."""
    monkeypatch.setattr("kpwatch.store.checkpoint.CHECKPOINT_BYTES", 64 << 10)
    random = np.random.default_rng(3)
    model: dict = {}
    largest = 0
    with opened(tmp_path, seal_rows=16) as store:
        for number in range(400):
            frames = [frame(number % 3, WIDE, T0 + number, random.random(500))]
            store.append(frames).result(60)
            remember(model, frames)
            largest = max(largest, store.status()["walBytes"])  # type: ignore[type-var]
        assert largest < 1 << 20, "of 4 MB and more"
        assert everything(store) == model
    assert not any("checkpoint" in thread.name for thread in threading.enumerate())


def test_what_is_left_to_the_writer_is_little(tmp_path: Path) -> None:
    """The thread copies what there was; what came meanwhile is the writer's, and then nothing is left."""
    path = tmp_path / FILE_NAME
    with closing(connect_writer(path)) as connection:
        connection.execute("CREATE TABLE some (body BLOB)")
        checkpointer = Checkpointer(path, connection)
        connection.execute("INSERT INTO some VALUES (zeroblob(?))", (300 * PAGE_BYTES,))
        assert not checkpointer.step(300 * PAGE_BYTES), "too little to begin"
        for _ in range(4):
            connection.execute("INSERT INTO some VALUES (zeroblob(?))", (300 * PAGE_BYTES,))
        assert not checkpointer.step(1500 * PAGE_BYTES), "it has only just begun"
        while not checkpointer.step(1500 * PAGE_BYTES):
            threading.Event().wait(0.001)
        _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert pages == copied
        checkpointer.close()
        assert checkpointer.failed == 0
        assert LITTLE_PAGES < 300
