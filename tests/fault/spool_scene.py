"""Real agent processes with a spool, for tests that break it: a target that counts, an agent, and what it says."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.receivers import samples_in
from tests.servers import WAIT_SECONDS, Server, response, serves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.receivers import Taken
    from tests.servers import Request

SCRAPE_HEAD_BYTES = 24
KPWATCH = str(Path(sys.executable).with_name("kpwatch"))


class Counter:
    """A target whose `n` is the number of the scrape; `filler` are more lines, to make scrapes large."""

    def __init__(self, filler: Callable[[], bytes] = bytes) -> None:
        self.count = 0
        self._filler = filler
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> bytes:
        with self._lock:
            self.count += 1
            return response(b"n %d\n" % self.count + self._filler())

    def server(self) -> Server:
        return Server(serves(self))


@dataclass
class Setting:
    """One agent's files: `writers` are URLs."""

    folder: Path
    target_url: str
    writers: Sequence[str]
    spool: Path
    interval: str = "100ms"
    metrics_port: int = 0

    def write(self) -> None:
        """Write config.toml and the input's file."""
        self.metrics_port = self.metrics_port or _free_port()
        (self.folder / "input.prometheus").mkdir(parents=True, exist_ok=True)
        tables = "".join(
            f'[[writers]]\nurl = "{url}"\nprotocol = "1.0"\nretry_min = "20ms"\nretry_max = "100ms"\n'
            for url in self.writers
        )
        (self.folder / "config.toml").write_text(
            f'[global]\nhostname = "node-a"\n[http]\nenable = true\naddress = "127.0.0.1:{self.metrics_port}"\n{tables}'
            f'[kpwatch]\nspool_dir = "{self.spool}"\n'
        )
        (self.folder / "input.prometheus" / "prometheus.toml").write_text(
            f'interval = "{self.interval}"\n[[instances]]\nurls = ["{self.target_url}"]\n'
        )

    def metrics(self) -> dict[str, float]:
        """The agent's own metrics, summed over labels."""
        found: dict[str, float] = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=WAIT_SECONDS) as answer:
            for line in answer.read().decode().splitlines():
                if line and not line.startswith("#"):
                    series, _, value = line.rpartition(" ")
                    name = series.partition("{")[0].removeprefix("kpwatch_agent_")
                    found[name] = found.get(name, 0.0) + float(value)
        return found

    def wait_for_metrics(self, right: Callable[[dict[str, float]], bool], what: str) -> dict[str, float]:
        """The metrics as soon as there is an agent that tells them and they are right."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                found = self.metrics()
            except OSError:
                found = {}
            if found and right(found):
                return found
            assert time.monotonic() < deadline, f"waited for {what}: {found}"
            time.sleep(0.02)  # a poll with a deadline: an agent tells its metrics only when asked


class AgentProcess:
    """`kpwatch agent`; a context manager that kills what still runs."""

    def __init__(self, setting: Setting) -> None:
        setting.write()
        self._said = (setting.folder / "said").open("a+b")
        self._process = subprocess.Popen([KPWATCH, "agent", "--configs", str(setting.folder)], stderr=self._said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
        self._said.close()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(WAIT_SECONDS)

    def stop(self) -> str:
        """SIGTERM, and it must exit with 0; everything said so far on stderr."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(2 * WAIT_SECONDS) == 0
        return self.said()

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read().decode()


def number_in(payload: bytes) -> int | None:
    """The number of the target's scrape that a SCRAPE record keeps; None for what the agent writes of itself."""
    found = [int(one.value) for one in samples_in(payload[SCRAPE_HEAD_BYTES:]) if one.name == "n"]
    return found[0] if found else None


def latest(taken: Iterable[Taken]) -> int:
    """The number of the latest scrape that arrived, 0 where none did."""
    return max((int(one.value) for one in taken if one.name == "n"), default=0)


def numbers(taken: Iterable[Taken]) -> list[int]:
    """The scrapes that arrived, by number, in the order of their first arrival; what came twice must be the same."""
    arrived: dict[int, int] = {}
    for one in taken:
        if one.name == "n":
            assert arrived.setdefault(int(one.value), one.timestamp_ms) == one.timestamp_ms, "a repetition differs"
    assert list(arrived.values()) == sorted(arrived.values()), "a sample came after a later one"
    return list(arrived)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
