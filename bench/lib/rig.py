"""The process around a measured agent: targets that serve the recording, and a sink that takes Remote Write.

Run as `python bench/lib/rig.py TARGETS`; the ports are printed as one JSON line, then every line on stdin is answered
by one JSON line on stdout: `mark` forgets the figures so far, `report` gives them, the end of stdin ends it. `Rig` is
the other end.

Targets answer as Go's server with promhttp does: gzip for whoever asks for it, else chunks as bufio makes them.
Every target begins at a place of its own in the recording.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cramjam

from bench.lib import recording
from bench.lib.serve import Request, Server
from kpwatch.remote_write import snappy, v1, v2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

GZIP_LEVEL = 6
"""Go's default."""
FRAMES = 60
"""Bodies served in turn by each target; more only cost memory."""

_HTTP_BUFFER_BYTES, _TEXT_BUFFER_BYTES = 2048, 4096
"""Of net/http's response writer and of expfmt's text encoder."""
_LIMIT_BYTES = 64 << 20
_DECODED_AT_MOST = 150
"""Requests that `report` opens to count samples; the others are taken to be like them."""
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_ALL_WRITTEN = b"HTTP/1.1 204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: 1000000000\r\n\r\n"
"""Of a receiver of 2.0: as many as were sent, and more."""
_V2 = b"proto=io.prometheus.write.v2.request"
_WRONG_ENCODING = b"HTTP/1.1 415 Unsupported Media Type\r\nContent-Length: 0\r\n\r\n"


def go_chunks(body: bytes) -> Iterator[bytes]:
    """`body` in the chunks in which Go sends it: each family through expfmt's bufio.Writer, then net/http's."""
    held = b""
    for family in re.split(rb"(?m)^(?=# HELP )", body):
        for begin in range(0, len(family), _TEXT_BUFFER_BYTES):
            piece = family[begin : begin + _TEXT_BUFFER_BYTES]
            if held and len(held) + len(piece) > _HTTP_BUFFER_BYTES:
                room = _HTTP_BUFFER_BYTES - len(held)
                yield held + piece[:room]
                held, piece = b"", piece[room:]
            if len(piece) > _HTTP_BUFFER_BYTES:
                yield piece
            else:
                held += piece
    if held:
        yield held


def answer_bytes(body: bytes, *, gzipped: bool) -> bytes:
    """A whole 200 answer."""
    chunks: Iterator[bytes] = iter([gzip.compress(body, GZIP_LEVEL, mtime=0)]) if gzipped else go_chunks(body)
    encoded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return (
        b"HTTP/1.1 200 OK\r\n"
        + (b"Content-Encoding: gzip\r\n" if gzipped else b"")
        + b"Content-Type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n"
        + b"Date: Sun, 22 Nov 2026 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
        + encoded
        + b"0\r\n\r\n"
    )


class Figures(NamedTuple):
    """What a rig saw since the latest `mark`."""

    scrapes: int
    least_scrapes: int
    """Of the target that was scraped least."""
    requests: int
    wire_bytes: int
    samples: float
    """Of all requests; estimated from some of them where there were many."""
    encodings: str
    first_request_ns: int
    """Since the start of the rig, CLOCK_MONOTONIC; 0 = none yet."""


class _Targets:
    def __init__(self, count: int) -> None:
        bodies = recording.load().bodies[:FRAMES]
        self._plain = [answer_bytes(body, gzipped=False) for body in bodies]
        self._gzipped = [answer_bytes(body, gzipped=True) for body in bodies]
        self._next = [(7 * number) % len(bodies) for number in range(count)]
        self.scrapes = [0] * count

    def answerer(self, number: int) -> Callable[[Request], bytes]:
        def answer(request: Request) -> bytes:
            self.scrapes[number] += 1
            frame = self._next[number]
            self._next[number] = (frame + 1) % len(self._plain)
            return (self._gzipped if b"gzip" in request.head else self._plain)[frame]

        return answer


