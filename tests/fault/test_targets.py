"""A target that fails says so by `up` 0 and a reason; it hurts nobody else, and neither does a hub that is down."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from kpwatch.agent import build
from kpwatch.config.options import AgentOptions
from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.scrape.about import ABOUT_NAMES
from kpwatch.send.options import QueueOptions
from tests.agents import HOSTNAME, RunningAgent, target, writer
from tests.receivers import Receiver, Taken
from tests.servers import (
    WAIT_SECONDS,
    Peer,
    Request,
    Server,
    closes,
    hangs,
    refused_port,
    replies,
    resets,
    response,
    serves,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITE = "/api/v1/write"
HEALTHY = serves(lambda _: response(b"healthy 1\n"))
BODY_LIMIT_BYTES = 1000


def of(taken: list[Taken], name: str, instance: str = "target") -> list[Taken]:
    """The samples of one series, as they arrived."""
    return [one for one in taken if one.name == name and one.labels["instance"] == instance]


def is_marker(sample: Taken) -> bool:
    """Whether a sample is the staleness marker."""
    return sample.bits == STALE_NAN_BYTES


def dribbles(peer: Peer) -> None:
    """A script: a good head, then a byte now and then for as long as the client stays."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    gone = threading.Event()
    while not gone.wait(0.01):
        peer.send(b"\n")


PAGE = b"<!DOCTYPE html>\n<html><head><title>kube-proxy</title></head>\n</html>\n"
OVER_THE_LIMIT = b"m 1\n" * BODY_LIMIT_BYTES

