"""What was made of a file is read instead of made again, as long as the file is the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.compiled import compiled

if TYPE_CHECKING:
    from pathlib import Path

MADE = {"rows": [1, 2.5, "中文", True], "none": {}}


class Maker:
    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, source: bytes) -> object:
        self.seen.append(source)
        return MADE | {"source": source.decode()}


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def kept(folder: Path) -> list[Path]:
    return list((folder / "__pycache__").iterdir())


@pytest.mark.usefixtures("writes")
def test_it_is_made_once_for_each_content(tmp_path: Path) -> None:
    """A changed file, even of the same size and time, is made anew."""
    table, make = tmp_path / "table.toml", Maker()
    for content in (b"a", b"a", b"b", b"b"):
        table.write_bytes(content)
        assert compiled(table, make) == MADE | {"source": content.decode()}
    assert make.seen == [b"a", b"b"]
    assert len(kept(tmp_path)) == 1


@pytest.mark.usefixtures("writes")
@pytest.mark.parametrize("length", [0, 7, 8, 10, -3])
def test_what_is_cut_off_is_made_again(length: int, tmp_path: Path) -> None:
    """And put right."""
    table, make = tmp_path / "table.toml", Maker()
    table.write_bytes(b"a")
    compiled(table, make)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert compiled(table, make)["source"] == "a"
    assert path.read_bytes() == whole


def test_nothing_is_written_where_python_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONDONTWRITEBYTECODE."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    table, make = tmp_path / "table.toml", Maker()
    table.write_bytes(b"a")
    assert compiled(table, make) == compiled(table, make)
    assert (make.seen, list(tmp_path.iterdir())) == ([b"a", b"a"], [table])
