"""Remote Write at a real hub over real sockets: what is taken, what is refused, with which sentence, at what cost."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from kpwatch.model.numbers import STALE_NAN
from kpwatch.remote_write import v1, v2
from kpwatch.remote_write.codecs import CodecV2
from kpwatch.remote_write.protobuf import encode_varint
from kpwatch.remote_write.snappy import compress
from tests.e2e.hub_scene import WRITE, WRITE_HEADERS, HubProcess, now_ms, series

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.hub_scene import Answer, Client

MIB = 1 << 20


def one(name: str, at_ms: int, value: float = 1.0, **labels: str) -> bytes:
    return series({"__name__": name, **labels}, (at_ms, value))


@pytest.mark.parametrize("path", ["/prometheus/v1/write", "/api/v1/write", "/prometheus/api/v1/write"])
def test_three_paths_one_store(path: str, client: Client) -> None:
    """204 without a body, and the sample is there at once; agent_hostname has become ident."""
    at_ms = now_ms()
    name = "taken_" + path.replace("/", "_")
    answer = client.write(one(name, at_ms, 4.5, agent_hostname="node-a"), path)
    assert (answer.status, answer.body) == (204, b"")
    assert client.values(name, at_ms / 1000) == [({"__name__": name, "ident": "node-a"}, "4.5")]
    assert client.get(path).status == 405
    assert client.get(path).headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("query", "stored"),
    [("?ignore_host=false", {"ident": "h"}), ("?ignore_host=true", {"host": "h"}), ("", {"host": "h"})],
)
def test_host_becomes_ident_only_when_asked(query: str, stored: dict, client: Client) -> None:
    """Nightingale's parameter."""
    name = f"host_{len(query)}"
    at_ms = now_ms()
    assert client.write(one(name, at_ms, host="h"), WRITE + query).status == 204
    assert client.values(name, at_ms / 1000) == [({"__name__": name, **stored}, "1")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest"}, 204),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "SNAPPY"}, 204),
        ({"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, 415),
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "image/png"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "zstd"}, 415),
    ],
)
def test_types_and_encodings(headers: dict, status: int, client: Client) -> None:
    """Absent ones mean Remote Write 1.0; foreign ones are 415 whatever the body is."""
    for body in (compress(one("typed", now_ms())), b"garbage"):
        answer = client.request("POST", WRITE, body, headers)
        assert answer.status == (status if body != b"garbage" or status == 415 else 400)
        assert answer.status == 204 or answer.body.endswith(b"\n")


V2_HEADERS = {"Content-Type": v2.CONTENT_TYPE, "Content-Encoding": "snappy"}


def body_2_0(*written: tuple[dict[str, str], int, float]) -> bytes:
    """A 2.0 body by our own encoder: (labels, timestamp_ms, value) each."""
    codec = CodecV2()
    parts = [
        codec.encode_series(codec.label_block(tuple(sorted(labels.items())), "gauge", "Help."), [(at_ms, value)])
        for labels, at_ms, value in written
    ]
    return codec.request(b"".join(parts))


def says_written(answer: Answer) -> list[str | None]:
    return [
        answer.headers.get(f"x-prometheus-remote-write-{what}-written")
        for what in ("samples", "histograms", "exemplars")
    ]


@pytest.mark.parametrize("path", ["/prometheus/v1/write", "/api/v1/write", "/prometheus/api/v1/write"])
def test_2_0_on_three_paths(path: str, client: Client) -> None:
    """204, what was written in three headers, and the sample there at once under `ident`; 1.0 gets no such headers."""
    at_ms = now_ms()
    name = "taken_2_0_" + path.replace("/", "_")
    body = body_2_0(({"__name__": name, "agent_hostname": "node-a"}, at_ms, 4.5))
    answer = client.request("POST", path, compress(body), V2_HEADERS)
    assert (answer.status, answer.body, says_written(answer)) == (204, b"", ["1", "0", "0"])
    assert client.values(name, at_ms / 1000) == [({"__name__": name, "ident": "node-a"}, "4.5")]
    assert says_written(client.write(one(name, at_ms), path)) == [None, None, None]


