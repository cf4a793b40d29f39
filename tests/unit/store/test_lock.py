"""The lock dies with its holder, and says who holds it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.store.lock import DirectoryLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import pathlib, sys
from kpwatch.store.lock import DirectoryLock
DirectoryLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_holds_it(tmp_path: Path) -> None:
    """Its number stands in the error; when it is killed the directory is free."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"in use by process {holder.pid}:"):
            DirectoryLock(tmp_path)
        holder.kill()
    DirectoryLock(tmp_path).release()


def test_after_release_it_is_free(tmp_path: Path) -> None:
    """In a directory that is made where it is missing."""
    for _ in range(2):
        lock = DirectoryLock(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b" / "lock").read_text() == f"process {os.getpid()}\n"
        lock.release()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"data directory .*/file/data: "):
        DirectoryLock(tmp_path / "file" / "data")
