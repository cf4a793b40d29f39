"""The heartbeat goes out in its interval, whatever Nightingale answers."""

from __future__ import annotations

import json
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from kpwatch.base.telemetry import Registry
from kpwatch.heartbeat.options import HeartbeatOptions
from kpwatch.heartbeat.sender import FIRST_SECONDS, Heartbeat
from tests.clocks import MovedClock
from tests.proxy import ProxyServer
from tests.servers import WAIT_SECONDS, Request, Server, hangs, refused_port, replies, response, serves

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

GOOD = response(b'{"dat":null,"err":"","request_id":"x"}')


class Beating:
    """A heartbeat on a loop in a thread of its own, by a clock that the test moves."""

    def __init__(self, url: str, **options: Any) -> None:
        self.clock = MovedClock()
        self.lines: list[str] = []
        self.errors: list[Exception] = []
        self.registry = Registry()
        self.loop = Loop(self.errors.append, self.clock)
        asked = HeartbeatOptions(url, "node-a", "10.0.0.1", **{"interval_seconds": 10.0, **options})
        self.heartbeat = Heartbeat(asked, self.loop, Logger(self.lines.append, clock=self.clock), self.registry)
        self._thread = threading.Thread(target=self.loop.run)

    def __enter__(self) -> Self:
        self.heartbeat.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.on_loop(self.heartbeat.stop)
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()
        assert self.errors == []

    def on_loop(self, call: Callable[[], None]) -> None:
        called = threading.Event()

        def callback() -> None:
            call()
            called.set()

        self.loop.call_from_thread(callback)
        assert called.wait(WAIT_SECONDS)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.on_loop(lambda: None)
        self.on_loop(lambda: None)  # timers of the turn before have run

    def metric(self, name: str) -> float:
        return {found: value for found, _, value in self.registry.samples()}[name]

    def wait_for(self, metric: str, value: float) -> None:
        """Wait until the loop has counted."""
        for _ in range(WAIT_SECONDS * 200):
            if self.metric(metric) >= value:
                return
            threading.Event().wait(0.005)
        pytest.fail(f"{metric} is {self.metric(metric)}, the log says {self.lines}")


TAKEN, FAILED = "kpwatch_agent_heartbeats_total", "kpwatch_agent_heartbeats_failed_total"


def body_of(request: Request) -> dict[str, Any]:
    document = json.loads(zlib.decompress(request.body, 31))
    assert isinstance(document, dict)
    return document


def test_it_beats() -> None:
    """Soon after the start, then every interval, on one connection, gzip JSON by POST."""
    with (
        Server(serves(lambda _: GOOD)) as server,
        Beating(server.url("/v1/n9e/heartbeat?gid=1"), global_labels=(("region", "eu"),)) as beating,
    ):
        beating.advance(FIRST_SECONDS)
        server.wait_for_requests(1)
        beating.wait_for(TAKEN, 1)
        beating.advance(9.0)
        assert len(server.requests) == 1
        beating.advance(1.0)
        server.wait_for_requests(2)
        beating.wait_for(TAKEN, 2)
        assert server.connections == 1
        assert beating.metric(FAILED) == 0
        first, second = server.requests
    assert (first.method, first.target) == ("POST", "/v1/n9e/heartbeat?gid=1")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["content-encoding"] == "gzip"
    assert "authorization" not in first.headers
    body = body_of(first)
    assert (body["hostname"], body["host_ip"], body["global_labels"]) == ("node-a", "10.0.0.1", {"region": "eu"})
    assert set(body["extend_info"]) == {"cpu", "memory", "network", "platform", "filesystem"}
    assert body_of(second)["unixtime"] == body["unixtime"] + 10_000


def test_four_seconds_is_the_shortest_interval() -> None:
    """As in the original."""
    with Server(serves(lambda _: GOOD)) as server, Beating(server.url(), interval_seconds=1.0) as beating:
        beating.advance(FIRST_SECONDS)
        beating.wait_for(TAKEN, 1)
        beating.advance(3.9)
        assert len(server.requests) == 1
        beating.advance(0.1)
        beating.wait_for(TAKEN, 2)