def test_2_0_of_a_wrong_body_says_that_nothing_was_written(client: Client) -> None:
    """Every refusal has the headers, and refuses the whole request."""
    at_ms = now_ms()
    good, nameless = ({"__name__": "half_2_0"}, at_ms, 1.0), ({"job": "x"}, at_ms, 1.0)
    refused = [
        (compress(body_2_0(good, nameless)), {}, 400, "it has no metric name"),
        (compress(one("sent_as_2_0", at_ms)), {}, 400, "Remote Write 1.0's"),
        (b"garbage", {}, 400, "snappy"),
        (compress(body_2_0(good)), {"Content-Encoding": "zstd"}, 415, "send snappy"),
        (lying(2**32 - 1), {}, 413, "limit"),
        (compress(b"\x22\x00" * 1_000_000), {}, 413, "more than 250000 symbols"),
    ]
    for body, headers, status, words in refused:
        answer = client.request("POST", WRITE, body, V2_HEADERS | headers)
        assert (answer.status, says_written(answer)) == (status, ["0", "0", "0"]), answer.body
        assert words in answer.body.decode()
    assert client.values("half_2_0", at_ms / 1000) == []
    answer = client.request("POST", WRITE, compress(body_2_0(good)), WRITE_HEADERS)
    assert (answer.status, b"is Remote Write 2.0's" in answer.body) == (400, True)


def test_2_0_bombs_cost_no_memory(hub: HubProcess, client: Client) -> None:
    """Half a gigabyte of labels in half a megabyte of references is refused before it is written out."""
    table = b"\x22\x00\x22\x08__name__\x22" + encode_varint(16_000) + b"x" * 16_000
    series_field = b"\x2a\x16\x0a\x02\x01\x02" + v1.encode_samples([(now_ms(), 1.0)])
    before = hub.memory_bytes()
    answer = client.request("POST", WRITE, compress(table + series_field * 32_000), V2_HEADERS)
    assert (answer.status, b"written out take more than" in answer.body) == (413, True)
    assert hub.memory_bytes() - before < 32 * MIB


def lying(length: int, body: bytes = b"\x00a") -> bytes:
    """A snappy block whose header promises `length` bytes."""
    return encode_varint(length) + body


AT_MS = now_ms()
GOOD = one("good", AT_MS)


TWICE = v1.encode_series(v1.encode_labels([("__name__", "m"), ("a", "1"), ("a", "2")]), [(AT_MS, 1.0)])
BAD_SERIES = (
    ("no name", series({"job": "x"}, (AT_MS, 1.0)), 'series {job="x"}: it has no metric name'),
    ("no labels", series({}, (AT_MS, 1.0)), "no labels at all"),
    ("a label twice", TWICE, 'label "a" comes more than once'),
    ("bad UTF-8", one("m", AT_MS, a="XX").replace(b"XX", b"\xff\xfe"), "is not UTF-8"),
    ("65 labels", one("m", AT_MS, **{f"l{n}": "1" for n in range(64)}), "65 labels, the limit is 64"),
    ("an endless label", one("m", AT_MS, a="x" * 20_000), "20000 bytes, the limit is 16384"),
    ("a time before 1970", one("m", -1), "1970"),
    (
        "a good and a bad one",
        one("half", AT_MS) + series({"a": "x"}, (AT_MS, 1.0)),
        "nothing of this request is stored",
    ),
    ("no protobuf", b"\xff\xff\xff\xff", "protobuf"),
    ("a cut series", GOOD[:-3], "protobuf"),
)
BAD_BODIES = (
    ("nothing", b"", 400, "snappy"),
    ("garbage", b"garbage", 400, "snappy"),
    ("a text", b"up 1\n", 400, "snappy"),
    ("a cut block", compress(GOOD * 50)[:-7], 400, "snappy"),
    ("a lie within the limit", lying(60 * MIB), 400, "cannot hold that many"),
    ("a lie over the limit", lying(64 * MIB + 1), 413, "limit is 67108864"),
    ("a lie of 4 GiB", lying(2**32 - 1), 413, "limit"),
    ("a length that is no uint32", lying(2**32), 400, "varint of at most 32 bits"),
    ("a length without end", b"\xff" * 12, 400, "varint"),
    *((what, compress(body), 400, says) for what, body, says in BAD_SERIES),
)


