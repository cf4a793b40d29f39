"""A real agent process on a configuration that a test writes, as a kubelet mounts it where the test says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from typing import Self

KPWATCH = str(Path(sys.executable).with_name("kpwatch"))


class ConfigMap:
    """A directory as a kubelet keeps a mounted ConfigMap: files are symlinks through `..data`, which is swapped."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._number = 0

    def write(self, files: dict[str, str]) -> None:
        """Bring in a whole new set of files, in one swap."""
        self._number += 1
        name = f"..2026_{self._number}"
        (self.directory / name).mkdir(parents=True)
        for file, text in files.items():
            (self.directory / name / file).write_text(text)
        (self.directory / "..data_tmp").symlink_to(name)
        (self.directory / "..data_tmp").rename(self.directory / "..data")
        for file in files:
            link = self.directory / file
            if not link.is_symlink():
                link.symlink_to(f"..data/{file}")
        for link in self.directory.iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()


class AgentProcess:
    """`kpwatch agent` from `with` to SIGTERM at the end of its block; it must end well."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._command = [KPWATCH, "agent", "--configs", str(directory), *arguments]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"}
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT_SECONDS)
        finally:
            self.process.kill()
            self._reading.join(WAIT_SECONDS)
            assert self.process.stderr is not None
            self.process.stderr.close()
        if kind is None:
            assert code == 0, self.lines
            assert not [line for line in self.lines if "internal error" in line]

    def hang_up(self) -> None:
        """Send SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def wait_for_line(self, words: str, count: int = 1) -> str:
        """Wait until the log has said so `count` times; the latest line that does."""

        def found() -> list[str]:
            return [line for line in self.lines if words in line]

        with self._said:
            assert self._said.wait_for(lambda: len(found()) >= count, WAIT_SECONDS), f"{words!r}: {self.lines}"
            return found()[-1]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()
