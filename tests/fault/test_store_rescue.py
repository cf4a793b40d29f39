"""A flipped bit anywhere, SQLite's own pages and its log included: the store opens, answers nothing wrong, goes on."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import ConfigError, StoreError
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.store import rescue
from kpwatch.store.pages import Image
from kpwatch.store.schema import FILE_NAME, MIGRATIONS, PAGE_BYTES, connect_writer, migrate
from kpwatch.store.wal import read_log
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember, silent, sql

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.store.samples import Model

LOG_NAME = f"{FILE_NAME}-wal"
WIDE = layout(*range(60))
NODES = (1, 2, 3)
ROWS = 60
SEAL_ROWS = 20
POSITIONS = 250 if os.environ.get("KPWATCH_LONG") == "1" else 25
"""For each seed, of which there are six for each kind of store."""
LOST_MOST = 3 * 60 * SEAL_ROWS
"""Samples on one page: blocks of a leaf, or a name that all have."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A directory with two stores of the same samples, `closed` and `killed`, and what is in them."""
    folder = tmp_path_factory.mktemp("stores")
    model: Model = {}
    rng = np.random.default_rng(3)
    with opened(folder / "closed", seal_rows=SEAL_ROWS, close_seconds=0) as store:
        for number in range(ROWS):
            frames = [frame(node, WIDE, T0 + number, rng.integers(0, 10**9, 60)) for node in NODES]
            store.append(frames).result(60)
            remember(model, frames)
        shutil.copytree(folder / "closed", folder / "killed")
    return folder, model


def flipped(source: Path, to: Path, chance: random.Random) -> str:
    """A copy with one bit flipped somewhere in database or log; where."""
    to.mkdir()
    files = {name: (source / name).read_bytes() for name in (FILE_NAME, LOG_NAME) if (source / name).exists()}
    at = chance.randrange(sum(map(len, files.values())))
    where = ""
    for name, raw in files.items():
        damaged = bytearray(raw)
        if 0 <= at < len(raw):
            damaged[at] ^= 1 << chance.randrange(8)
            where = f"{name}, byte {at}"
        at -= len(raw)
        (to / name).write_bytes(damaged)
    return where


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["closed", "killed"])
@pytest.mark.parametrize("seed", range(6))
def test_a_bit_anywhere(tmp_path: Path, stores: tuple[Path, Model], kind: str, seed: int) -> None:
    """It opens; what it answers is true, stays so through all background work, and only a page's worth is missing."""
    folder, model = stores
    chance = random.Random(seed)
    for number in range(POSITIONS):
        directory = tmp_path / str(number)
        where = flipped(folder / kind, directory, chance)
        with opened(directory) as store:
            found = everything(store)
            assert found.items() <= model.items(), where
            assert len(model) - len(found) <= LOST_MOST, where
            store.maintain()
            assert everything(store) == found, where
            frames = [frame(node, WIDE, T0 + ROWS, range(60)) for node in NODES]
            store.append(frames).result(60)
            remember(found, frames)
            store.seal()
            store.compact()
            assert everything(store) == found, where
        with opened(directory) as store:
            assert everything(store) == found, where
        shutil.rmtree(directory)


def zero_page(directory: Path, number: int) -> None:
    with (directory / FILE_NAME).open("r+b") as file:
        file.seek((number - 1) * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES))