FAILURES = [
    (response(b'{"err":"hostname is required"}'), "status code: 200, response body: "),
    (response(b"no such page", 404), "status code: 404, response body: no such page"),
    (b"nonsense\r\n\r\n", "bad_http: "),
]


@pytest.mark.parametrize(("answer", "words"), FAILURES)
def test_a_failure_is_said_and_the_next_one_comes(answer: bytes, words: str) -> None:
    """Counted, with Nightingale's words."""
    answers = [answer, GOOD]
    with Server(serves(lambda _: answers.pop(0))) as server, Beating(server.url("/h")) as beating:
        beating.advance(FIRST_SECONDS)
        beating.wait_for(FAILED, 1)
        beating.advance(10.0)
        beating.wait_for(TAKEN, 1)
        assert f"E! heartbeat to {server.url('/h')} failed: {words}" in "".join(beating.lines)


def test_nobody_there() -> None:
    """The reason, without the password of the URL."""
    with Beating(f"http://me:secret@127.0.0.1:{refused_port()}/?token=secret") as beating:
        beating.advance(FIRST_SECONDS)
        beating.wait_for(FAILED, 1)
    assert "failed: refused: " in beating.lines[0]
    assert "secret" not in "".join(beating.lines)


def test_an_answer_that_does_not_come() -> None:
    """Is a failure for each interval it fails to come; nothing piles up."""
    with Server(hangs) as server, Beating(server.url(), timeout_seconds=100.0) as beating:
        beating.advance(FIRST_SECONDS)
        server.wait_for_requests(1)
        beating.advance(10.0)
        beating.wait_for(FAILED, 1)
        assert len(server.requests) == 1


def test_an_update_is_not_followed() -> None:
    """It is said once that a newer version is wanted; nothing is downloaded."""
    wanted = response(b'{"dat":{"new_version":"v9","download_url":"http://127.0.0.1:1/x"},"err":""}')
    with Server(serves(lambda _: wanted)) as server, Beating(server.url()) as beating:
        beating.advance(FIRST_SECONDS)
        beating.wait_for(TAKEN, 1)
        beating.advance(10.0)
        beating.wait_for(TAKEN, 2)
    (line,) = [line for line in beating.lines if "W! " in line]
    assert "it asks for version 'v9'; this agent never replaces itself" in line


def test_who_we_are() -> None:
    """Basic auth if there is a password; headers of the configuration win."""
    with (
        Server(replies(GOOD)) as server,
        Beating(
            server.url(),
            basic_auth_user="u",
            basic_auth_pass="p",
            headers=(("X-From", "a"), ("Host", "n9e"), ("User-Agent", "mine")),
        ) as beating,
    ):
        beating.advance(FIRST_SECONDS)
        server.wait_for_requests(1)
        headers = server.requests[0].headers
    assert headers["authorization"] == "Basic dTpw"
    assert (headers["x-from"], headers["host"], headers["user-agent"]) == ("a", "n9e", "mine")


def test_secrets_are_not_in_its_repr() -> None:
    """Options may be logged."""
    options = HeartbeatOptions("http://u:secret@h/?t=secret", "n", basic_auth_pass="secret", headers=(("A", "secret"),))
    assert "secret" not in repr(options)


def test_by_a_proxy() -> None:
    """`http_proxy`: the proxy gets the whole URL."""
    with (
        Server(serves(lambda _: response(b'{"dat":null,"err":""}'))) as server,
        ProxyServer() as proxy,
        Beating(server.url("/v1/n9e/heartbeat"), proxy_url=proxy.proxy_url) as beating,
    ):
        beating.advance(FIRST_SECONDS)
        beating.wait_for(TAKEN, 1)
        assert [request.target for request in proxy.asked] == [server.url("/v1/n9e/heartbeat")]
