"""Lists of targets are read again when they change, however they change, and a bad one takes nothing away."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kpwatch.scrape.discovery.files import FILE_LIMIT_BYTES, FileDiscovery
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import FileDiscoveryOptions
from kpwatch.scrape.options import TargetOptions
from tests.unit.scrape.discovery.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpwatch.scrape.discovery.target_files import Found


class Lists(Running):
    """A discovery over `*.json` of a folder, looking all the time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.answers: list[list[str]] = []
        self.failures: list[str] = []
        options = FileDiscoveryOptions(Instance(TargetOptions("")), (f"{folder}/*.json",), refresh_seconds=0.001)
        self.discovery = FileDiscovery(options, self.loop, self.log, found=self._found, failed=self.failures.append)
        self.discovery.start()

    def _found(self, found: list[Found] | None) -> None:
        assert found is not None
        self.answers.append([url.removeprefix("http://").removesuffix("/metrics") for url, _ in found])

    def wait_for(self, *targets: str) -> None:
        self.until(lambda: self.answers[-1] == list(targets), f"{targets}, not {self.answers[-1]}")


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    with Lists(tmp_path) as running:
        yield running
        running.discovery.stop()


def write(path: Path, *targets: str) -> None:
    """At once, as whoever writes such files should."""
    other = path.with_suffix(".new")
    other.write_text(json.dumps([{"targets": targets}]))
    other.replace(path)


def test_files_come_change_and_go(lists: Lists, tmp_path: Path) -> None:
    """In the order of their names; without files there is an answer too."""
    assert lists.answers == [[]]
    write(tmp_path / "b.json", "b:1")
    lists.wait_for("b:1")
    write(tmp_path / "a.json", "a:1", "a:2")
    lists.wait_for("a:1", "a:2", "b:1")
    write(tmp_path / "a.json", "a:2")
    lists.wait_for("a:2", "b:1")
    (tmp_path / "b.json").unlink()
    lists.wait_for("a:2")
    assert lists.failures == []


def test_a_config_map(lists: Lists, tmp_path: Path) -> None:
    """Its files are symlinks through ..data, which is swapped for another folder at once."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        write(tmp_path / f"..{version}" / "t.json", f"v{version}:1")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "t.json").symlink_to("..data/t.json")
    lists.wait_for("v1:1")
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    lists.wait_for("v2:1")


def test_a_bad_file_keeps_what_it_had(lists: Lists, tmp_path: Path) -> None:
    """It is said, once for each change; mended, it counts again."""
    write(tmp_path / "a.json", "a:1")
    write(tmp_path / "b.json", "b:1")
    lists.wait_for("a:1", "b:1")
    (tmp_path / "a.json").write_text('[{"targets": ["a:')
    lists.until(lambda: bool(lists.failures), "a failure")
    write(tmp_path / "b.json", "b:2")
    lists.wait_for("a:1", "b:2")
    assert len(lists.failures) == 1
    assert lists.failures[0].startswith(f"file_sd {tmp_path}/a.json: not JSON: ")
    assert lists.failures[0].endswith("its 1 targets from before stay")
    write(tmp_path / "a.json", "a:2")
    lists.wait_for("a:2", "b:2")


def test_what_cannot_be_read(lists: Lists, tmp_path: Path) -> None:
    """A folder by such a name, a symlink to nowhere, a file beyond all measure."""
    (tmp_path / "d.json").mkdir()
    (tmp_path / "e.json").symlink_to("nowhere")
    with (tmp_path / "f.json").open("wb") as file:
        os.ftruncate(file.fileno(), FILE_LIMIT_BYTES + 1)
    lists.until(lambda: len(lists.failures) >= 2, "two failures")
    write(tmp_path / "a.json", "a:1")
    lists.wait_for("a:1")
    assert "d.json: Is a directory; its 0 targets" in lists.failures[0]
    assert "f.json: larger than 4 MiB" in lists.failures[1]
    assert len(lists.failures) == 2


def test_stopped_it_looks_no_more(lists: Lists, tmp_path: Path) -> None:
    """No timer is left."""
    lists.discovery.stop()
    write(tmp_path / "a.json", "a:1")
    lists.loop.call_later(0.05, lists.loop.stop)
    lists.loop.run()
    assert lists.answers == [[]]
