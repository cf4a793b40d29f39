"""The agent's HTTP server against clients of every kind: who behaves is answered, whoever else harms nobody."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trustme

from kpwatch.base.errors import ConfigError
from kpwatch.base.loop import Loop
from kpwatch.base.server import DRAIN_LIMIT_BYTES, HEAD_LIMIT_BYTES, Asked, HttpServer, Said
from kpwatch.base.server_options import ServerOptions
from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

HERE = ServerOptions("127.0.0.1", 0)
LARGE = b"x" * (8 << 20)


class Served:
    """A server on a loop in a thread of its own."""

    def __init__(self, options: ServerOptions = HERE) -> None:
        self.statuses: Counter[int] = Counter()
        self.drops: Counter[str] = Counter()
        self.accesses: list[str] = []
        self.made = 0
        self.errors: list[Exception] = []
        self._happened = threading.Condition()
        self.loop = Loop(self.errors.append)
        self.server = HttpServer(options, self._answer, self.loop, self, self.accesses.append)
        self.port = self.server.port
        self._thread = threading.Thread(target=self.loop.run)

    def _answer(self, asked: Asked) -> Said:
        self.made += 1
        if asked.path == "/bug":
            raise ZeroDivisionError
        return {"/large": Said(200, LARGE), "/none": Said(404, b"")}.get(
            asked.path, Said(200, f"{asked.method} {asked.path}".encode())
        )

    def answered(self, status: int) -> None:
        with self._happened:
            self.statuses[status] += 1
            self._happened.notify_all()

    def dropped(self, reason: str) -> None:
        with self._happened:
            self.drops[reason] += 1
            self._happened.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._happened:
            assert self._happened.wait_for(condition, WAIT_SECONDS), (self.statuses, self.drops)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """One GET by the standard library's client."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def say(self, data: bytes) -> bytes:
        """Everything that comes back for some bytes, until the server closes."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_from_thread(self._end)
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        self.loop.close()

    def _end(self) -> None:
        self.server.close()
        self.loop.stop()


def read_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass  # a reset ends it as well
    return b"".join(parts)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served
        assert served.errors == []


def test_get(served: Served) -> None:
    """The path without its query; an empty body is one too."""
    assert served.get("/a?b=c") == (200, b"GET /a")
    assert served.get("/none") == (404, b"")


def test_connections_are_kept(served: Served) -> None:
    """For the next request, unless it asks to close."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WAIT_SECONDS)
    connection.request("GET", "/1")
    assert connection.getresponse().read() == b"GET /1"
    kept = connection.sock
    connection.request("GET", "/2", headers={"Connection": "close"})
    assert connection.sock is kept
    response = connection.getresponse()
    assert (response.read(), response.getheader("Connection")) == (b"GET /2", "close")
    connection.close()


def test_an_answer_larger_than_all_buffers(served: Served) -> None:
    """Arrives whole."""
    assert served.get("/large") == (200, LARGE)


def test_a_request_in_single_bytes(served: Served) -> None:
    """Is a request."""
    with served.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert read_all(sock).endswith(b"GET /slow")


BODIES = [
    b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * (DRAIN_LIMIT_BYTES // 2),
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno chunk at all",
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
]


@pytest.mark.parametrize("data", BODIES)
def test_what_is_no_plain_get(data: bytes, served: Served) -> None:
    """Answered once by its head, whatever stands behind it, and closed."""
    answer = served.say(data)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert served.statuses == {200: 1}


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"hello\r\n\r\n",
    b"\0" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBAGE)
def test_garbage(data: bytes, served: Served) -> None:
    """Is refused, counted, and closed; the next client is answered."""
    answer = served.say(data)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert served.drops == {"bad_request": 1}
    assert served.get()[0] == 200


