"""Found targets are scraped while they are there; to the agent all of them are one watch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.telemetry import Registry
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import ConsulOptions, ConsulQuery, FileDiscoveryOptions
from kpwatch.scrape.discovery.watch import DiscoveredWatch
from kpwatch.scrape.likeness import TargetKey, key_of
from kpwatch.scrape.options import TargetOptions
from tests.servers import Server, refused_port, response, serves
from tests.unit.scrape.discovery.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kpwatch.scrape.discovery.options import DiscoveryOptions

INSTANCE = Instance(TargetOptions(""))


class Noted:
    """A watch that notes what it is told."""

    def __init__(self, target: TargetOptions, finished: Callable[[bool], None]) -> None:
        self.target = target
        self.finished = finished
        self.told: list[str] = []

    def start(self, delay_seconds: float = 0.0) -> None:
        assert 0 <= delay_seconds < 0.5
        self.told.append("start")

    def stop(self) -> None:
        self.told.append("stop")

    def retire(self) -> None:
        self.told.append("retire")


class Found(Running):
    """A discovered watch and the watches it made."""

    def __init__(self, options: DiscoveryOptions, claims: set[TargetKey] | None = None) -> None:
        super().__init__()
        self.made: list[Noted] = []
        self.finished: list[bool] = []
        self.registry = Registry()
        self.claims = claims if claims is not None else set()
        self.watch = DiscoveredWatch(
            options,
            self,
            loop=self.loop,
            log=self.log,
            registry=self.registry,
            claims=self.claims,
            finished=self.finished.append,
        )
        self.watch.start()
        self.loop.call_later(0.0, self.loop.stop)
        self.loop.run()  # one look of who looks at files

    def make(self, target: TargetOptions, finished: Callable[[bool], None]) -> Noted:
        self.made.append(Noted(target, finished))
        return self.made[-1]

    def change(self, watch: Noted, target: TargetOptions) -> None:
        if target != watch.target:
            watch.told.append("change")
            watch.target = target

    def told(self) -> dict[str, str]:
        """Host -> what its watches were told."""
        told: dict[str, str] = {}
        for watch in self.made:
            host = watch.target.url.removeprefix("http://").removesuffix("/metrics")
            told[host] = " ".join([*told.get(host, "").split(), *watch.told])
        return told

    def metric(self, name: str) -> float:
        return sum(value for found, _, value in self.registry.samples() if found == name)

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        super().__exit__()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.json"


def write(path: Path, *targets: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(json.dumps([{"targets": targets, "labels": {"rack": "r"}}]))
    other.replace(path)


@pytest.fixture
def listed(path: Path) -> Iterator[Found]:
    write(path, "a:1", "b:1")
    with Found(FileDiscoveryOptions(INSTANCE, (str(path),), refresh_seconds=0.001, target_limit=3)) as found:
        yield found


def test_targets_appear_and_go(listed: Found, path: Path) -> None:
    """They start, retire and start again; who stays is left alone."""
    assert listed.told() == {"a:1": "start", "b:1": "start"}
    assert listed.made[0].target.url_labels == (("instance", "http://a:1/metrics"), ("rack", "r"))
    assert listed.metric("kpwatch_agent_targets_discovered") == 2
    write(path, "b:1", "c:1")
    listed.until(lambda: len(listed.made) == 3, "a third watch")
    assert listed.told() == {"a:1": "start retire", "b:1": "start", "c:1": "start"}
    assert {key[0] for key in listed.claims} == {"http://b:1/metrics", "http://c:1/metrics"}
    write(path, "a:1", "b:1")
    listed.until(lambda: len(listed.made) == 4, "a fourth watch")
    assert listed.told() == {"a:1": "start retire start", "b:1": "start", "c:1": "start retire"}
    listed.watch.stop()
    assert listed.told() == {"a:1": "start retire start stop", "b:1": "start stop", "c:1": "start retire"}


def test_a_target_with_other_labels_goes_on(listed: Found, path: Path) -> None:
    """It is changed where it is: neither retired nor started."""
    path.write_text(json.dumps([{"targets": ["a:1", "b:1"], "labels": {"rack": "other"}}, {"targets": ["c:1"]}]))
    listed.until(lambda: len(listed.made) == 3, "a third watch")
    assert listed.told() == {"a:1": "start change", "b:1": "start change", "c:1": "start"}
    assert listed.made[0].target.url_labels == (("instance", "http://a:1/metrics"), ("rack", "other"))
    assert listed.claims == {key_of(watch.target) for watch in listed.made}


def test_other_options(listed: Found, tmp_path: Path) -> None:
    """What is found by them goes on from what was found before; the rest retires, and only when there is an answer."""
    other = tmp_path / "other.json"
    instance = INSTANCE._replace(shared=TargetOptions("", interval_seconds=7.0))
    listed.watch.change(FileDiscoveryOptions(instance, (str(tmp_path / "none-[0-9].json"), str(other)), 0.001))
    assert listed.told() == {"a:1": "start retire", "b:1": "start retire"}
    write(other, "a:1")
    listed.until(lambda: len(listed.made) == 3, "a third watch")
    listed.watch.change(FileDiscoveryOptions(INSTANCE, (str(other),), 0.001))
    assert listed.told()["a:1"] == "start retire start change"
    gauges = [dict(labels) for name, labels, _ in listed.registry.samples() if name.endswith("discovered")]
    assert gauges == [{"kind": "file", "source": f"file_sd {other}"}]


def test_a_list_that_says_nothing_yet_keeps_all(listed: Found) -> None:
    """A Consul that does not answer after a change costs no target."""
    asked = ConsulQuery("x", url="http://a")
    consul = ConsulOptions(INSTANCE, f"http://127.0.0.1:{refused_port()}", (asked,))
    listed.watch.change(consul)
    listed.until(lambda: listed.metric("kpwatch_agent_discovery_failures_total") > 0, "a failure")
    assert listed.told() == {"a:1": "start", "b:1": "start"}


def test_who_else_claims_a_target(listed: Found) -> None:
    """It is given up at once, and taken back when nobody else has it any more."""
    key = key_of(listed.made[0].target)
    listed.watch.give_up(key)
    listed.watch.reconsider()
    assert listed.told() == {"a:1": "start retire", "b:1": "start"}
    listed.claims.discard(key)
    listed.watch.reconsider()
    assert listed.told() == {"a:1": "start retire start", "b:1": "start"}


def test_finished_once(listed: Found, path: Path) -> None:
    """When every target of the first answer was scraped; one that was down says so for all."""
    assert listed.finished == []
    listed.made[0].finished(True)
    listed.made[0].finished(True)
    assert listed.finished == []
    listed.made[1].finished(False)
    assert listed.finished == [False]
    write(path, "c:1")
    listed.until(lambda: len(listed.made) == 3, "a third watch")
    listed.made[2].finished(True)
    assert listed.finished == [False]


def test_who_goes_before_its_first_scrape_is_not_waited_for(listed: Found, path: Path) -> None:
    """Nor is it a failure."""
    listed.made[0].finished(True)
    write(path, "a:1")
    listed.until(lambda: bool(listed.finished), "the end")
    assert listed.finished == [True]


def test_nothing_found_is_an_answer(tmp_path: Path) -> None:
    """And not a failure."""
    with Found(FileDiscoveryOptions(INSTANCE, (f"{tmp_path}/*.json",))) as found:
        assert found.finished == [True]


def test_a_broken_list_at_the_start(path: Path) -> None:
    """Is one."""
    path.write_text("[")
    with Found(FileDiscoveryOptions(INSTANCE, (str(path),))) as found:
        assert found.finished == [False]
        assert found.metric("kpwatch_agent_discovery_failures_total") == 1
        assert any("E! file_sd " in line for line in found.lines)


def test_what_is_no_target_is_left_out(path: Path) -> None:
    """Said and counted; the others are scraped."""
    write(path, "a b", "a:1", "me:secret@:1", "a:1")
    with Found(FileDiscoveryOptions(INSTANCE, (str(path),))) as found:
        assert found.told() == {"a:1": "start"}
        assert found.metric("kpwatch_agent_discovery_failures_total") == 2
        assert "secret" not in "".join(found.lines)


def test_too_many_targets(listed: Found, path: Path) -> None:
    """The first ones up to the limit; that there are more is said."""
    write(path, "a:1", "b:1", "c:1", "d:1", "e:1")
    listed.until(lambda: len(listed.made) == 3, "a third watch")
    assert any("5 targets, the limit is 3: the others are left out" in line for line in listed.lines)


def test_a_target_of_another_instance_is_left_alone(path: Path) -> None:
    """Two scrapes would write the same series."""
    write(path, "a:1", "b:1")
    claimed = INSTANCE.target("http://a:1", (("rack", "r"),))
    with Found(FileDiscoveryOptions(INSTANCE, (str(path),)), {key_of(claimed)}) as found:
        assert found.told() == {"b:1": "start"}
        assert any("W! target http://a:1/metrics is scraped already" in line for line in found.lines)


def test_an_instance_that_is_gone(listed: Found) -> None:
    """All its targets retire, and it looks no more."""
    listed.watch.retire()
    assert listed.told() == {"a:1": "start retire", "b:1": "start retire"}
    assert listed.claims == set()


def test_a_consul_that_never_answered_is_a_failure() -> None:
    """Nothing is scraped, and whoever waits is told."""
    options = ConsulOptions(INSTANCE, f"http://127.0.0.1:{refused_port()}", (ConsulQuery("x", url="http://a"),))
    with Found(options) as found:
        found.until(lambda: bool(found.finished), "the end")
        assert found.finished == [False]
        assert found.made == []


def test_consul_targets() -> None:
    """Tags are labels and overwrite the URL's."""
    body = json.dumps([{"Node": "n1", "Address": "10.0.0.1"}]).encode()
    query = ConsulQuery("x", url="http://{{.Address}}:1/m", tags=(("instance", "{{.Node}}"),))
    with (
        Server(serves(lambda _: response(body))) as server,
        Found(ConsulOptions(INSTANCE, server.url(""), (query,))) as found,
    ):
        found.until(lambda: bool(found.made), "a target")
        (target,) = [watch.target for watch in found.made]
        assert (target.url, target.url_labels) == ("http://10.0.0.1:1/m", (("instance", "n1"),))
