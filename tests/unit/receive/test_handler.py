"""The HTTP edge of Remote Write over a real store: what is answered when, and what is bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.asgi import Answer, Request
from kpwatch.base.errors import ClientGone
from kpwatch.base.telemetry import Registry
from kpwatch.model.matchers import Matcher
from kpwatch.receive.handler import WriteHandler
from kpwatch.receive.intake import BIG_BODY_BYTES
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write.snappy import compress
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions
from tests.unit.receive.bodies import NOW_MS, labels, scrape, series, written_1_0, written_2_0
from tests.unit.remote_write.oracle import Request2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

NAMES = [f"m{number}" for number in range(40)]


class Scene:
    """A handler over a store in a folder."""

    def __init__(self, folder: Path, receive: ReceiveOptions | None = None, **store: float) -> None:
        self.telemetry = Registry()
        self.store = Store.open(StoreOptions(folder, retention_seconds=0, **store), self.telemetry)
        self.handler = WriteHandler(self.store, receive or ReceiveOptions(), self.telemetry)

    def write(self, *chunks: bytes, query: bytes = b"", **headers: str) -> Answer:
        """One request from where no event loop runs."""
        return asyncio.run(self.send(chunks, query, **headers))

    async def send(self, chunks: Iterable[bytes], query: bytes = b"", **headers: str) -> Answer:
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages[-1]["more_body"] = False

        async def receive() -> dict:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        return await self.handler(request(receive, query, **headers))

    def count(self, name: str, **wanted: str) -> float:
        return sum(value for known, found, value in self.telemetry.samples() if known == name and dict(found) == wanted)

    def stored(self, name: str) -> int:
        """How many samples of a metric are in the store."""
        slices = self.store.select([Matcher("__name__", "=", name)], 0, 2 * NOW_MS)
        return sum(part.values.size for part in slices)


def request(receive: Callable, query: bytes = b"", **headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"method": "POST", "path": "/api/v1/write", "query_string": query, "headers": named}, receive)


@pytest.fixture
def scene(tmp_path: Path) -> AsyncIterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(receive: ReceiveOptions | None = None, **store: float) -> Scene:
        made.append(Scene(tmp_path / str(len(made)), receive, **store))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def one_sample(name: str = "m", at_ms: int = NOW_MS) -> bytes:
    return compress(series(labels(name), (at_ms, 1.0)))


def test_204_comes_after_the_commit(scene: Callable[..., Scene]) -> None:
    """When the answer is there, the samples are."""
    hub = scene()
    assert hub.write(compress(scrape("a", NAMES, range(40)))) == Answer(204)
    assert hub.stored("m7") == 1
    assert hub.count("kpwatch_hub_samples_stored_total") == 40
    assert hub.count("kpwatch_hub_write_requests_total", status="204") == 1


def test_the_same_samples_again_are_stored_once(scene: Callable[..., Scene]) -> None:
    """A sender that repeats a request it had no answer to doubles nothing; it is counted."""
    hub = scene()
    for _ in range(3):
        assert hub.write(compress(scrape("a", NAMES, range(40)))).status == 204
    assert hub.stored("m7") == 1
    assert hub.count("kpwatch_hub_samples_overwritten_total") == 80


def test_a_body_in_chunks_is_one_body(scene: Callable[..., Scene]) -> None:
    """However the network cuts it."""
    hub = scene()
    body = compress(scrape("a", NAMES, range(40)))
    assert hub.write(*(body[place : place + 7] for place in range(0, len(body), 7))).status == 204
    assert hub.stored("m39") == 1


def test_a_request_without_series_is_204(scene: Callable[..., Scene]) -> None:
    """Metadata alone, and nothing at all, are valid requests."""
    hub = scene()
    assert hub.write(compress(b"")).status == 204
    assert hub.write(compress(b"\x1a\x04\x08\x01\x12\x00")).status == 204


def test_a_large_body_is_decoded_beside_the_event_loop(scene: Callable[..., Scene]) -> None:
    """It takes the thread and gives the same result; small ones meanwhile wait their turn."""
    hub = scene()
    names = [f"metric_with_a_long_name_{number * 7919 % 20_011:05d}" for number in range(20_000)]
    large = compress(scrape("a", names, range(20_000)))
    assert len(large) > BIG_BODY_BYTES

    async def both() -> list[Answer]:
        return await asyncio.gather(hub.send([large]), hub.send([one_sample()]), hub.send([large]))

    assert [answer.status for answer in asyncio.run(both())] == [204] * 3
    assert hub.stored(names[0]) == hub.stored("m") == 1


def test_over_the_bytes_in_flight_is_429(scene: Callable[..., Scene]) -> None:
    """Together senders may have so much on the way; who exceeds it is told when to come again."""
    hub = scene(ReceiveOptions(in_flight_bytes=1000, retry_after_seconds=7))
    answer = hub.write(b"x" * 600, b"x" * 600)
    assert (answer.status, answer.headers) == (429, (("retry-after", "7"),))
    assert b"limit is 1000" in answer.body
    assert hub.count("kpwatch_hub_write_held_bytes") == 0
    assert hub.write(one_sample()).status == 204


def test_a_full_queue_is_429(scene: Callable[..., Scene]) -> None:
    """The store's own bound: some are told to come again, and exactly the others are stored."""
    hub = scene(queue_bytes=100, commit_wait_seconds=0.2)

    async def crowd() -> list[Answer]:
        return await asyncio.gather(*(hub.send([one_sample(at_ms=NOW_MS + number)]) for number in range(20)))

    answers = asyncio.run(crowd())
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {204, 429}
    assert all(answer.headers == (("retry-after", "5"),) for answer in answers if answer.status == 429)
    assert hub.stored("m") == statuses.count(204)


