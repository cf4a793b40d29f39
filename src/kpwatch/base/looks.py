"""Files by their names: an agent has no `pathlib`, which with what it imports is half a megabyte.

Whether a file has changed is seen without reading it: a look is one `stat`, which sees through symlinks.
"""

from __future__ import annotations

import os

from kpwatch.base.named import NamedTuple


class Look(NamedTuple):
    """What of a file changes when its content does."""

    changed_ns: int
    inode: int
    size_bytes: int


def look_at(path: str) -> Look | None:
    """The file as it is now; None where it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Look(status.st_mtime_ns, status.st_ino, status.st_size)


def read_file(path: str) -> bytes:
    """What a file holds now; raises OSError."""
    with open(path, "rb") as file:
        return file.read()