@pytest.mark.parametrize(("what", "body", "status", "says"), BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
def test_bad_bodies(what: str, body: bytes, status: int, says: str, hub: HubProcess, client: Client) -> None:
    """Each is refused with a sentence that says what is wrong, costs no memory and harms nobody after it."""
    before = hub.memory_bytes()
    answer = client.request("POST", WRITE, body, WRITE_HEADERS)
    assert (answer.status, says in answer.body.decode()) == (status, True), (what, answer.body)
    assert hub.memory_bytes() - before < 8 * MIB, what
    assert client.write(one("after", AT_MS)).status == 204
    assert client.values("half", AT_MS / 1000) == []


def test_a_body_over_the_limit_is_413_at_once(hub: HubProcess, client: Client) -> None:
    """With a Content-Length nothing is read; without one no more than the limit is held."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as connection:
        connection.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 33554433\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    before = hub.memory_bytes()
    chunk = b"x" * MIB
    answer = client.request("POST", WRITE, (chunk for _ in range(100)), WRITE_HEADERS)
    assert answer.status == 413
    assert b"send fewer samples at once" in answer.body
    assert hub.memory_bytes() - before < 48 * MIB


def test_an_endless_head_is_refused(hub: HubProcess) -> None:
    """Headers are bounded too."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        try:
            for number in range(1000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))
            answer = connection.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answer = answer or b"HTTP/1.1 400 (closed)"
        assert answer.startswith(b"HTTP/1.1 400 ")


def test_staleness_markers_and_old_and_unordered_samples(client: Client) -> None:
    """Any age inside the retention, in any order; a marker ends a series."""
    at_ms = now_ms()
    for back_ms, value in ((0, STALE_NAN), (60_000, 2.0), (14 * 86_400_000, 1.0), (30_000, 3.0)):
        assert client.write(one("ages", at_ms - back_ms, value)).status == 204
    assert client.values("ages", at_ms / 1000 + 1) == []
    assert client.values("ages", at_ms / 1000 - 1) == [({"__name__": "ages"}, "3")]
    assert client.values("ages", at_ms / 1000 - 45) == [({"__name__": "ages"}, "2")]
    assert client.values("ages", at_ms / 1000 - 14 * 86_400 + 1) == [({"__name__": "ages"}, "1")]


def test_refusals_are_counted(client: Client) -> None:
    """Nothing is refused in silence."""
    client.request("POST", WRITE, b"garbage", WRITE_HEADERS)
    metrics = client.get("/metrics").body.decode()
    assert 'kpwatch_hub_write_requests_total{status="400"}' in metrics
    assert "kpwatch_hub_samples_stored_total" in metrics


def test_a_sender_that_goes_away_is_counted(hub: HubProcess, client: Client) -> None:
    """A connection that ends in the middle of a body stores nothing."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as connection:
        connection.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    for _ in range(1000):
        if "kpwatch_hub_write_aborted_total 1" in client.get("/metrics").body.decode():
            return
    pytest.fail("the aborted request was not counted")


def test_a_second_hub_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """One process per directory; the error names it."""
    with HubProcess(tmp_path), pytest.raises(AssertionError, match=r"data directory .* is in use by process"):
        HubProcess(tmp_path)