def test_a_full_disk_is_503(scene: Callable[..., Scene]) -> None:
    """The sender keeps its samples; reading goes on."""
    hub = scene(free_bytes_min=1 << 60)
    answer = hub.write(one_sample())
    assert (answer.status, dict(answer.headers)) == (503, {"retry-after": "5"})
    assert hub.stored("m") == 0


def test_a_closed_store_is_503(scene: Callable[..., Scene]) -> None:
    """Shutting down."""
    hub = scene()
    hub.store.close()
    assert hub.write(one_sample()).status == 503


def test_a_sender_that_stops_sending_is_408(scene: Callable[..., Scene]) -> None:
    """The whole body has to come in time; what was held is let go."""
    hub = scene(ReceiveOptions(body_seconds=0.05))

    async def stuck() -> Answer:
        messages = [{"type": "http.request", "body": b"abc", "more_body": True}]

        async def receive() -> dict:
            return messages.pop() if messages else await asyncio.Event().wait()

        return await hub.handler(request(receive))

    answer = asyncio.run(stuck())
    assert (answer.status, b"within 0.05 s" in answer.body) == (408, True)
    assert hub.count("kpwatch_hub_write_held_bytes") == 0


def test_a_sender_that_goes_away_is_counted(scene: Callable[..., Scene]) -> None:
    """Nobody is answered and nothing is held."""
    hub = scene()

    async def gone() -> None:
        messages = [{"type": "http.request", "body": b"abc", "more_body": True}]

        async def receive() -> dict:
            return messages.pop() if messages else {"type": "http.disconnect"}

        await hub.handler(request(receive))

    with pytest.raises(ClientGone):
        asyncio.run(gone())
    assert hub.count("kpwatch_hub_write_aborted_total") == 1
    assert hub.count("kpwatch_hub_write_held_bytes") == 0


def test_headers_are_judged_before_the_body_is_read(scene: Callable[..., Scene]) -> None:
    """A wrong type or a length over the limit costs no byte."""
    hub = scene()

    async def never() -> dict:
        raise AssertionError("the body was read")

    async def statuses() -> list[int]:
        refused = (
            {"content_type": "text/plain"},
            {"content_encoding": "gzip"},
            {"content_length": str((32 << 20) + 1)},
        )
        return [(await hub.handler(request(never, **headers))).status for headers in refused]

    assert asyncio.run(statuses()) == [415, 415, 413]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"ignore_host=false", 204),
        (b"ignore_host=T", 204),
        (b"ignore_host=", 400),
        (b"ignore_host=maybe", 400),
        (b"ignore_ident=true&other=x", 204),
        (b"&".join([b"a=1"] * 33), 400),
    ],
)
def test_url_parameters(query: bytes, status: int, scene: Callable[..., Scene]) -> None:
    """Go's booleans; unknown parameters are nobody's business here."""
    assert scene().write(one_sample(), query=query).status == status


V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
CONTENT_TYPES = [
    # Content-Type, protocol or status
    ("", "1.0"),
    ("application/x-protobuf", "1.0"),
    ("application/x-protobuf;", "1.0"),
    ("application/x-protobuf; charset=utf-8", "1.0"),
    ("application/x-protobuf;proto=prometheus.WriteRequest", "1.0"),
    (V2, "2.0"),
    ("Application/X-Protobuf ; Proto = io.prometheus.write.v2.Request ", "2.0"),
    ('application/x-protobuf; charset=utf-8; proto="io.prometheus.write.v2.Request"', "2.0"),
    ("application/x-protobuf;PROTO=IO.Prometheus.Write.V2.Request", "2.0"),
    ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "415"),
    ("application/x-protobuf;proto=v2", "415"),
    ("application/json", "415"),
]


