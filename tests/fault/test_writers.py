"""Several receivers of one agent: each gets everything in its own way, and none of them waits for another."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from kpwatch.model.numbers import is_stale
from kpwatch.relabel.rules import RelabelRule
from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver, Taken, is_v2
from tests.servers import Request, Server, hangs, refused_port, response, serves

if TYPE_CHECKING:
    from collections.abc import Iterable

NIGHTINGALE = "/prometheus/v1/write"


class Counting:
    """A target whose counter rises with each scrape; every third scrape has a series that the next one lacks."""

    def __init__(self) -> None:
        self.scrapes = 0

    def __call__(self, _: Request) -> bytes:
        self.scrapes += 1
        passing = b"passing 1\n" if self.scrapes % 3 == 0 else b""
        return response(b"# TYPE scrapes_total counter\nscrapes_total %d\n" % self.scrapes + passing)


def values(taken: Iterable[Taken], instance: str, name: str) -> list[float]:
    """What arrived of one series, in order, staleness markers as -1."""
    of_target = [sample for sample in taken if sample.labels["instance"] == instance and sample.name == name]
    assert [sample.timestamp_ms for sample in of_target] == sorted({sample.timestamp_ms for sample in of_target})
    return [-1.0 if is_stale(sample.value) else sample.value for sample in of_target]


def test_each_receiver_gets_everything() -> None:
    """One of 2.0, three of 1.0 by their three ways of saying so, one with rules of its own, beside one that hangs and
    one that is not there: every scrape once and in order, the end of every series included.
    """
    drop = RelabelRule(source_labels=("__name__",), regex="scrapes_total", action="drop")
    with (
        Server(serves(Counting())) as first,
        Server(serves(Counting())) as second,
        Server(hangs) as hanging,
        Receiver(speaks_v2=True) as modern,
        Receiver() as silent,
        Receiver(to_v2=response(b"", 415)) as strict,
        Receiver(to_v2=response(b"snappy: corrupt input", 400)) as confused,
        Receiver(speaks_v2=True) as ruled,
    ):
        all_of_them = (modern, silent, strict, confused, ruled)
        with RunningAgent(
            [target(first.url(), "first"), target(second.url(), "second")],
            [
                writer(hanging.url()),
                writer(f"http://127.0.0.1:{refused_port()}/w"),
                *(writer(receiver.url(), relabel=(drop,) if receiver is ruled else ()) for receiver in all_of_them),
            ],
            drain_seconds=0.5,
        ) as agent:
            for server in (first, second):
                server.wait_for_requests(20)
            agent.stop()
        for receiver in all_of_them:
            for instance in ("first", "second"):
                ends = values(receiver.taken, instance, "passing")
                assert ends == [1.0, -1.0] * (len(ends) // 2) + [1.0] * (len(ends) % 2)
                assert len(ends) >= 10
                counted = values(receiver.taken, instance, "scrapes_total")
                assert counted == ([] if receiver is ruled else [float(n) for n in range(1, len(counted) + 1)])
                assert len(counted) >= 19 or receiver is ruled
        assert {len(receiver.taken) for receiver in all_of_them[:-1]} == {len(modern.taken)}
        for receiver in all_of_them:
            versions = [is_v2(request) for request in receiver.requests]
            spoken = receiver in (modern, ruled)
            assert versions == [True] * len(versions) if spoken else [True] + [False] * (len(versions) - 1)
        assert agent.counted("samples_refused") == 0
        assert agent.counted("samples_lost") == 0


def test_towards_nightingale_a_series_a_second() -> None:
    """Scraped thirty times a second, a target's series go there once a second; a hub beside it gets every scrape."""
    with Server(serves(Counting())) as server, Receiver() as nightingale, Receiver(speaks_v2=True) as hub:
        with RunningAgent(
            [target(server.url(), "t")], [writer(nightingale.url(NIGHTINGALE)), writer(hub.url(NIGHTINGALE))]
        ) as agent:
            nightingale.wait_for_samples(
                lambda taken: len(values(taken, "t", "scrapes_total")) >= 3, "three samples of a series"
            )
            agent.stop()
        seconds: dict[tuple[str, int], int] = defaultdict(int)
        for sample in nightingale.taken:
            seconds[sample.name, sample.timestamp_ms // 1000] += 1
        assert set(seconds.values()) == {1}
        scrapes = values(hub.taken, "t", "scrapes_total")
        assert scrapes == [float(number) for number in range(1, len(scrapes) + 1)]
        assert agent.counted("samples_not_sent", reason="one_per_second") > 0