def roots(directory: Path) -> dict[str, int]:
    with opened(directory, close_seconds=0) as store:
        return dict(sql(store, "SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))


@pytest.mark.parametrize("what", ["schema", "journal", "blocks", "blocks_by_target", "blocks_by_end", "meta", "map"])
def test_a_whole_page(tmp_path: Path, stores: tuple[Path, Model], what: str) -> None:
    """Zeros where a tree begins: what stands on other pages is answered, the old file is set aside, all of it said."""
    folder, model = stores
    shutil.copytree(folder / "closed", tmp_path / "data")
    page = {"schema": 1, "map": 2}.get(what) or roots(tmp_path / "data")[what]
    zero_page(tmp_path / "data", page)
    said: list[str] = []
    telemetry = Registry()
    with opened(tmp_path / "data", log=Logger(said.append), telemetry=telemetry) as store:
        found = everything(store)
        assert found.items() <= model.items()
        assert len(found) >= len(model) // 2, "journal rows stood on one page, blocks on others"
        (entry,) = store.status()["quarantine"]["files"]  # type: ignore[index]
        assert (tmp_path / "data" / entry["file"]).stat().st_size == (folder / "closed" / FILE_NAME).stat().st_size
    assert any("is damaged" in line for line in said)
    assert any("was made anew" in line and str(entry["file"]) in line for line in said)
    counted = {name: value for name, _, value in telemetry.samples()}
    assert counted["kpwatch_store_rescues_total"] == 1


def test_damage_met_while_it_runs(tmp_path: Path, stores: tuple[Path, Model], monkeypatch) -> None:
    """Here of a file too large to be looked at when it is opened: it is said, and the next start makes it anew."""
    monkeypatch.setattr(rescue, "CHECKED_AT_OPEN_BYTES", 0)
    folder, model = stores
    shutil.copytree(folder / "closed", tmp_path / "data")
    zero_page(tmp_path / "data", roots(tmp_path / "data")["blocks_by_end"])
    said: list[str] = []
    with opened(tmp_path / "data", log=Logger(said.append)) as store:
        assert everything(store) == model
        with pytest.raises((StoreError, sqlite3.Error)):
            store.maintain()
    assert any("made anew when the hub is started again" in line for line in said)
    with opened(tmp_path / "data", log=Logger(said.append)) as store:
        assert everything(store) == model
        store.seal()
        assert everything(store) == model
    assert sum("was made anew" in line for line in said) == 1


def test_a_log_damaged_in_its_middle(tmp_path: Path, stores: tuple[Path, Model]) -> None:
    """SQLite would leave out everything behind it without a word; here one row is missing at most."""
    folder, model = stores
    shutil.copytree(folder / "killed", tmp_path / "data")
    raw = bytearray((tmp_path / "data" / LOG_NAME).read_bytes())
    frames = (len(raw) - 32) // (24 + PAGE_BYTES)
    raw[32 + frames // 2 * (24 + PAGE_BYTES) + 24 + 3000] ^= 16
    (tmp_path / "data" / LOG_NAME).write_bytes(raw)
    assert read_log(tmp_path / "data" / LOG_NAME).damage == (
        f"frame {frames // 2 + 1} has a wrong checksum, committed pages stand behind it"
    )
    with opened(tmp_path / "data") as store:
        found = everything(store)
        assert found.items() <= model.items()
        assert len(model) - len(found) <= 60 * SEAL_ROWS


def test_a_torn_end_is_no_damage(tmp_path: Path, stores: tuple[Path, Model]) -> None:
    """What a power cut leaves of the last write was never acknowledged: the log is cut there, as SQLite does it."""
    folder, _ = stores
    raw = (folder / "killed" / LOG_NAME).read_bytes()
    for size in (len(raw) - 1000, len(raw) - 5000, 32, 10, 0):
        (tmp_path / "log").write_bytes(raw[:size])
        assert read_log(tmp_path / "log").damage == ""
    (tmp_path / "log").write_bytes(raw[:-100] + bytes(100))
    assert read_log(tmp_path / "log").damage == ""


def test_what_the_log_reader_sees_is_what_sqlite_sees(tmp_path: Path, stores: tuple[Path, Model]) -> None:
    """Page by page: the database after a checkpoint is the image before it."""
    folder, _ = stores
    shutil.copytree(folder / "killed", tmp_path / "data")
    with Image(tmp_path / "data" / FILE_NAME) as image:
        pages = [image.page(number) for number in range(1, image.count + 1)]
    connection = connect_writer(tmp_path / "data" / FILE_NAME)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert b"".join(pages) == (tmp_path / "data" / FILE_NAME).read_bytes()


def test_every_row_is_found_without_sqlite(stores: tuple[Path, Model]) -> None:
    """Of every table as many as SQLite counts."""
    folder, _ = stores
    with Image(folder / "closed" / FILE_NAME) as image:
        widths = [len(row.values) for row in image.rows() if row.values[0] is None]
    with opened(folder / "closed", close_seconds=0) as store:
        for table in rescue.JUDGES:
            width = len(sql(store, f"PRAGMA table_info({table})"))
            assert widths.count(width) == sql(store, f"SELECT count(*) FROM {table}")[0][0], table


def test_tables_are_told_apart_by_their_width(tmp_path: Path) -> None:
    """A row without its tree is known by its number of values: no two tables may have the same."""
    connection = connect_writer(tmp_path / "new")
    migrate(connection, tmp_path / "new")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert set(tables) == {*rescue.JUDGES, "meta"}
    widths = [len(connection.execute(f"PRAGMA table_info({table})").fetchall()) for table in rescue.JUDGES]
    assert len({*widths, 5}) == len(widths) + 1, "5 has the schema's own table"
    connection.close()


def test_a_crash_while_files_are_exchanged(tmp_path: Path, stores: tuple[Path, Model]) -> None:
    """At every step whoever comes next goes on: one good database, and the old one aside."""
    folder, model = stores
    source = tmp_path / "source"
    shutil.copytree(folder / "killed", source)
    shutil.copyfile(folder / "closed" / FILE_NAME, source / rescue.FINISHED)
    for step in range(4):
        data = tmp_path / str(step)
        shutil.copytree(source, data)
        (data / "quarantine").mkdir()
        for name in (LOG_NAME, FILE_NAME)[: min(step, 2)]:
            (data / name).replace(data / "quarantine" / f"{FILE_NAME}.1{name.removeprefix(FILE_NAME)}")
        if step == 3:
            (data / rescue.BUILDING).write_bytes(b"half")
        with opened(data) as store:
            assert everything(store) == model
        assert not (data / rescue.BUILDING).exists()
        assert not (data / rescue.FINISHED).exists()


def test_old_files_are_bounded(tmp_path: Path) -> None:
    """The newest stay; what goes is said."""
    said: list[str] = []
    for number in range(rescue.FILES_KEPT + 3):
        (tmp_path / FILE_NAME).write_bytes(b"%d" % number)
        rescue.rescue(tmp_path / FILE_NAME, "a test", SYSTEM_CLOCK, Logger(said.append))
    assert len(rescue.files_aside(tmp_path)) == rescue.FILES_KEPT
    assert sum("is removed" in line for line in said) == 3


def test_a_newer_kpwatchs_file_is_left_alone(tmp_path: Path, stores: tuple[Path, Model]) -> None:
    """Another header together with a newer version is no damage."""
    folder, _ = stores
    shutil.copytree(folder / "closed", tmp_path / "data")
    raw = bytearray((tmp_path / "data" / FILE_NAME).read_bytes())
    raw[16:18] = (8192).to_bytes(2)
    raw[60:64] = (len(MIGRATIONS) + 2).to_bytes(4)
    (tmp_path / "data" / FILE_NAME).write_bytes(raw)
    with pytest.raises(ConfigError, match="newer kpwatch"), opened(tmp_path / "data", log=silent()):
        pass
    assert (tmp_path / "data" / FILE_NAME).read_bytes() == raw
