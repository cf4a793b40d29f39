"""`hub --check`: a sound store is called sound, every kind of damage is named, and nothing is changed by looking."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.cli.checking import check_data
from kpwatch.store.lock import DirectoryLock
from kpwatch.store.schema import FILE_NAME
from tests.fault.test_store_damage import CASES, change, fill, flip_middle
from tests.unit.store.samples import opened

if TYPE_CHECKING:
    from pathlib import Path


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def test_a_sound_store(tmp_path: Path, capsys) -> None:
    """Exit code 0 and what was looked at; every file is as it was, and none is added."""
    model = fill(tmp_path)
    before = digests(tmp_path)
    assert check_data(tmp_path) == 0
    said = capsys.readouterr().out
    assert (
        said
        == f"{tmp_path}: sound: 6 blocks and 6 frames of the journal with {len(model)} samples, 3 targets, 60 columns\n"
    )
    assert digests(tmp_path) == before


def test_a_killed_hubs_store_is_looked_at_with_its_log(tmp_path: Path, capsys) -> None:
    """What stands only in the write-ahead log is looked at too, and stays there."""
    with opened(tmp_path / "source"):
        model = fill_running(tmp_path)
    before = (tmp_path / "killed" / f"{FILE_NAME}-wal").read_bytes()
    assert check_data(tmp_path / "killed") == 0
    assert f"{model} samples" in capsys.readouterr().out
    assert (tmp_path / "killed" / f"{FILE_NAME}-wal").read_bytes() == before


def fill_running(directory: Path) -> int:
    """A copy of a running store's files in `directory`/killed; how many samples it has."""
    from tests.fault.test_store_damage import NODES, WIDE
    from tests.unit.store.samples import T0, frame

    with opened(directory / "running") as store:
        for number in range(5):
            store.append([frame(node, WIDE, T0 + number, range(60)) for node in NODES]).result(60)
        shutil.copytree(directory / "running", directory / "killed")
    return 5 * 60 * len(NODES)


@pytest.mark.parametrize("what", [what for what, _, _ in CASES])
def test_damaged_rows_are_named(tmp_path: Path, what: str, capsys) -> None:
    """With table and number; exit code 1. The hub's own way to deal with it is told."""
    fill(tmp_path)
    change(tmp_path, what, flip_middle)
    before = digests(tmp_path)
    assert check_data(tmp_path) == 1
    said = capsys.readouterr().out
    table, _, number = what.split()
    assert f"damaged: {table} {number}" in said or f"damaged: {table[:-1]} {number}" in said
    assert "A hub started on it" in said.splitlines()[-1]
    assert digests(tmp_path) == before


STATEMENTS = (
    # a change that every checksum of its own row survives, what is said
    ("UPDATE blocks SET target = 2 WHERE id = 1", "block 1: what it covers has a wrong checksum"),
    ("DELETE FROM columns WHERE id = 3", "target 1: 1 of its columns have no name, the first is column 3"),
    ("DELETE FROM targets WHERE id = 3", "block 3: its target 3 has no name"),
    ("DELETE FROM layouts", "target 1 or layout 1 is not known"),
    ("DELETE FROM meta", "schema version is missing"),
    ("UPDATE blocks SET body = (SELECT body FROM blocks WHERE id = 2) WHERE id = 1", "block 1"),
)


@pytest.mark.parametrize(("statement", "says"), STATEMENTS)
def test_names_and_numbers_that_do_not_fit(tmp_path: Path, statement: str, says: str, capsys) -> None:
    """A row that is missing or stands in for another is found by who refers to it."""
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute(statement)
    assert check_data(tmp_path) == 1
    assert says in capsys.readouterr().out


def test_every_damaged_page_is_said(tmp_path: Path, capsys) -> None:
    """Pages of zeros in the middle: SQLite's words, and the rest is looked at all the same."""
    fill(tmp_path)
    raw = bytearray((tmp_path / FILE_NAME).read_bytes())
    for page in range(6, len(raw) // 4096, 3):
        raw[page * 4096 : (page + 1) * 4096] = bytes(4096)
    (tmp_path / FILE_NAME).write_bytes(raw)
    assert check_data(tmp_path) == 1
    assert "damaged: SQLite:" in capsys.readouterr().out


def test_a_running_hub_is_left_alone(tmp_path: Path) -> None:
    """The error says who runs and that a backup can be looked at."""
    with opened(tmp_path), pytest.raises(ConfigError, match=r"in use by process \d+: stop it, or look at a copy"):
        check_data(tmp_path)


def test_nobody_starts_to_write_meanwhile(tmp_path: Path) -> None:
    """The lock is held, shared with others who look."""
    from kpwatch.store.lock import held_still

    fill(tmp_path)
    with held_still(tmp_path), held_still(tmp_path), pytest.raises(ConfigError, match="in use"):
        DirectoryLock(tmp_path)
    DirectoryLock(tmp_path).release()


def test_as_it_is_typed(tmp_path: Path) -> None:
    """Exit codes of the command; a directory without a store is an error that names it."""
    fill(tmp_path)
    command = [sys.executable, "-m", "kpwatch", "hub", "--check"]
    assert subprocess.run([*command, str(tmp_path)], capture_output=True, check=False).returncode == 0
    change(tmp_path, "blocks body 1", flip_middle)
    assert subprocess.run([*command, str(tmp_path)], capture_output=True, check=False).returncode == 1
    ended = subprocess.run([*command, str(tmp_path / "no")], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "holds no store" in ended.stderr