BAD_TARGETS = [
    # what it does, reason in the counter, words of the log line
    ("closes", closes, "cut", "connection was closed"),
    ("resets", resets, "reset", "reset"),
    ("hangs", hangs, "timeout", "no complete answer within 0.2 s"),
    ("dribbles", dribbles, "timeout", "no complete answer within 0.2 s"),
    ("500", replies(response(b"no", 500)), "http_500", "status code: 500"),
    ("404", replies(response(b"no", 404)), "http_404", "status code: 404"),
    ("204", replies(response(status=204)), "http_204", "status code: 204"),
    ("an HTML page", replies(response(PAGE, Content_Type="text/html; charset=utf-8")), "not_metrics", "HTML page"),
    ("a page without a type", replies(response(PAGE)), "not_metrics", "is this a metrics page?"),
    ("nothing at all", replies(response(b"")), "not_metrics", "nothing in 0 bytes"),
    ("only comments", replies(response(b"# TYPE m gauge\n")), "not_metrics", "nothing in 15 bytes"),
    ("only broken lines", replies(response(b"m one\nn{ 1\n")), "not_metrics", "nothing in 11 bytes"),
    ("cuts the body", replies(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nm 1\n"), "cut", "before the answer was"),
    ("a body over the limit", replies(response(OVER_THE_LIMIT)), "too_large", "exceeds 1000 bytes"),
    ("a bomb", replies(response(gzip.compress(OVER_THE_LIMIT), Content_Encoding="gzip")), "too_large", "exceeds 1000"),
    ("too many samples", replies(response(b"m 1\nn 1\no 1\n")), "sample_limit", "3 samples, the limit is 2"),
    ("no HTTP", replies(b"m 1\n"), "bad_http", "not HTTP/1.1"),
]


@pytest.mark.parametrize(("what", "script", "reason", "words"), BAD_TARGETS, ids=[row[0] for row in BAD_TARGETS])
def test_a_bad_target(what: str, script: Callable[[Peer], None], reason: str, words: str) -> None:
    """`up` 0, counted by reason and said in the log, scrape after scrape; its healthy neighbour goes on."""
    patience = {"timeout_seconds": 0.2} if reason == "timeout" else {}
    with (
        Server(script) as bad,
        Server(HEALTHY) as good,
        Receiver() as receiver,
        RunningAgent(
            [
                target(bad.url(), "bad", body_limit_bytes=BODY_LIMIT_BYTES, sample_limit=2, **patience),
                target(good.url(), "good"),
            ],
            [writer(receiver.url(WRITE))],
        ) as agent,
    ):
        receiver.wait_for_samples(lambda taken: len(of(taken, "up", "bad")) >= 2, f"two samples of up, {what}")
        receiver.wait_for_samples(lambda taken: len(of(taken, "healthy", "good")) >= 2, "the healthy target")
        assert words in agent.wait_for_line(f"failed to query url: {bad.url()}")
    assert agent.counted("scrapes_failed", reason=reason) >= 2
    assert agent.counted("scrapes_failed") == agent.counted("scrapes_failed", reason=reason)
    assert {one.value for one in of(receiver.taken, "up", "bad")} == {0.0}
    assert {one.value for one in of(receiver.taken, "up", "good")} == {1.0}
    assert {one.name for one in receiver.taken if one.labels["instance"] == "bad"} == ABOUT_NAMES | {
        "scrape_error_info"
    }
    assert {one.labels["reason"] for one in of(receiver.taken, "scrape_error_info", "bad")} == {reason}


def test_a_target_that_refuses() -> None:
    """Nobody listens, then somebody does: `up` 0, then 1."""
    port = refused_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with Receiver() as receiver, RunningAgent([target(url)], [writer(receiver.url(WRITE))]) as agent:
        receiver.wait_for_samples(lambda taken: len(of(taken, "up")) >= 2, "up 0")
        assert "ECONNREFUSED" in agent.wait_for_line(url)
        with Server(HEALTHY, port=port):
            receiver.wait_for_samples(lambda taken: len(of(taken, "healthy")) >= 1, "the target to come up")
    values = [one.value for one in of(receiver.taken, "up")]
    assert values[0] == 0
    assert 1 in values


def test_a_hanging_target_delays_nobody() -> None:
    """While one request hangs for ever, the neighbour on the same loop is scraped again and again."""
    with (
        Server(hangs) as bad,
        Server(HEALTHY) as good,
        Receiver() as receiver,
        RunningAgent([target(bad.url(), "bad"), target(good.url(), "good")], [writer(receiver.url(WRITE))]),
    ):
        bad.wait_for_requests(1)
        good.wait_for_requests(len(good.requests) + 10)
        assert len(bad.requests) == 1
        assert of(receiver.taken, "up", "bad") == []


def test_a_malformed_line_costs_only_itself() -> None:
    """Reported with its number and counted; the rest is kept, and `up` is 1."""
    body = b"# TYPE before gauge\nbefore 1\nbroken{a=1} 2\nafter 3\n"
    with (
        Server(serves(lambda _: response(body))) as server,
        Receiver() as receiver,
        RunningAgent([target(server.url())], [writer(receiver.url(WRITE))]) as agent,
    ):
        receiver.wait_for_samples(lambda taken: len(of(taken, "after")) >= 2, "two scrapes")
        line = agent.wait_for_line("failed to parse response body")
        assert "line 3, column 10: expected a quoted value" in line
        assert "broken{a=1} 2" in line
        assert agent.counted("samples_dropped", reason="broken_line") >= 2
        assert agent.counted("scrapes_failed") == 0
    assert {one.value for one in of(receiver.taken, "up")} == {1.0}
    assert {one.value for one in of(receiver.taken, "before")} == {1.0}
    assert sum("failed to parse" in line for line in agent.lines) == 1


class Body:
    """A target whose body the test changes."""

    def __init__(self, body: bytes) -> None:
        self.answer = response(body)

    def __call__(self, _: Request) -> bytes:
        return self.answer


def test_a_series_that_goes_is_marked_stale() -> None:
    """At the scrape that lacks it, once; it may come back."""
    body = Body(b"stays 1\ngoes 1\n")
    with (
        Server(serves(body)) as server,
        Receiver() as receiver,
        RunningAgent([target(server.url())], [writer(receiver.url(WRITE))]),
    ):
        receiver.wait_for_samples(lambda taken: len(of(taken, "goes")) >= 1, "the series")
        body.answer = response(b"stays 1\n")
        receiver.wait_for_samples(lambda taken: is_marker(of(taken, "goes")[-1]), "its marker")
        ended_ms = of(receiver.taken, "goes")[-1].timestamp_ms
        receiver.wait_for_samples(lambda taken: of(taken, "stays")[-1].timestamp_ms > ended_ms, "a scrape without it")
        body.answer = response(b"stays 1\ngoes 2\n")
        receiver.wait_for_samples(lambda taken: of(taken, "goes")[-1].value == 2, "its return")
    assert sum(map(is_marker, of(receiver.taken, "goes"))) == 1
    assert not any(map(is_marker, of(receiver.taken, "stays")))


def test_a_failed_scrape_marks_everything_stale() -> None:
    """With `up` 0, at the same time; when the target is back, so is everything."""
    body = Body(b'm 1\nm{a="1"} 1\n')
    with (
        Server(serves(body)) as server,
        Receiver() as receiver,
        RunningAgent([target(server.url())], [writer(receiver.url(WRITE))]),
    ):
        receiver.wait_for_samples(lambda taken: len(of(taken, "m")) >= 2, "a good scrape")
        body.answer = response(b"no", 503)
        receiver.wait_for_samples(lambda taken: of(taken, "up")[-1].value == 0, "up 0")
        markers = [one for one in of(receiver.taken, "m") if is_marker(one)]
        (down, *_) = [one for one in of(receiver.taken, "up") if one.value == 0]
        assert [one.labels.get("a") for one in markers] == [None, "1"]
        assert {one.timestamp_ms for one in markers} == {down.timestamp_ms}
        body.answer = response(b'm 2\nm{a="1"} 2\n')
        receiver.wait_for_samples(lambda taken: of(taken, "m")[-1].value == 2, "the return")
    assert sum(map(is_marker, of(receiver.taken, "m"))) == 2
    for name in ("m", "up"):
        times = [one.timestamp_ms for one in of(receiver.taken, name) if "a" not in one.labels]
        assert times == sorted(set(times))


@pytest.mark.parametrize("stale_at_shutdown", [False, True])
def test_series_end_with_the_agent_only_if_it_is_told_so(stale_at_shutdown: bool) -> None:
    """Then everything that was live ends with a marker, `up` and `scrape_*` included, while the writers drain."""
    with Server(HEALTHY) as server, Receiver() as receiver:
        with RunningAgent([target(server.url())], [writer(receiver.url(WRITE))], stale_at_shutdown=stale_at_shutdown):
            receiver.wait_for_samples(lambda taken: len(of(taken, "up")) >= 2, "two scrapes")
        ended = {one.name for one in receiver.taken if is_marker(one)}
    assert ended == (ABOUT_NAMES | {"healthy"} if stale_at_shutdown else set())
    assert all(is_marker(of(receiver.taken, name)[-1]) for name in ended)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfe", "decode"), (b"two\nlines", "line break")],
)
def test_a_token_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, words: str) -> None:
    """`up` 0 and the file named, until there is a token; then it is sent."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with (
        Server(HEALTHY) as server,
        Receiver() as receiver,
        RunningAgent([target(server.url(), bearer_token_file=str(file))], [writer(receiver.url(WRITE))]) as agent,
    ):
        receiver.wait_for_samples(lambda taken: len(of(taken, "up")) >= 2, "up 0")
        line = agent.wait_for_line("bearer_token_file")
        assert str(file) in line
        assert words in line
        assert server.requests == []
        (tmp_path / "next").write_bytes(b" token\n")
        (tmp_path / "next").replace(file)  # at once: a file that is still empty is no token, and that is sent
        receiver.wait_for_samples(lambda taken: len(of(taken, "healthy")) >= 1, "the target with a token")
        assert server.requests[0].headers["authorization"] == "Bearer token"
        assert agent.counted("scrapes_failed", reason="auth") >= 2


def test_health_pages_that_hang_do_not_delay_metrics() -> None:
    """The health port hangs: metrics go on, and that it does not answer is a sample of its own."""
    with (
        Server(HEALTHY) as server,
        Server(hangs) as health,
        Receiver() as receiver,
        RunningAgent(
            [target(server.url(), health_url=health.url(""), timeout_seconds=1.0)], [writer(receiver.url(WRITE))]
        ),
    ):
        health.wait_for_requests(1)
        server.wait_for_requests(len(server.requests) + 5)
        receiver.wait_for_samples(lambda taken: len(of(taken, "kpwatch_healthz_up")) >= 1, "the health page's news")
    assert {one.value for one in of(receiver.taken, "kpwatch_healthz_up")} == {0.0}
    assert {one.value for one in of(receiver.taken, "up")} == {1.0}


class Counting:
    """A target that counts its scrapes: `n` is 1, 2, 3, …"""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _: Request) -> bytes:
        self.asked += 1
        return response(b"n %d\nconstant 1\n" % self.asked)


SAMPLES_A_SCRAPE = 2 + len(ABOUT_NAMES)  # n, constant, and what is said about each


def test_a_hub_that_is_down() -> None:
    """Scraping goes on, the queue is bounded, the oldest are dropped and counted; what is left arrives in order."""
    port = refused_port()
    with (
        Server(serves(Counting())) as server,
        RunningAgent(
            [target(server.url())],
            [writer(f"http://127.0.0.1:{port}{WRITE}")],
            queue=QueueOptions(batch_samples=2 * SAMPLES_A_SCRAPE, queue_samples=20 * SAMPLES_A_SCRAPE),
        ) as agent,
    ):
        server.wait_for_requests(60)
        assert "ECONNREFUSED" in agent.wait_for_line("post to http://127.0.0.1")
        assert agent.counted("samples_lost") > 0
        assert agent.counted("samples_delivered") == 0
        with Receiver(port=port) as receiver:
            seen = server.requests[:]
            receiver.wait_for_samples(lambda taken: of(taken, "n")[-1:] != [], "the hub to be found again")
            receiver.wait_for_samples(lambda taken: of(taken, "n")[-1].value > len(seen), "what came since")
            agent.stop()
            assert receiver.most_at_once == 1
        values = [one.value for one in of(receiver.taken, "n")]
        assert values == sorted(set(values))
        assert values[-10:] == list(range(int(values[-1]) - 9, int(values[-1]) + 1))
        scraped = agent.counted("scrapes")
        assert agent.counted("scrapes_failed") == 0
        assert len(receiver.taken) == agent.counted("samples_delivered")
        assert len(receiver.taken) + agent.counted("samples_lost") == scraped * SAMPLES_A_SCRAPE
        assert values[-1] == scraped


def test_a_dead_writer_holds_up_nobody() -> None:
    """Of two receivers one is down, one hangs: the third gets everything at once."""
    hold = threading.Event()

    def held() -> bytes:
        assert hold.wait(WAIT_SECONDS)
        return response(status=204)

    with (
        Server(serves(Counting())) as server,
        Receiver(held) as slow,
        Receiver() as receiver,
        Receiver(*[response(b"", 500)] * 5) as failing,
        RunningAgent([target(server.url())], [writer(one.url(WRITE)) for one in (slow, receiver, failing)]) as agent,
    ):
        slow.wait_for_requests(1)
        receiver.wait_for_samples(lambda taken: len(of(taken, "n")) >= 10, "ten scrapes")
        assert slow.taken == []
        hold.set()
        agent.stop()
    scraped = list(range(1, int(agent.counted("scrapes")) + 1))
    for one in (slow, receiver, failing):
        assert [taken.value for taken in of(one.taken, "n")] == scraped


def test_what_was_scraped_is_delivered_before_the_end() -> None:
    """An agent that is stopped sends what waits, then ends."""
    with Server(serves(Counting())) as server, Receiver() as receiver:
        agent = RunningAgent([target(server.url())], [writer(receiver.url(WRITE))])
        with agent:
            server.wait_for_requests(3)
        assert [one.value for one in of(receiver.taken, "n")] == list(range(1, int(agent.counted("scrapes")) + 1))
        agent.agent.stop()  # a second signal is harmless


@pytest.mark.parametrize(
    ("path", "ident", "expected"),
    [
        ("/prometheus/v1/write", "auto", {"agent_hostname"}),
        ("/prometheus/v1/write?ignore_host=true", "auto", {"agent_hostname"}),
        (WRITE, "auto", {"ident"}),
        (WRITE, "add", {"agent_hostname", "ident"}),
        (WRITE, "off", {"agent_hostname"}),
        ("/prometheus/v1/write", "rename", {"ident"}),
    ],
)
def test_each_receiver_is_told_who_it_is(path: str, ident: str, expected: set[str]) -> None:
    """Nightingale renames by itself; anybody else gets `ident` from us, unless told otherwise."""
    with (
        Server(HEALTHY) as server,
        Receiver() as receiver,
        RunningAgent([target(server.url())], [writer(receiver.url(path), ident=ident)]),
    ):
        receiver.wait_for_samples(lambda taken: len(taken) >= 2, "a scrape")
    for one in receiver.taken:
        assert {name: one.labels[name] for name in {"agent_hostname", "ident"} & one.labels.keys()} == dict.fromkeys(
            expected, HOSTNAME
        )


def test_two_writers_of_one_url_both_get_everything() -> None:
    """Categraf keeps the last one; here each has a place of its own in the spool, and nothing is lost at the end."""
    with Server(HEALTHY) as one, Receiver() as receiver:
        writers = [writer(receiver.url(WRITE), headers=(("X-Tenant", name),)) for name in ("a", "b")]
        with RunningAgent([target(one.url())], writers) as running:
            receiver.wait_for_samples(lambda taken: len(of(taken, "healthy")) >= 6, "samples of both")
        assert not any("not delivered" in line for line in running.lines)
    times = [sample.timestamp_ms for sample in of(receiver.taken, "healthy")]
    assert {times.count(time) for time in times} == {2}
    assert {request.headers["x-tenant"] for request in receiver.requests} == {"a", "b"}


def test_once_means_every_target_once() -> None:
    """A slow target is waited for and a quick one is not asked twice meanwhile."""
    quick_asked = threading.Event()

    def slow(_: Request) -> bytes:
        assert quick_asked.wait(WAIT_SECONDS)
        return response(b"slow 1\n")

    def quick(_: Request) -> bytes:
        quick_asked.set()
        return response(b"quick 1\n")

    with Server(serves(slow)) as one, Server(serves(quick)) as other, Receiver() as receiver:
        options = AgentOptions(
            HOSTNAME,
            (target(one.url(), "slow"), target(other.url(), "quick"), target(other.url("/again"), "again")),
            (writer(receiver.url(WRITE)),),
        )
        assert build(options).run_once()
        assert (len(one.requests), len(other.requests)) == (1, 2)
    names = sorted(sample.name for sample in receiver.taken if not sample.name.startswith("scrape_"))
    assert names == ["quick", "quick", "slow", "up", "up", "up"]