class _Sink:
    def __init__(self, *, only_snappy: bool, speaks_2_0: bool) -> None:
        self._only_snappy = only_snappy
        self._speaks_2_0 = speaks_2_0
        self.first_request_ns = 0
        self.forget()

    def forget(self) -> None:
        self.requests: list[tuple[bool, bool, bytes]] = []
        """(zstd, 2.0, body)"""

    def answer(self, request: Request) -> bytes:
        zstd = b"content-encoding: zstd" in request.head
        if zstd and self._only_snappy:
            return _WRONG_ENCODING
        self.first_request_ns = self.first_request_ns or time.monotonic_ns()
        is_2_0 = self._speaks_2_0 and _V2 in request.head
        self.requests.append((zstd, is_2_0, request.body))
        return _ALL_WRITTEN if is_2_0 else _NO_CONTENT

    def samples(self) -> float:
        """Samples in all requests, by a decoder, not by a guess."""
        step = max(1, len(self.requests) // _DECODED_AT_MOST)
        opened = self.requests[::step]
        if not opened:
            return 0.0
        counted = sum(_count_samples(*request) for request in opened)
        return counted * sum(len(body) for *_, body in self.requests) / sum(len(body) for *_, body in opened)

    def encodings(self) -> str:
        zstd = sum(zstd for zstd, *_ in self.requests)
        return " + ".join(name for name, count in (("snappy", len(self.requests) - zstd), ("zstd", zstd)) if count)


def _count_samples(zstd: bool, is_2_0: bool, body: bytes) -> int:
    content = bytes(cramjam.zstd.decompress(body)) if zstd else snappy.decompress(body, _LIMIT_BYTES)
    series = v2.decode_request(content) if is_2_0 else v1.decode_series(content)
    return sum(len(one.samples) for one in series)


def serve(count: int, *, only_snappy: bool, speaks_2_0: bool) -> None:
    """Be the rig until stdin ends."""
    server, targets = Server(), _Targets(count)
    sink = _Sink(only_snappy=only_snappy, speaks_2_0=speaks_2_0)
    ports = [server.listen(targets.answerer(number)) for number in range(count)]

    def figures() -> Figures:
        return Figures(
            sum(targets.scrapes),
            min(targets.scrapes),
            len(sink.requests),
            sum(len(body) for *_, body in sink.requests),
            0.0,
            sink.encodings(),
            sink.first_request_ns,
        )

    def ordered() -> None:
        answer: Any = {}
        orders = os.read(0, 4096)
        if not orders:
            server.stop()
            return
        if orders == b"mark\n":
            targets.scrapes = [0] * count
            sink.forget()
        else:
            answer = figures()._replace(samples=sink.samples() if orders == b"report\n" else 0.0)._asdict()
        print(json.dumps(answer), flush=True)

    server.selector.register(0, selectors.EVENT_READ, ordered)
    print(json.dumps({"targets": ports, "sink": server.listen(sink.answer)}), flush=True)
    server.run()


class Rig:
    """A rig in a process of its own; a context manager."""

    def __init__(self, targets: int, *, only_snappy: bool = True, speaks_2_0: bool = False) -> None:
        wishes = {"only-snappy": only_snappy, "speaks-2.0": speaks_2_0}
        command = [sys.executable, __file__, str(targets), *(wish for wish, wanted in wishes.items() if wanted)]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = self._answer()
        self.targets = [f"127.0.0.1:{port}" for port in ports["targets"]]
        self.sink = f"http://127.0.0.1:{ports['sink']}/api/v1/write"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.communicate()

    def mark(self) -> None:
        """Begin to count anew."""
        self._order("mark")

    def look(self) -> Figures:
        """The figures so far, but for `samples`."""
        return Figures(**self._order("look"))

    def report(self) -> Figures:
        """All figures; takes seconds where there were many requests."""
        return Figures(**self._order("report"))

    def _order(self, order: str) -> Any:
        assert self._popen.stdin is not None
        self._popen.stdin.write(order + "\n")
        self._popen.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._popen.stdout is not None
        return json.loads(self._popen.stdout.readline())


if __name__ == "__main__":
    serve(int(sys.argv[1]), only_snappy="only-snappy" in sys.argv, speaks_2_0="speaks-2.0" in sys.argv)
