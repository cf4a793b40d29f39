"""Write requests as bytes on a connection: an ordinary one takes a short way, and nobody can tell which way it was."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kpwatch.remote_write.snappy import compress
from tests.e2e.hub_scene import HubProcess, now_ms, series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_MS = now_ms() // 1000 * 1000
HEAD = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
QUERY = b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("data")) as running:
        yield running


def body(name: str, value: float = 1.0) -> bytes:
    return compress(series({"__name__": name}, (AT_MS, value)))


def plain(content: bytes, *headers: bytes) -> bytes:
    """A whole request."""
    extra = b"".join(header + b"\r\n" for header in headers)
    return HEAD + extra + b"Content-Length: %d\r\n\r\n" % len(content) + content


def chunked(content: bytes, *headers: bytes) -> bytes:
    """The same in chunks, which goes the long way."""
    extra = b"".join(header + b"\r\n" for header in headers)
    pieces = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (content[:3], content[3:]) if piece)
    return HEAD + extra + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"


WAYS = [plain, chunked]


class Wire:
    """One connection, answers read one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self.send = connection.sendall
        self._connection = connection
        self._received = b""

    def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """(status, headers, body)."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        length = int(headers.get(b"content-length", b"0"))
        while len(self._received) < length:
            self._more()
        content, self._received = self._received[:length], self._received[length:]
        return int(first.split(b" ")[1]), headers, content

    def is_closed(self) -> bool:
        """Whether the hub has ended the connection, all answers read."""
        return not self._received and self._connection.recv(1) == b""

    def _more(self) -> None:
        piece = self._connection.recv(1 << 16)
        assert piece, f"closed after {self._received!r}"
        self._received += piece


@contextmanager
def wire(hub: HubProcess) -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as connection:
        yield Wire(connection)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (body("kinds"), [], 204),
        (b"garbage", [], 400),
        (body("kinds"), [b"Content-Encoding: gzip"], 415),
        (body("kinds"), [b"Content-Type: text/plain"], 415),
        (b"", [], 400),
    ],
    ids=["good", "garbage", "encoding", "type", "nothing"],
)
def test_a_connection_serves_again_after_every_answer(
    way: object, content: bytes, headers: list[bytes], status: int, hub: HubProcess
) -> None:
    """Also after one that refuses before the body is there."""
    with wire(hub) as one:
        one.send(way(content, *headers))
        refused = one.answer()
        one.send(way(body("kinds")))
        again = one.answer()
    assert (refused[0], again[0]) == (status, 204)
    assert b"date" in refused[1]
    assert (b"content-length" in refused[1]) == (status != 204)


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_pipelined_requests_are_answered_in_their_order(first: object, second: object, hub: HubProcess) -> None:
    """Sent at once, whatever comes after what."""
    with wire(hub) as one:
        one.send(first(body("line", 1)) + second(b"garbage") + QUERY + second(body("line", 2)) + first(b"garbage"))
        answers = [one.answer() for _ in range(5)]
    assert [status for status, _, _ in answers] == [204, 400, 200, 204, 400]
    with hub.client() as client:
        assert client.values("line", AT_MS / 1000) == [({"__name__": "line"}, "2")]


@pytest.mark.parametrize("cut", [10, 150, 170])
def test_a_request_in_pieces(cut: int, hub: HubProcess) -> None:
    """Head and body may be cut anywhere."""
    whole = plain(body("pieces" * 20))
    with wire(hub) as one:
        for begin in range(0, len(whole), cut):
            one.send(whole[begin : begin + cut])
        assert one.answer()[0] == 204


REPEATED = [
    (plain(body("again")), 204),
    (plain(b"garbage"), 400),
    (plain(body("again" * 50)), 204),
    (plain(body("again"), b"Content-Encoding: gzip"), 415),
    (plain(body("again")).replace(b"Content-Length", b"CONTENT-LENGTH"), 204),
    (plain(body("again")).replace(b"/write", b"/wrote"), 404),
]


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(("request_", "status"), REPEATED)
def test_a_head_that_comes_again_means_the_same(request_: bytes, status: int, pieces: int, hub: HubProcess) -> None:
    """Between others that are alike; whole or in pieces, alone or with the next behind it."""
    usual = plain(body("usual"))
    with wire(hub) as one:
        for _ in range(3):
            one.send(usual)
            assert one.answer()[0] == 204
        half = len(request_) // pieces
        for piece in (request_[:half], request_[half:]):
            one.send(piece)
        assert one.answer()[0] == status
    with wire(hub) as one:
        for whole in (usual, usual, usual + request_):
            one.send(whole)
        assert [one.answer()[0] for _ in range(4)] == [204, 204, 204, status]


@pytest.mark.parametrize("way", WAYS)
def test_connection_close_is_kept(way: object, hub: HubProcess) -> None:
    """The answer says it and the connection ends."""
    with wire(hub) as one:
        one.send(way(body("close"), b"Connection: close"))
        status, headers, _ = one.answer()
        assert (status, headers[b"connection"]) == (204, b"close")
        assert one.is_closed()


def test_expect_100_continue(hub: HubProcess) -> None:
    """The body is asked for, unless its head was refused."""
    content = body("expect")
    with wire(hub) as one:
        one.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(content))
        assert one.answer()[0] == 100
        one.send(content)
        assert one.answer()[0] == 204
    with wire(hub) as one:
        one.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        assert one.answer()[0] == 413


def test_http_1_0(hub: HubProcess) -> None:
    """One request a connection."""
    with wire(hub) as one:
        one.send(plain(body("old")).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert one.answer()[0] == 204
        assert one.is_closed()


def test_who_may_write(tmp_path: Path) -> None:
    """401 before the body is looked at; the next request of the connection may have the secret."""
    users = tmp_path / "users"
    users.write_text("writer:x\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users)) as hub, wire(hub) as one:
        for way in (*WAYS, plain):
            one.send(way(body("secret")))
            status, headers, _ = one.answer()
            assert (status, b"basic" in headers[b"www-authenticate"]) == (401, True)
            one.send(way(body("secret"), b"Authorization: Bearer x"))
            assert one.answer()[0] == 204
        one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n")
        metrics = one.answer()[2].decode()
    assert 'kpwatch_hub_http_requests_total{path="/api/v1/write",status="401"} 3' in metrics
    assert 'kpwatch_hub_http_requests_total{path="/api/v1/write",status="204"} 3' in metrics
    assert 'kpwatch_hub_write_requests_total{status="204"} 3' in metrics
    assert "kpwatch_hub_unauthenticated_requests_total 3" in metrics


def test_a_stop_while_a_request_waits_for_the_disk(tmp_path: Path) -> None:
    """It is answered, the answer ends the connection, and what it says is true."""
    with HubProcess(tmp_path) as hub, wire(hub) as one:
        one.send(plain(body("last")) * 50)
        one.answer()
        hub.stop()
        answers = 1
        while not one.is_closed():
            answers += one.answer()[0] == 204
    with HubProcess(tmp_path) as hub, hub.client() as client:
        assert client.values("last", AT_MS / 1000) == [({"__name__": "last"}, "1")]
    assert 1 <= answers <= 50
