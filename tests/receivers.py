"""A Remote Write receiver that answers as a test says and remembers what it took."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.remote_write import snappy, v1, v2
from tests.servers import Peer, Server, response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Request

LIMIT_BYTES = 64 << 20
OK = response(status=204)


class Taken(NamedTuple):
    """One sample as it arrived."""

    labels: dict[str, str]
    timestamp_ms: int
    value: float

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.labels["__name__"]

    @property
    def bits(self) -> bytes:
        """The value's eight bytes, to tell NaNs apart."""
        return struct.pack("<d", self.value)


def samples_in(body: bytes, content_type: str = v1.CONTENT_TYPE) -> list[Taken]:
    """Every sample of one request's body."""
    if content_type == v2.CONTENT_TYPE:
        return [
            Taken(dict(series.labels), timestamp_ms, value)
            for series in v2.decode_request(snappy.decompress(body, LIMIT_BYTES))
            for timestamp_ms, value in series.samples
        ]
    return [
        Taken(dict(v1.decode_labels(series.label_block)), timestamp_ms, value)
        for series in v1.decode_series(snappy.decompress(body, LIMIT_BYTES))
        for timestamp_ms, value in series.samples
    ]


def is_v2(request: Request) -> bool:
    """Whether a request says that it is of Remote Write 2.0."""
    return request.headers["content-type"] == v2.CONTENT_TYPE


def written(samples: int, status: int = 204, body: bytes = b"") -> bytes:
    """What a receiver of 2.0 answers."""
    counts = {v2.WRITTEN_HEADERS["samples"]: samples, v2.WRITTEN_HEADERS["histograms"]: 0}
    return response(body, status, **{name: str(count) for name, count in counts.items()})


class Receiver(Server):
    """Answers the first requests by `answers` in turn, all later ones 204; an answer may be a function that waits.

    `taken` are the samples of requests answered 2xx, in their order; `most_at_once` how many requests ever overlapped.
    Requests of 2.0 it does not understand unless `speaks_v2`; it answers all of them with `to_v2` and takes nothing.
    """

    def __init__(
        self, *answers: bytes | Callable[[], bytes], port: int = 0, speaks_v2: bool = False, to_v2: bytes = OK
    ) -> None:
        self.taken: list[Taken] = []
        self.most_at_once = 0
        self._answers = list(answers)
        self._speaks_v2 = speaks_v2
        self._to_v2 = to_v2
        self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(self._receive, port=port)

    def _receive(self, peer: Peer) -> None:
        while True:
            peer.head_arrived()
            with self._lock:
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                said = self._answer(peer.request())
            finally:
                with self._lock:
                    self._at_once -= 1
            self.happened()
            peer.send(said)

    def _answer(self, request: Request) -> bytes:
        if is_v2(request) and not self._speaks_v2:
            return self._to_v2
        samples = samples_in(request.body, request.headers["content-type"])
        good = written(len(samples)) if is_v2(request) else OK
        with self._lock:
            answer = self._answers.pop(0) if self._answers else good
        said = answer if isinstance(answer, bytes) else answer()
        if said.startswith(b"HTTP/1.1 2"):
            with self._lock:
                self.taken += samples
        return said

    def wait_for_samples(self, condition: Callable[[list[Taken]], bool], what: str) -> None:
        """Wait until `condition` holds of everything taken so far."""
        self.wait_for(lambda: condition(self.taken), what)
