"""A real Prometheus for tests: started on a free port, fed by Remote Write, asked by HTTP, stopped at the end."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kpwatch.remote_write.snappy import compress
from kpwatch.remote_write.v1 import encode_labels, encode_series
from tests.parts import program

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels

START_SECONDS = 60
SERIES_A_REQUEST = 500


class RealPrometheus:
    """A running server."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._tls = tls

    def write(self, series: Mapping[Labels, Sequence[tuple[int, float]]]) -> None:
        """Samples in time order for each series."""
        items = list(series.items())
        for first in range(0, len(items), SERIES_A_REQUEST):
            portion = items[first : first + SERIES_A_REQUEST]
            body = b"".join(encode_series(encode_labels(labels), samples) for labels, samples in portion)
            request = urllib.request.Request(
                f"{self.url}/api/v1/write",
                data=compress(body),
                headers={
                    "Content-Type": "application/x-protobuf",
                    "Content-Encoding": "snappy",
                    "X-Prometheus-Remote-Write-Version": "0.1.0",
                },
            )
            with urllib.request.urlopen(request, timeout=60, context=self._tls) as answer:
                assert answer.status == 204

    def get(self, path: str, **parameters: object) -> Any:
        """`data` of an API answer; parameters go as a form, without any it is a GET."""
        form = urllib.parse.urlencode({name: str(value) for name, value in parameters.items()}).encode() or None
        try:
            with urllib.request.urlopen(
                f"{self.url}/api/v1/{path}", data=form, timeout=60, context=self._tls
            ) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        assert document["status"] == "success", document
        return document["data"]

    def answer(self, path: str, **parameters: object) -> Any:
        """The whole document, of an error too."""
        form = urllib.parse.urlencode({name: str(value) for name, value in parameters.items()}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", data=form, timeout=60, context=self._tls) as good:
                return json.load(good)
        except urllib.error.HTTPError as bad:
            with bad:
                return json.load(bad)

    def refusal(self, query: str) -> str | None:
        """Why the server takes `query` for no PromQL; None where it does not."""
        form = urllib.parse.urlencode({"query": query, "time": 0}, errors="surrogatepass").encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", data=form, timeout=60, context=self._tls):
                return None
        except urllib.error.HTTPError as error:
            with error:
                document = json.load(error)
        return str(document["error"]) if document["errorType"] == "bad_data" else None


@contextmanager
def running_prometheus(
    folder: Path,
    *arguments: str,
    tls: ssl.SSLContext | None = None,
    path: str | None = None,
    config: str = "global: {}\n",
) -> Iterator[RealPrometheus]:
    """A server with an empty database in `folder` that scrapes nothing; with `tls` it is asked over https.

    `path` is that of another than the installed one.
    """
    (folder / "prometheus.yml").write_text(config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        path or program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
        *arguments,
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            _wait_until_ready(url, process, folder / "prometheus.log", tls)
            yield RealPrometheus(url, tls)
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, tls: ssl.SSLContext | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1, context=tls):
                return
        except OSError:
            time.sleep(0.05)  # a poll with a deadline: the server says when it is ready only when asked
    raise AssertionError(f"not ready after {START_SECONDS} s: {log.read_text()}")