@pytest.mark.parametrize("piece", [b"X-Header: value\r\n", b"x"])
def test_huge_heads(piece: bytes, served: Served) -> None:
    """Nobody reads them to the end."""
    answer = served.say(b"GET / HTTP/1.1\r\n" + piece * (HEAD_LIMIT_BYTES // len(piece) + 2))
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
    assert served.get()[0] == 200


def test_slow_loris() -> None:
    """Whoever does not end a request in time is dropped, a byte now and then notwithstanding."""
    with Served(HERE._replace(read_seconds=0.2)) as served, served.connect() as sock:
        sock.sendall(b"GET / HT")
        served.until(lambda: served.drops["timeout"] == 1)
        assert read_all(sock) == b""


def test_idle_connections_end_quietly() -> None:
    """It is no failure to have nothing more to ask."""
    with Served(HERE._replace(idle_seconds=0.1)) as served, served.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(sock).endswith(b"GET /")
        assert served.drops == {}


def test_a_reader_that_does_not_read() -> None:
    """Is dropped in time; meanwhile others get the same large page."""
    with Served(HERE._replace(write_seconds=0.5)) as served, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", served.port))
        sock.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        served.until(lambda: served.statuses[200] == 1)
        assert served.get("/large") == (200, LARGE)
        served.until(lambda: served.drops["timeout"] == 1)


def test_a_thousand_connections() -> None:
    """They make room for each other, oldest first; a probe is answered all the while."""
    with Served(HERE._replace(max_connections=16)) as served:
        crowd = []
        try:
            for number in range(1000):
                crowd.append(served.connect())
                if number % 2:
                    crowd[-1].sendall(b"GET / HT")
                if number % 100 == 0:
                    assert served.get("/probe") == (200, b"GET /probe")
            assert served.get("/probe") == (200, b"GET /probe")
            served.until(lambda: served.drops["full"] >= 984)
            assert served.server.connections <= 16
        finally:
            for sock in crowd:
                sock.close()


def test_clients_that_leave(served: Served) -> None:
    """At any moment: before a byte, within a head, before their answer."""
    for data in (b"", b"GET", b"GET /large HTTP/1.1\r\n\r\n"):
        with served.connect() as sock:
            sock.sendall(data)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert served.get()[0] == 200


def test_what_took_long_to_make_is_given_again(served: Served) -> None:
    """An answer may be asked for as often as anybody likes; an error is always made anew."""
    slow = threading.Event()
    make = served.server._answer

    def answer(asked: Asked) -> Said:
        slow.wait(0.05)
        return make(asked)

    served.server._answer = answer
    for _ in range(5):
        assert served.get("/page")[0] == 200
    assert served.made < 5
    made = served.made
    for _ in range(3):
        served.get("/none")
    assert served.made == made + 3


def test_a_bug_costs_one_connection() -> None:
    """It is reported, counted as 500, and the next is answered."""
    with Served() as served:
        assert served.say(b"GET /bug HTTP/1.1\r\n\r\n") == b""
        assert served.get()[0] == 200
        assert [type(error) for error in served.errors] == [ZeroDivisionError]
        assert served.statuses == {500: 1, 200: 1}


def test_accesses() -> None:
    """A line a request, where asked for."""
    with Served(HERE._replace(print_access=True)) as served:
        served.get("/a?token=secret")
        assert served.accesses == ['127.0.0.1 "GET /a" 200 6 bytes']


def test_an_address_that_is_taken(served: Served) -> None:
    """Names it and the way out."""
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{served.port}: Address already in use; choose"):
        HttpServer(HERE._replace(port=served.port), served._answer, served.loop, served)


def test_every_address() -> None:
    """IPv4 and IPv6, where this machine has both."""
    with Served(ServerOptions("", 0)) as served:
        assert served.get() == (200, b"GET /")
        if socket.has_dualstack_ipv6():
            with socket.create_connection(("::1", served.port), WAIT_SECONDS) as sock:
                sock.sendall(b"GET /6 HTTP/1.0\r\n\r\n")
                assert read_all(sock).endswith(b"GET /6")


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ServerOptions, ssl.SSLContext]:
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return HERE._replace(cert_file=str(tmp_path / "cert.pem"), key_file=str(tmp_path / "key.pem")), context


def test_https(tls: tuple[ServerOptions, ssl.SSLContext]) -> None:
    """Small and large pages, kept connections; who speaks no TLS is dropped."""
    options, context = tls
    with Served(options) as served:
        connection = http.client.HTTPSConnection("127.0.0.1", served.port, timeout=WAIT_SECONDS, context=context)
        for path, body in (("/a", b"GET /a"), ("/large", LARGE), ("/b", b"GET /b")):
            connection.request("GET", path)
            assert connection.getresponse().read() == body
        connection.close()
        served.say(b"GET / HTTP/1.1\r\n\r\n")
        assert served.drops == {"tls": 1}


def test_a_certificate_that_cannot_be_used(served: Served, tmp_path: Path) -> None:
    """Names the file."""
    (tmp_path / "cert.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"cert_file '.*cert.pem', key_file ''"):
        HttpServer(HERE._replace(cert_file=str(tmp_path / "cert.pem")), served._answer, served.loop, served)
