"""Damaged bytes: found by their checksum, set aside, named; the rest answers, and nothing wrong is ever answered."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.model.labels import label_value
from tests.e2e.hub_scene import DEADLINE_SECONDS, HubProcess
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.store.samples import Model

WIDE = layout(*range(60))
NODES = (1, 2, 3)


def fill(directory: Path, rows: int = 9) -> Model:
    """Three targets, two blocks each and some rows in the journal."""
    model: Model = {}
    rng = np.random.default_rng(3)
    with opened(directory, seal_rows=100, close_seconds=0) as store:
        for number in range(rows):
            frames = [frame(node, WIDE, T0 + number, rng.integers(0, 10**9, 60)) for node in NODES]
            store.append(frames).result(60)
            remember(model, frames)
            if number in (3, 6):
                store.seal()
    return model


def nodes_of(model: Model) -> set[str]:
    return {label_value(labels, "ident") for labels, _ in model}


def change(directory: Path, statement: str, flip: Callable[[bytes], bytes]) -> None:
    """Pass the one value a SELECT finds through `flip`; `statement`: table, column, id."""
    table, column, number = statement.split()
    with sqlite3.connect(directory / "samples.db") as connection:
        old = connection.execute(f"SELECT CAST({column} AS BLOB) FROM {table} WHERE id = {number}").fetchone()[0]
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = {number}", (flip(old),))
    connection.close()


def flip_middle(raw: bytes) -> bytes:
    return raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]


CASES = (
    # what is damaged, what may be missing then, by how many samples at most
    ("blocks body 1", "node-1", 240),
    ("journal samples 22", "node-1", 60),
    ("layouts columns 1", "", 180 * 2),
    ("columns labels 7", "", 27),
    ("targets labels 2", "node-2", 540),
    ("targets state 2", "", 0),
)


@pytest.mark.parametrize(("what", "node", "missing"), CASES)
def test_a_flipped_bit(tmp_path: Path, what: str, node: str, missing: int) -> None:
    """Only what the damaged row held is missing; the row is in the quarantine; new samples come in as before."""
    model = fill(tmp_path)
    change(tmp_path, what, flip_middle)
    said: list[str] = []
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry, log=Logger(said.append)) as store:
        found = everything(store)
        store.maintain()
        assert found.items() <= model.items(), "nothing wrong is answered"
        lost = {key: bits for key, bits in model.items() if key not in found}
        assert len(lost) <= missing, what
        assert bool(lost) == bool(missing)
        assert not node or nodes_of(lost) == {node}
        assert everything(store) == found, "and the same after it was set aside"
        count = store.status()["quarantine"]["count"]  # type: ignore[index]
        assert bool(count) == bool(missing)
        counted = {name: value for name, _, value in telemetry.samples()}["kpwatch_store_quarantined_rows_total"]
        assert counted == count
        assert len(said) == max(1, count), "what could be made good again is said, too"
        frames = [frame(node, WIDE, T0 + 50, range(60)) for node in NODES]
        store.append(frames).result(60)
        remember(found, frames)
        assert everything(store) == found
    with opened(tmp_path) as store:
        assert everything(store) == found


def test_the_quarantine_keeps_the_row_whole(tmp_path: Path) -> None:
    """For a person to look at: which block, of when, why, and its bytes."""
    fill(tmp_path)
    change(tmp_path, "blocks body 1", flip_middle)
    with opened(tmp_path) as store:
        everything(store)
        store.maintain()
        (entry,) = store.status()["quarantine"]["latest"]  # type: ignore[index]
        assert (entry["source"], entry["id"], entry["startMs"], entry["endMs"]) == ("blocks", 1, T0, T0 + 3)
        assert "checksum" in entry["reason"]
        assert entry["bytes"] > 100


def test_a_hub_names_it(tmp_path: Path) -> None:
    """In its log and in /api/v1/status/tsdb, and answers everything else."""
    fill(tmp_path)
    change(tmp_path, "blocks body 1", flip_middle)
    with HubProcess(tmp_path, "--retention", "0") as hub, hub.client() as client:
        query = f"count by (ident) (count_over_time({{ident=~'.+'}}[{T0}ms]))"
        counts = client.get("/api/v1/query", query=query, time=(T0 + 3) / 1000).json()["data"]["result"]
        assert [one["metric"]["ident"] for one in counts] == ["node-2", "node-3"]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := client.get("/api/v1/status/tsdb").json()["data"]["store"]["quarantine"])["count"] == 0:
            assert time.monotonic() < deadline, "it is not set aside"
            time.sleep(0.02)
        (entry,) = found["latest"]
        assert (entry["source"], entry["id"]) == ("blocks", 1)
        assert "checksum" in entry["reason"]
        said = hub.stop()
    assert "row 1 of blocks is damaged and was set aside" in said
    assert "checksum" in said


def test_damage_met_while_merging(tmp_path: Path) -> None:
    """The background sets it aside too, and goes on with the rest."""
    model = fill(tmp_path)
    change(tmp_path, "blocks body 1", flip_middle)
    with opened(tmp_path) as store:
        store.compact()
        assert store.status()["quarantine"]["count"] == 1  # type: ignore[index]
        assert len(everything(store)) == len(model) - 240


def test_what_a_block_covers_is_protected(tmp_path: Path) -> None:
    """A wrong time in the row, not in the bytes, would hide samples or show them as another target's."""
    fill(tmp_path)
    with sqlite3.connect(tmp_path / "samples.db") as connection:
        connection.execute("UPDATE blocks SET target = 2 WHERE id = 1")
    connection.close()
    with opened(tmp_path) as store:
        assert nodes_of(everything(store)) == {"node-1", "node-2", "node-3"}
        store.maintain()
        assert store.status()["quarantine"]["count"] == 1  # type: ignore[index]
