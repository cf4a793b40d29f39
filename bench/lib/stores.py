"""The stores that are measured: how each is started, written to and asked. A new one is a row in STORES."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from bench.lib.process import BenchError, Program, disk_bytes, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

READY_SECONDS = 60.0
IDLE_SECONDS, IDLE_SHARE, IDLE_LOOKS = 0.5, 0.05, 20
ASK_SECONDS = 120.0


class Store(NamedTuple):
    """One row: `command(path, port, folder)` starts it with its data in the folder."""

    name: str
    program: str
    command: Callable[[str, int, Path], list[str]]
    ready: str
    write: str = "/api/v1/write"
    takes_2_0: bool = False
    """Whether it takes Remote Write 2.0; one that does not is sent the same samples as 1.0."""
    caches: str = ""
    """Folder in its data that it would make again by itself; it does not count as disk."""


def _kpwatch(path: str, port: int, folder: Path) -> list[str]:
    return [path, "hub", "--listen", f"127.0.0.1:{port}", "--data", str(folder)]


def _victoria_metrics(path: str, port: int, folder: Path) -> list[str]:
    return [path, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}"]


def _prometheus(path: str, port: int, folder: Path) -> list[str]:
    config = folder.with_name("prometheus.yml")
    config.write_text("global: {}\n")
    return [
        path,
        f"--config.file={config}",
        "--web.enable-remote-write-receiver",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={folder}",
    ]


OURS = "kpwatch hub"
MEASURE = "victoria-metrics"
"""Whom the goals compare with."""

STORES = (
    Store(OURS, "kpwatch", _kpwatch, "/-/ready", takes_2_0=True),
    Store(MEASURE, "victoria-metrics", _victoria_metrics, "/health", caches="cache"),
    Store("prometheus", "prometheus", _prometheus, "/-/ready"),
)


class Running:
    """A started store that is ready; a context manager that kills what is left of it."""

    def __init__(self, store: Store, path: str, folder: Path) -> None:
        self.store = store
        self.port = free_port()
        self.folder = folder / "data"
        self.folder.mkdir(exist_ok=True)
        self.program = Program(store.command(path, self.port, self.folder), folder / "log", cwd=folder)
        try:
            self.program.wait_until("being ready", lambda: self.get(store.ready) is not None, READY_SECONDS)
        except BaseException:
            self.program.kill()
            raise
        self.ready_seconds = (time.monotonic_ns() - self.program.started_ns) / 1e9

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    def idle_cpu_seconds(self) -> float:
        """CPU used when what a start leaves to be done later is done."""
        used = self.program.cpu_seconds()
        for _ in range(IDLE_LOOKS):
            time.sleep(IDLE_SECONDS)
            before, used = used, self.program.cpu_seconds()
            if used - before < IDLE_SHARE * IDLE_SECONDS:
                break
        return used

    def get(self, path: str) -> bytes | None:
        """The body of a 200 answer, else None."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=ASK_SECONDS) as answer:
                body: bytes = answer.read()
                return body
        except (URLError, ConnectionError):
            return None

    def data_bytes(self) -> int:
        """What its data takes on disk, without caches."""
        caches = self.folder / self.store.caches
        return disk_bytes(self.folder) - (disk_bytes(caches) if self.store.caches and caches.exists() else 0)

    def ask(self, query: str, unix_seconds: float) -> bytes:
        """The answer to an instant query; raises BenchError where there is none."""
        path = "/api/v1/query?" + urlencode({"query": query, "time": f"{unix_seconds:.3f}", "nocache": 1})
        answer = self.get(path)
        if answer is None:
            raise BenchError(f"{self.store.name} did not answer {query}")
        return answer

    def number(self, query: str, unix_seconds: float) -> float:
        """The only value of an instant query's answer; 0 where it is empty."""
        result: Any = json.loads(self.ask(query, unix_seconds))["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0
