"""A request gets exactly one outcome, whatever the other side does; a kept connection that died is replaced once."""

from __future__ import annotations

import gzip
import resource
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.http import Answer, Failure
from tests.servers import Peer, Server, closes, hangs, refused_port, replies, resets, response, serves
from tests.unit.base.asking import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIG = 8 << 20
"""More than any socket buffer holds."""


def answer_of(outcome: Answer | Failure) -> tuple[int, bytes]:
    """Status and body of what must be an answer."""
    assert isinstance(outcome, Answer), outcome
    return outcome.status, outcome.body


def reason_of(outcome: Answer | Failure) -> str:
    """Reason of what must be a failure."""
    assert isinstance(outcome, Failure), outcome
    return outcome.reason


ANSWERED = [
    # what is sent back before the server closes, what it means
    ("a length", response(b"m 1\n"), (200, b"m 1\n")),
    ("a status", response(b"no", 503), (503, b"no")),
    (
        "chunks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nm \r\n2\r\n1\n\r\n0\r\n\r\n",
        (200, b"m 1\n"),
    ),
    ("gzip", response(gzip.compress(b"m 1\n"), Content_Encoding="gzip"), (200, b"m 1\n")),
    ("HTTP/1.0, ended by the close", b"HTTP/1.0 200 OK\r\n\r\nm 1\n", (200, b"m 1\n")),
    ("HTTP/1.1, ended by the close", b"HTTP/1.1 200 OK\r\n\r\nm 1\n", (200, b"m 1\n")),
    ("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"m 1\n"), (200, b"m 1\n")),
    ("a megabyte", response(bytes(1 << 20)), (200, bytes(1 << 20))),
]

FAILED = [
    # what is sent back before the server closes, the reason
    ("nothing", b"", "cut"),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-", "cut"),
    ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nm 1\n", "cut"),
    ("half the chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nm 1\n\r\n", "cut"),
    ("only 100", b"HTTP/1.1 100 Continue\r\n\r\n", "cut"),
    ("half a gzip", response(gzip.compress(b"m 1\n")[:-4], Content_Encoding="gzip"), "cut"),
    ("garbage", b"\0\1\2garbage", "bad_http"),
    ("101", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "bad_http"),
    ("a body over the limit", response(bytes((1 << 20) + 1)), "too_large"),
    ("a gzip bomb", response(gzip.compress(bytes(50 << 20)), Content_Encoding="gzip"), "too_large"),
]


@pytest.mark.parametrize(("what", "data", "expected"), ANSWERED, ids=[row[0] for row in ANSWERED])
def test_answered(what: str, data: bytes, expected: tuple[int, bytes]) -> None:
    """What a server says, in whatever form HTTP allows."""
    with Server(replies(data)) as server, Client(server.url()) as client:
        assert answer_of(client.ask()) == expected, what


@pytest.mark.parametrize(("what", "data", "reason"), FAILED, ids=[row[0] for row in FAILED])
def test_failed(what: str, data: bytes, reason: str) -> None:
    """What is not a complete answer within the limits is a failure, and the next request is not hurt by it."""
    with Server(replies(data), replies(response(b"ok"))) as server, Client(server.url()) as client:
        assert reason_of(client.ask()) == reason, what
        assert answer_of(client.ask()) == (200, b"ok")
        assert server.connections == 2


def test_reset() -> None:
    """RST instead of an answer."""
    with Server(resets) as server, Client(server.url()) as client:
        assert reason_of(client.ask()) == "reset"


def test_refused() -> None:
    """Nobody listens: the failure names the address."""
    with Client(f"http://127.0.0.1:{(port := refused_port())}/") as client:
        outcome = client.ask()
        assert outcome == Failure("refused", f"127.0.0.1:{port}: ECONNREFUSED")


def test_unreachable() -> None:
    """An address that leads nowhere (link-local without an interface)."""
    with Client("http://[fe80::1]:9/") as client:
        assert reason_of(client.ask()) == "unreachable"


def test_no_such_host() -> None:
    """A name that cannot be one fails like a name nobody knows; the lookup's thread tells the loop."""
    with Client("http://no..host/") as client:
        outcome = client.ask()
        assert reason_of(outcome) == "dns"
        assert "'no..host'" in outcome.detail


def test_localhost_tries_every_address() -> None:
    """Only 127.0.0.1 listens: ::1, where there is one, is tried and passed over."""
    with Server(replies(response(b"ok"))) as server, Client(f"http://localhost:{server.port}/") as client:
        assert answer_of(client.ask()) == (200, b"ok")


def test_a_server_that_hangs() -> None:
    """No answer within the time: a timeout, and the connection is dropped."""
    with Server(hangs, replies(response(b"ok"))) as server, Client(server.url()) as client:
        assert reason_of(client.ask(timeout_seconds=0.05)) == "timeout"
        assert answer_of(client.ask()) == (200, b"ok")


def test_the_time_for_an_answer_may_begin_with_the_connection() -> None:
    """However long dialling may take; a kept connection that has to be replaced begins anew."""
    with Server(replies(response(b"ok")), hangs) as server, Client(server.url()) as client:
        assert answer_of(client.ask(dial_apart=True)) == (200, b"ok")
        slow = client.ask(timeout_seconds=0.05, dial_apart=True)
        assert slow == Failure("timeout", "no complete answer within 0.05 s")
    with full_backlog() as port, Client(f"http://127.0.0.1:{port}/", dial_timeout_seconds=0.1) as client:
        outcome = client.ask(timeout_seconds=0.01, dial_apart=True)
        assert outcome == Failure("timeout", "no connection within 0.1 s")


def test_a_server_that_dribbles() -> None:
    """A byte now and then does not stretch the time for the whole answer."""
    stop = threading.Event()

    def dribbles(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not stop.wait(0.01):
            peer.send(b"x")

    with Server(dribbles) as server, Client(server.url()) as client:
        assert reason_of(client.ask(timeout_seconds=0.1)) == "timeout"
        stop.set()


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full: SYNs are dropped."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_a_server_that_does_not_accept() -> None:
    """Dialling has a time of its own."""
    with full_backlog() as port, Client(f"http://127.0.0.1:{port}/", dial_timeout_seconds=0.05) as client:
        outcome = client.ask()
        assert outcome == Failure("timeout", "no connection within 0.05 s")


def test_no_file_descriptor_left() -> None:
    """A process without descriptors reports it at once and goes on when there are some again."""
    with Server(replies(response(b"ok"))) as server, Client(server.url()) as client:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            outcome = client.ask()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert outcome == Failure("unreachable", f"127.0.0.1:{server.port}: EMFILE")
        assert answer_of(client.ask()) == (200, b"ok")


def test_a_connection_is_kept() -> None:
    """Requests one after the other go over one connection."""
    with Server(serves(lambda _: response(b"ok"))) as server, Client(server.url()) as client:
        for _ in range(3):
            assert answer_of(client.ask()) == (200, b"ok")
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("headers", [{"Connection": "close"}, {"connection": "Close"}])
def test_a_connection_is_not_kept_against_the_servers_word(headers: dict[str, str]) -> None:
    """`Connection: close` is obeyed."""
    with Server(serves(lambda _: response(b"ok", **headers))) as server, Client(server.url()) as client:
        client.ask()
        client.ask()
        assert server.connections == 2


def after_one_answer(end: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A script: a first answer on a kept connection, then `end`."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(response(b"first"))
        end(peer)

    return script


@pytest.mark.parametrize("end", [closes, resets, lambda peer: peer.reset(), lambda _: None])
def test_a_kept_connection_that_died_is_replaced(end: Callable[[Peer], None]) -> None:
    """Closed or reset, before the second request or on it: the request goes out again on a fresh connection."""
    with Server(after_one_answer(end), replies(response(b"second"))) as server, Client(server.url()) as client:
        assert answer_of(client.ask()) == (200, b"first")
        assert answer_of(client.ask(b"body")) == (200, b"second")
        assert server.connections == 2
        assert server.requests[-1].body == b"body"


def test_it_is_replaced_once() -> None:
    """The fresh connection's failure is the outcome: no request is repeated for ever."""
    with (
        Server(after_one_answer(closes), closes, replies(response(b"never"))) as server,
        Client(server.url()) as client,
    ):
        client.ask()
        assert reason_of(client.ask()) == "cut"
        assert server.connections == 2


def test_half_an_answer_on_a_kept_connection_is_not_repeated() -> None:
    """Once the server began to answer, the request was heard."""

    def half(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    with Server(after_one_answer(half), replies(response(b"never"))) as server, Client(server.url()) as client:
        client.ask()
        assert reason_of(client.ask()) == "cut"
        assert server.connections == 1


def test_a_replaced_connection_that_is_refused() -> None:
    """The server ended between two requests."""
    with Client(f"http://127.0.0.1:{(port := refused_port())}/") as client:
        with Server(after_one_answer(lambda _: None), port=port) as server:
            assert answer_of(client.ask()) == (200, b"first")
            assert server.connections == 1
        assert reason_of(client.ask()) == "refused"


def test_a_big_body_goes_out_whole() -> None:
    """More than the sockets hold at once, sent in the pieces they take."""
    body = bytes(range(256)) * (BIG // 256)
    with Server(serves(lambda request: response(b"%d" % len(request.body)))) as server, Client(server.url()) as client:
        assert answer_of(client.ask(body)) == (200, b"%d" % BIG)
        assert server.requests[0].body == body


def too_much(then: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A script: 413 as soon as the head is read, the body unread, then `then`."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(response(b"send less", 413))
        then(peer)

    return script


def reads_no_more(peer: Peer) -> None:
    """Keep the connection open, the body unread, until the client has come again."""
    peer.server.wait_for(lambda: peer.server.connections == 2, "a second connection")


@pytest.mark.parametrize("then", [lambda _: None, lambda peer: peer.sock.shutdown(socket.SHUT_WR), reads_no_more])
def test_an_early_413(then: Callable[[Peer], None]) -> None:
    """A server that answers and closes before it has read the whole body is heard, and left."""
    with Server(too_much(then), replies(response(b"ok"))) as server, Client(server.url()) as client:
        assert answer_of(client.ask(bytes(BIG))) == (413, b"send less")
        assert answer_of(client.ask(b"less")) == (200, b"ok")
        assert server.connections == 2


def test_close_drops_a_request_under_way() -> None:
    """After `close` nobody is called back, and the connection may be used again."""
    with Server(hangs, replies(response(b"ok"))) as server, Client(server.url()) as client:
        outcomes: list[Answer | Failure] = []
        client.connection.ask(b"GET / HTTP/1.1\r\n\r\n", outcomes.append, timeout_seconds=9, body_limit_bytes=9)
        client.loop.call_later(0.01, client.connection.close)
        client.loop.call_later(0.02, client.loop.stop)
        client.loop.run()
        assert answer_of(client.ask()) == (200, b"ok")
        assert outcomes == []
        assert client.errors == []
