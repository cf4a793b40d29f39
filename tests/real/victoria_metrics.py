"""A real VictoriaMetrics for tests: Debian's, started on a free port, stopped at the end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.parts import program

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60


@contextmanager
def running_victoria_metrics(
    folder: Path, *arguments: str, executable: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The URL of a server with an empty database in `folder`; Debian's program where there are several.

    With `tls` it is asked over https; `arguments` must make it speak that.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        executable or shutil.which("victoria-metrics", path="/usr/bin") or program("victoria-metrics"),
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder}/data",
        "-search.latencyOffset=0s",  # else the last half minute is hidden
        "-search.disableCache",
        "-memory.allowedBytes=200MB",
        *arguments,
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            _wait_until_ready(url, process, folder / "log", tls)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def show_everything(url: str, tls: ssl.SSLContext | None = None) -> None:
    """What was written goes where queries look, if perhaps not at once."""
    with urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60, context=tls):
        return


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, tls: ssl.SSLContext | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1, context=tls):
                return
        except OSError:
            time.sleep(0.05)  # a poll with a deadline: the server says when it is ready only when asked
    raise AssertionError(f"not ready after {START_SECONDS} s: {log.read_text()}")