@pytest.mark.parametrize(("content_type", "protocol"), CONTENT_TYPES)
def test_the_content_type_names_the_protocol(content_type: str, protocol: str, scene: Callable[..., Scene]) -> None:
    """Blanks, case and quotes do not matter; only an answer to 2.0 says how much was written."""
    hub = scene()
    samples = [(labels(name), [(NOW_MS, 1.0)]) for name in NAMES]
    body = written_2_0(samples) if protocol == "2.0" else written_1_0(samples)
    answer = hub.write(compress(body), content_type=content_type)
    assert answer.status == (415 if protocol == "415" else 204)
    assert written(answer) == ((40, 0, 0) if protocol == "2.0" else None)
    if protocol != "415":
        assert hub.stored("m7") == 1
        assert hub.count("kpwatch_hub_write_protocol_total", protocol=protocol) == 1


def written(answer: Answer) -> tuple[int, int, int] | None:
    """What the answer says of samples, histograms, exemplars; None where it says nothing."""
    said = {name: int(value) for name, value in answer.headers if name.startswith("X-Prometheus-Remote-Write-")}
    if not said:
        return None
    return tuple(said[f"X-Prometheus-Remote-Write-{what}-Written"] for what in ("Samples", "Histograms", "Exemplars"))


def test_native_histograms_are_refused_and_the_rest_is_stored(scene: Callable[..., Scene]) -> None:
    """A partial write: 400, because a sample was not kept, with the count of those that were."""
    hub = scene()
    request = Request2(symbols=["", "__name__", "m", "h"])
    request.timeseries.add(labels_refs=[1, 2]).samples.add(value=1.0, timestamp=NOW_MS)
    request.timeseries.add(labels_refs=[1, 3]).histograms.add(sum=1.0, timestamp=NOW_MS)
    answer = hub.write(compress(request.SerializeToString()), content_type=V2)
    assert (answer.status, written(answer)) == (400, (1, 0, 0))
    assert b"native histograms are not kept: 1 of this request" in answer.body
    assert hub.stored("m") == 1
    assert hub.count("kpwatch_hub_write_dropped_total", what="exemplar_or_histogram") == 1


def test_exemplars_metadata_and_start_timestamps_are_no_reason_to_refuse(scene: Callable[..., Scene]) -> None:
    """204, and the header says that no exemplar was kept."""
    hub = scene()
    request = Request2(symbols=["", "__name__", "m", "what it is"])
    series = request.timeseries.add(labels_refs=[1, 2])
    series.samples.add(value=1.0, timestamp=NOW_MS, start_timestamp=NOW_MS - 9)
    series.exemplars.add(value=1.0, timestamp=NOW_MS)
    series.metadata.type, series.metadata.help_ref = 1, 3
    answer = hub.write(compress(request.SerializeToString()), content_type=V2)
    assert (answer.status, written(answer)) == (204, (1, 0, 0))
    for what in ("exemplar_or_histogram", "metadata", "start_timestamp"):
        assert hub.count("kpwatch_hub_write_dropped_total", what=what) == 1, what


def test_every_refusal_of_2_0_says_that_nothing_was_written(scene: Callable[..., Scene]) -> None:
    """4xx and 5xx alike; a bad series refuses its request whole, as in 1.0."""
    hub = scene()
    good, bad = (labels("m"), [(NOW_MS, 1.0)]), ((("job", "x"),), [(NOW_MS, 1.0)])
    refused = [
        (compress(written_2_0([good, bad])), {}, 400),
        (b"garbage", {}, 400),
        (compress(written_1_0([good])), {}, 400),
        (compress(written_2_0([good])), {"content_encoding": "gzip"}, 415),
        (compress(b"\x22\x00" * 300_000), {}, 413),
    ]
    for body, headers, status in refused:
        answer = hub.write(body, content_type=V2, **headers)
        assert (answer.status, written(answer)) == (status, (0, 0, 0)), answer
    assert hub.stored("m") == 0
    hub.store.close()
    answer = hub.write(compress(written_2_0([good])), content_type=V2)
    assert (answer.status, written(answer)) == (503, (0, 0, 0))


def test_an_empty_2_0_request_is_204(scene: Callable[..., Scene]) -> None:
    """With symbols or without."""
    hub = scene()
    for body in (b"", b"\x22\x00"):
        answer = hub.write(compress(body), content_type=V2)
        assert (answer.status, written(answer)) == (204, (0, 0, 0))
