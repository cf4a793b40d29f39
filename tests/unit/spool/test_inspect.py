"""A spool's directory can be looked into while an agent uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.cli.agent import main
from kpwatch.model.encoded import EncodedScrape
from kpwatch.spool.inspect import inspect
from tests.unit.spool.test_log import V1, opened

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_is_counted_and_nothing_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two writers, one behind; a damaged record; the files stay as they are."""
    spool = opened(tmp_path, segment_bytes=200)
    fast, slow = spool.reader("http://a/write#1", V1), spool.reader("http://b/write#2", V1)
    for number in range(10):
        spool.append({V1: EncodedScrape(b"block", 3, 1000 * number)})
        fast.take(100)
        fast.settle()
    first = min(tmp_path.glob("*.log"))
    first.write_bytes(first.read_bytes().replace(b"block", b"BLOCK", 1))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    contents = inspect(tmp_path)
    assert (contents.scrapes, contents.samples) == (9, 27)
    assert contents.waiting == {"http://a/write#1": 0, "http://b/write#2": 30}
    assert (contents.oldest_ms, contents.newest_ms) == (1000, 9000)
    assert contents.damaged_bytes > 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert slow.samples == 30
    assert main(["spool", "--inspect", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "30 samples wait for http://b/write" in shown
    assert "bytes are damaged" in shown


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """Says so, and where the agent's is."""
    with pytest.raises(Exception, match="spool_dir"):
        main(["spool", "--inspect", str(tmp_path / "absent")])


def test_an_empty_spool(tmp_path: Path) -> None:
    """Nothing waits."""
    assert inspect(tmp_path).waiting == {}
