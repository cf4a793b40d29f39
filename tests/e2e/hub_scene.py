"""A real `kpwatch hub` process and a plain HTTP client for it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from kpwatch.remote_write import v1
from kpwatch.remote_write.snappy import compress

KPWATCH = str(Path(sys.executable).with_name("kpwatch"))
WRITE = "/api/v1/write"
WRITE_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
DEADLINE_SECONDS = 60


class HubProcess:
    """`kpwatch hub` on a free port; a context manager that ends it."""

    def __init__(self, data: Path | None, *options: str) -> None:
        where = () if data is None else ("--data", str(data))
        command = [KPWATCH, "hub", "--listen", "127.0.0.1:0", *where, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if "://" not in line:
            _, said = self._process.communicate(timeout=DEADLINE_SECONDS)
            raise AssertionError(f"no hub: {said}")
        self.url = line.split()[2].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])
        self.pid = self._process.pid
        self._errors: list[str] = []
        self._drain = threading.Thread(target=lambda: self._errors.extend(self._process.stderr or ()), daemon=True)
        self._drain.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> str:
        """End it by a signal; what it said on stderr. It must exit with 0."""
        self._process.send_signal(by)
        code = self._process.wait(DEADLINE_SECONDS)
        self._close()
        assert code == 0, (code, self._errors)
        return "".join(self._errors)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self._process.kill()
        self._process.wait(DEADLINE_SECONDS)
        self._close()

    def _close(self) -> None:
        self._drain.join(DEADLINE_SECONDS)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def memory_bytes(self, what: str = "VmHWM") -> int:
        """A line of /proc/PID/status: VmHWM is the most it ever held."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
        raise AssertionError(what)

    def client(self) -> Client:
        return Client(self.port)


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        self._connection.request(method, path, body, headers or {})
        return Answer(self._connection.getresponse())

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> Answer:
        query = "?" + urlencode(parameters, doseq=True) if parameters else ""
        return self.request("GET", path + query, headers=headers)

    def form(self, path: str, **parameters: Any) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", path, urlencode(parameters, doseq=True), headers)

    def write(self, body: bytes, path: str = WRITE, **headers: str) -> Answer:
        """An uncompressed Remote Write body."""
        return self.request("POST", path, compress(body), WRITE_HEADERS | headers)

    def values(self, query: str, at: float, **parameters: Any) -> list[tuple[dict[str, str], str]]:
        """(labels, value) of an instant query."""
        data = self.get("/api/v1/query", query=query, time=at, **parameters).json()["data"]
        return [(one["metric"], one["value"][1]) for one in data["result"]]


def series(labels: dict[str, str], *samples: tuple[int, float]) -> bytes:
    """One TimeSeries field of a body."""
    return v1.encode_series(v1.encode_labels(sorted(labels.items())), samples)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
