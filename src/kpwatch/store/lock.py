"""One process per data directory.

The lock is flock(2) on a file in the directory: it dies with its holder, whatever way the holder dies. The file says
who that is, for the error of the next one.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "lock"


class DirectoryLock:
    """Holds a directory from construction to `release`."""

    def __init__(self, directory: Path) -> None:
        """Raises ConfigError when the directory cannot be made or somebody else holds it."""
        path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"data directory {directory}: {error.strerror} ({error.filename})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 100, 0).decode("utf-8", "replace").strip() or "unknown"
            os.close(self._file)
            raise ConfigError(
                f"data directory {directory} is in use by {holder}: stop it or name another directory"
                f" (`fuser -v {path}` shows the holder)"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next one in."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


@contextmanager
def held_still(directory: Path) -> Iterator[None]:
    """Nobody starts to write to `directory` meanwhile, and nothing is changed in it: for those who only look.

    Raises ConfigError when somebody writes to it now.
    """
    path = directory / FILE_NAME
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # nobody ever wrote here, or these are copied files
        yield
        return
    except OSError as error:
        raise ConfigError(f"data directory {directory}: {error.strerror} ({error.filename})") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 100, 0).decode("utf-8", "replace").strip() or "unknown"
            raise ConfigError(
                f"data directory {directory} is in use by {holder}: stop it, or look at a copy (kpwatch backup makes"
                " one while a hub runs)"
            ) from error
        yield
    finally:
        os.close(file)
