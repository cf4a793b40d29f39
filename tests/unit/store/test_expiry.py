"""Retention by size: the oldest blocks go until what is left fits, in steps nobody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.telemetry import Registry
from kpwatch.store import expiry
from tests.clocks import MovedClock
from tests.unit.store.samples import FOREVER, T0, everything, frame, layout, opened, remember, sql

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.database import Store

WIDE = layout(*range(200))


def fill(store: Store, model: dict, rows: range, nodes: range = range(1, 4)) -> None:
    rng = np.random.default_rng(rows.start)
    for number in rows:
        frames = [frame(node, WIDE, T0 + number * 15_000, rng.normal(size=200)) for node in nodes]
        store.append(frames).result(60)
        remember(model, frames)


def test_the_oldest_go_first(tmp_path: Path) -> None:
    """What stays is the latest of every series, whole; it is counted, and names without samples are forgotten."""
    telemetry = Registry()
    model: dict = {}
    limit = 300_000
    with opened(tmp_path, seal_rows=8, retention_bytes=limit, telemetry=telemetry) as store:
        fill(store, {}, range(8), range(9, 10))
        store.seal()
        fill(store, model, range(8, 400))
        sql(store, "PRAGMA wal_checkpoint(TRUNCATE)")
        store.maintain()
        assert store.status()["blocks"]["bytes"] <= limit  # type: ignore[index]
        found = everything(store)
        assert 0 < len(found) < len(model)
        oldest = min(at for _, at in found)
        newest_gone = max(at for _, at in model.keys() - found.keys())
        assert oldest <= newest_gone + 15_000 * 1024, "blocks go whole, so some targets keep a little more"
        assert found.items() <= model.items()
        assert max(at for _, at in found) == max(at for _, at in model)
        assert store.label_values("ident", [], *FOREVER) == ["node-1", "node-2", "node-3"]
        counted = {name: value for name, _, value in telemetry.samples()}
        assert counted["kpwatch_store_evicted_samples_total"] >= len(model) - len(found)
        assert counted["kpwatch_store_expired_samples_total"] == 0
        sql(store, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert (tmp_path / "samples.db").stat().st_size <= 4 << 20, "with the journal"


def test_below_the_size_nothing_goes(tmp_path: Path) -> None:
    """Nor without a size."""
    for number, size in enumerate((0, 1 << 30)):
        model: dict = {}
        with opened(tmp_path / str(number), seal_rows=8, retention_bytes=size) as store:
            fill(store, model, range(60))
            store.maintain()
            assert everything(store) == model


def test_a_step_frees_so_much_and_no_more(tmp_path: Path, monkeypatch) -> None:
    """Bounded in blocks and in bytes; one at least."""
    with opened(tmp_path, seal_rows=2, close_seconds=0) as store:
        monkeypatch.setattr("kpwatch.store.tiers.RUN_BLOCKS_MAX", 1 << 30)
        monkeypatch.setattr("kpwatch.store.tiers.TIER_ROWS", (0,))
        fill(store, {}, range(160))
        store.seal()
        assert 64 < store.status()["blocks"]["count"] < 200  # type: ignore[index]
        (largest,) = store._in_writer(
            lambda: store._state.connection.execute("SELECT max(length(body)) FROM blocks").fetchone()
        )
        for at_once, expected in ((1, 1), (largest * 3, range(3, 20)), (1 << 30, 64)):
            monkeypatch.setattr(expiry, "BYTES_AT_ONCE", at_once)
            some = store._in_writer(lambda: expiry.expired(store._state.connection, 1 << 60))
            assert len(some) in (expected if isinstance(expected, range) else [expected])


def test_looking_again_takes_many_steps(tmp_path: Path) -> None:
    """After a deletion a target's blocks are read a few at a time: here one, for its time is always up."""
    clock = MovedClock(T0 / 1000)
    with opened(tmp_path, clock, seal_rows=8, close_seconds=0) as store:
        fill(store, {}, range(60), range(1, 2))
        store.seal()

        def look() -> int:
            again, steps = expiry.LookAgain(1), 1
            while not again.complete:
                assert again.step(store._state, -1.0) == {}
                steps += 1
            return steps

        blocks = int(store.status()["blocks"]["count"])  # type: ignore[index]
        before = store.series([], *FOREVER)
        assert store._in_writer(look) >= blocks
        assert store.series([], *FOREVER) == before
