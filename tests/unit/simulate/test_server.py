"""A fleet answers on real sockets, and its ports open and close as its faults say."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.model.gofloat import format_g
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.node import NodeSpec, SimulatedNode
from kpwatch.simulate.server import FleetServer, Place, Served

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Place("127.0.0.1")
SOON_SECONDS = 10.0


def node(ident: str = "n", *faults: Fault) -> SimulatedNode:
    return SimulatedNode(NodeSpec(ident, "1.36.3-iptables-churn", time.time() - 600, faults=faults))


@contextmanager
def serving(*nodes: SimulatedNode, place: Place | None = HERE) -> Iterator[list[Served]]:
    server = FleetServer(nodes, place)
    server.start()
    try:
        yield server.served
    finally:
        server.stop()


def connect(url: str, timeout: float = 5.0) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)


def get(url: str, timeout: float = 5.0) -> tuple[int, bytes]:
    with closing(connect(url, timeout)) as connection:
        connection.request("GET", urlsplit(url).path)
        response = connection.getresponse()
        return response.status, response.read()


def state(url: str) -> str:
    """How a port meets a request: answers, refuses or is silent."""
    try:
        get(url, timeout=0.3)
    except ConnectionRefusedError:
        return "refuses"
    except (TimeoutError, ConnectionResetError, http.client.RemoteDisconnected):
        return "silent"
    return "answers"


def wait_for(url: str, wanted: str) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while state(url) != wanted:
        assert time.monotonic() < deadline, f"{url} never {wanted}"


def test_every_node_answers_for_itself_on_both_ports():
    with serving(*(node(f"n{number}") for number in range(20))) as served:
        assert len({one.metrics_url for one in served}) == 20
        for one in served:
            status, body = get(one.metrics_url)
            assert status == 200
            assert b'git_version="v1.36.3"' in body
            assert get(one.health_url + "/healthz")[0] == 200


def test_a_connection_carries_several_requests():
    with serving(node()) as served, closing(connect(served[0].metrics_url)) as connection:
        for path in ("/metrics", "/proxyMode", "/healthz"):
            connection.request("GET", path)
            assert connection.getresponse().read()


def test_requests_sent_at_once_are_answered_in_order():
    with serving(node()) as served:
        address = urlsplit(served[0].metrics_url)
        with socket.create_connection((address.hostname, address.port), timeout=5) as client:
            client.sendall(b"GET /proxyMode HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.index(b"iptables") < received.index(b"\r\n\r\nok")


NO_REQUESTS = (b"\x16\x03\x01 what\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000)


@pytest.mark.parametrize("sent", NO_REQUESTS)
def test_what_is_no_request_gets_400_and_the_end(sent: bytes):
    with serving(node()) as served:
        address = urlsplit(served[0].metrics_url)
        with socket.create_connection((address.hostname, address.port), timeout=5) as client:
            client.sendall(sent)
            assert client.recv(65536).startswith(b"HTTP/1.1 400 Bad Request")


STATES = (
    # fault, metrics port, health port
    ("unreachable", "refuses", "refuses"),
    ("metrics-refused", "refuses", "answers"),
    ("frozen", "silent", "silent"),
    ("sync-failing", "answers", "answers"),
)


@pytest.mark.parametrize(("fault", "metrics", "health"), STATES)
def test_a_fault_shows_at_the_ports(fault: str, metrics: str, health: str):
    with serving(node("n", Fault(fault))) as served:
        assert state(served[0].metrics_url) == metrics
        assert state(served[0].health_url + "/healthz") == health


def test_a_port_closes_when_its_fault_begins_and_opens_again_when_it_ends():
    """At the same address: nobody else can take it meanwhile."""
    now = time.time()
    with serving(node("n", Fault("unreachable", now + 0.5, now + 1.5))) as served:
        url = served[0].metrics_url
        wait_for(url, "refuses")
        address = urlsplit(url)
        with closing(socket.socket()) as rival, pytest.raises(OSError, match="in use"):
            rival.bind((address.hostname, address.port))
        wait_for(url, "answers")


def test_without_descriptors_health_is_slow_and_livez_never_comes():
    """Requests behind one that waits wait with it; the metrics port answers at once."""
    with serving(node("n", Fault("fds-exhausted"))) as served:
        assert state(served[0].metrics_url) == "answers"
        assert state(served[0].health_url + "/livez") == "silent"
        assert get(served[0].health_url + "/healthz", timeout=SOON_SECONDS)[0] == 503
        address = urlsplit(served[0].health_url)
        with socket.create_connection((address.hostname, address.port), timeout=SOON_SECONDS) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert received.index(b" 503 ") < received.index(b" 404 ")


def test_every_answer_is_dated_by_the_clock_of_the_node():
    with serving(node("n", Fault("clock-skew"))) as served, closing(connect(served[0].metrics_url)) as connection:
        for path in ("/metrics", "/healthz"):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            dated = parsedate_to_datetime(answer.headers["Date"]).timestamp()
            assert time.time() - SOON_SECONDS < dated + 45 < time.time() + 1


def test_a_process_that_is_restarted_refuses_and_then_says_when_it_began():
    died = time.time() + 0.3
    with serving(node("n", Fault("restarted", died))) as served:
        url = served[0].metrics_url
        wait_for(url, "refuses")
        wait_for(url, "answers")
        with closing(connect(url)) as connection:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            assert f"process_start_time_seconds {format_g(round(died + 1, 2))}".encode() in answer.read()
            assert answer.headers["Process-Start-Time-Unix"] == str(int(round(died + 1, 2)))


def test_connections_that_are_open_when_the_fault_begins_are_cut():
    now = time.time()
    with (
        serving(node("n", Fault("unreachable", now + 0.5))) as served,
        closing(connect(served[0].metrics_url)) as connection,
    ):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        assert ended(connection.sock)


def ended(client: socket.socket) -> bool:
    """Whether the other side closes or resets, sooner or later."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_node_named_as_an_address_has_its_own_and_true_ports_or_free_ones():
    """Another fleet on this machine may have them: then it is 127.0.0.1, and every node is reachable either way."""
    with serving(node("10.206.99.1"), place=None) as first, serving(node("10.206.99.1"), place=None) as second:
        urls = [first[0].metrics_url, second[0].metrics_url]
        assert urls[1].startswith("http://127.0.0.1:")
        assert urls[0] == "http://127.206.99.1:10249/metrics" or urls[0].startswith("http://127.0.0.1:")
        assert [get(url)[0] for url in urls] == [200, 200]


def test_ports_are_counted_up_from_the_first():
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        first = free.getsockname()[1]
    try:
        with serving(node("a"), node("b"), place=Place("127.0.0.1", first)) as served:
            assert [one.metrics_url for one in served] == [
                f"http://127.0.0.1:{first}/metrics",
                f"http://127.0.0.1:{first + 2}/metrics",
            ]
            assert served[1].health_url == f"http://127.0.0.1:{first + 3}"
    except UsageError:
        pytest.skip("another test has taken one of the four ports meanwhile")


def test_a_port_that_is_taken_is_named():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}.*--listen"):
            FleetServer([node()], Place("127.0.0.1", port))


def test_stopping_frees_the_ports_and_may_be_done_twice():
    server = FleetServer([node()], HERE)
    server.start()
    url = server.served[0].metrics_url
    assert state(url) == "answers"
    server.stop()
    server.stop()
    assert state(url) == "refuses"


def test_a_server_that_never_started_can_be_stopped():
    FleetServer([node()], HERE).stop()
