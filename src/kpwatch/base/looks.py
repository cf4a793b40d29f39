"""Whether a file has changed, without reading it: a look is one `stat`, which sees through symlinks."""

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
        status = os.stat(path)  # noqa: PTH116 - paths come as text
    except OSError:
        return None
    return Look(status.st_mtime_ns, status.st_ino, status.st_size)
