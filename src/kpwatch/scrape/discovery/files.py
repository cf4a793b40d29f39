"""`file_sd`: lists of targets in files beside the configuration, read again when they change.

Files are looked at every few seconds (a look is one `stat` a file, and sees through the symlinks of a ConfigMap); only
what changed is read. A file that cannot be read or is wrong keeps the targets it had, so that a half-written file ends
nobody; a file that is gone takes its targets with it.
"""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput
from kpwatch.base.looks import Look, look_at
from kpwatch.scrape.discovery.target_files import Found, parse_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.scrape.discovery.options import FileDiscoveryOptions

KIND = "file"
FILE_LIMIT_BYTES = 4 << 20


class FileDiscovery:
    """Looks at the files of one instance; `found` gets all targets whenever they change, `failed` a reason."""

    def __init__(
        self,
        options: FileDiscoveryOptions,
        loop: Loop,
        log: Logger,
        *,
        found: Callable[[list[Found] | None], None],
        failed: Callable[[str], None],
    ) -> None:
        self._options = options
        self._loop = loop
        self._log = log
        self._found = found
        self._failed = failed
        self._timer: Timer | None = None
        self._looks: dict[str, Look] = {}
        self._targets: dict[str, list[Found]] = {}

    def start(self) -> None:
        """Look now, then every `refresh_seconds`."""
        self._look(first=True)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, *, first: bool = False) -> None:
        self._timer = self._loop.call_later(self._options.refresh_seconds, self._look)
        looks = {path: look for path in self._paths() if (look := look_at(path)) is not None}
        if looks == self._looks and not first:
            return
        changed = [path for path, look in looks.items() if self._looks.get(path) != look]
        self._targets = {path: targets for path, targets in self._targets.items() if path in looks}
        self._looks = looks
        for path in changed:
            self._read(path)
        self._found([target for path in sorted(self._targets) for target in self._targets[path]])

    def _paths(self) -> list[str]:
        return sorted({path for pattern in self._options.patterns for path in glob.glob(pattern)})

    def _read(self, path: str) -> None:
        try:
            self._targets[path] = parse_targets(_content(path))
        except (OSError, BadInput) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            kept = len(self._targets.get(path, []))
            self._failed(f"file_sd {path}: {reason}; its {kept} targets from before stay")
        else:
            self._log.info(f"file_sd {path}: {len(self._targets[path])} targets")


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        text = file.read(FILE_LIMIT_BYTES + 1)
    if len(text) > FILE_LIMIT_BYTES:
        raise BadInput(f"larger than {FILE_LIMIT_BYTES >> 20} MiB")
    return text
