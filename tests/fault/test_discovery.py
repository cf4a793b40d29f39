"""Targets that come and go while an agent runs: their series begin, and end with staleness markers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import ConsulOptions, ConsulQuery, FileDiscoveryOptions
from kpwatch.scrape.options import TargetOptions
from tests.agents import INTERVAL_SECONDS, RunningAgent, target, writer
from tests.receivers import Receiver, Taken
from tests.servers import WAIT_SECONDS, Server, response, serves

if TYPE_CHECKING:
    from pathlib import Path

HEALTHY = serves(lambda _: response(b"healthy 1\n"))
INSTANCE = Instance(TargetOptions("", interval_seconds=INTERVAL_SECONDS, timeout_seconds=WAIT_SECONDS))


def write(path: Path, **targets: str) -> None:
    """A list of targets by the name they get."""
    other = path.with_suffix(".new")
    other.write_text(json.dumps([{"targets": [url], "labels": {"instance": name}} for name, url in targets.items()]))
    other.replace(path)


def of(taken: list[Taken], name: str, instance: str) -> list[float | None]:
    """The values of one series; None for a staleness marker."""
    found = [one for one in taken if (one.name, one.labels["instance"]) == (name, instance)]
    return [None if one.bits == STALE_NAN_BYTES else one.value for one in found]


def test_a_list_that_changes(tmp_path: Path) -> None:
    """A target that leaves the list ends in markers, once; one that comes begins; the listed one is untouched."""
    path = tmp_path / "t.json"
    with Server(HEALTHY) as server, Receiver() as receiver:
        write(path, a=server.url("/a"), b=server.url("/b"))
        files = FileDiscoveryOptions(INSTANCE, (str(path),), refresh_seconds=0.01)
        with RunningAgent([target(server.url("/c"), "c")], [writer(receiver.url())], discoveries=(files,)) as agent:
            for name in ("a", "b", "c"):
                receiver.wait_for_samples(lambda taken, name=name: 1.0 in of(taken, "up", name), f"up of {name}")
            write(path, b=server.url("/b"), d=server.url("/d"))
            receiver.wait_for_samples(lambda taken: None in of(taken, "healthy", "a"), "the end of a")
            receiver.wait_for_samples(lambda taken: 1.0 in of(taken, "healthy", "d"), "the beginning of d")
            agent.wait_for_line("1 targets appeared, 1 are gone")
        taken = receiver.taken
    for series in ("up", "healthy"):
        assert of(taken, series, "a")[-1] is None
        assert of(taken, series, "a").count(None) == 1
        for name in ("b", "c", "d"):
            assert None not in of(taken, series, name)


def test_a_consul_that_dies(tmp_path: Path) -> None:
    """Its targets go on: nobody said that they are gone."""
    del tmp_path
    with Server(HEALTHY) as server, Receiver() as receiver:
        entry = {"Address": "127.0.0.1", "ServicePort": server.port, "Node": "a"}
        answers = [response(json.dumps([entry]).encode())]
        consul = Server(serves(lambda _: answers[0]))
        query = ConsulQuery("x", url="http://{{.Address}}:{{.ServicePort}}/m", tags=(("instance", "{{.Node}}"),))
        asked = ConsulOptions(INSTANCE, consul.url(""), (query,), query_seconds=0.02)
        with RunningAgent([], [writer(receiver.url())], discoveries=(asked,)) as agent:
            receiver.wait_for_samples(lambda taken: 1.0 in of(taken, "up", "a"), "up of a")
            consul.close()
            agent.wait_for_line("targets stay as they are")
            before = len(of(receiver.taken, "up", "a"))
            receiver.wait_for_samples(lambda taken: len(of(taken, "up", "a")) > before + 2, "more scrapes")
            assert agent.counted("discovery_failures", kind="consul") >= 1
        assert None not in of(receiver.taken, "up", "a")


def test_once_waits_for_what_is_found(tmp_path: Path) -> None:
    """Every target of the list is scraped once and delivered; one that is down makes the whole a failure."""
    path = tmp_path / "t.json"
    with Server(HEALTHY) as server, Receiver() as receiver:
        files = FileDiscoveryOptions(INSTANCE, (str(path),))
        for targets, well in (({"a": "/a", "b": "/b"}, True), ({}, True), ({"a": "/a", "n": "no URL"}, False)):
            write(path, **{name: server.url(url) if url[0] == "/" else url for name, url in targets.items()})
            agent = RunningAgent([target(server.url("/c"), "c")], [writer(receiver.url())], discoveries=(files,))
            assert agent.agent.run_once() is well, agent.lines
    assert len(of(receiver.taken, "healthy", "a")) == 2
    assert len(of(receiver.taken, "healthy", "c")) == 3
