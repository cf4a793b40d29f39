"""A running agent takes up changed files without losing a scrape or a sample, and refuses wrong ones."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from kpwatch.model.numbers import STALE_NAN_BYTES
from tests.agent_process import AgentProcess, ConfigMap
from tests.receivers import Receiver, Taken
from tests.servers import WAIT_SECONDS, Peer, Server, refused_port, response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = ("scrape_", "kpwatch_")


class Counting:
    """A target whose pages say which scrape they answer."""

    def __init__(self) -> None:
        self.pages = 0
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        while True:
            peer.request()
            with self._lock:
                self.pages += 1
                number = self.pages
            peer.send(response(b"n %d\nonly 1\n" % number))
            peer.server.happened()


class Scene:
    """Two targets, two receivers, and the files of an agent, in a ConfigMap each as the article mounts them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pages = [Counting(), Counting()]
        self.targets = [Server(page) for page in self.pages]
        self.receivers = [Receiver(), Receiver()]
        self._root, self._plugin = ConfigMap(directory / "conf"), ConfigMap(directory / "conf/input.prometheus")
        (directory / "conf").mkdir()

    def root(self, *writers: str, more: str = "", look: str = "50ms", port: int = 0) -> None:
        """Bring in a config.toml."""
        tables = "".join(f"[[writers]]\n{writer}\n" for writer in writers)
        self._root.write(
            {
                "config.toml": f'[global]\nhostname = "node-a"\n{more}\n{tables}'
                f'[kpwatch]\nspool_dir = "{self.directory / "spool"}"\nreload_interval = "{look}"\n'
                f'http_address = "127.0.0.1:{port}"\n'
            }
        )

    def plugin(self, *instances: str, interval: str = "100ms") -> None:
        """Bring in a prometheus.toml."""
        tables = "".join(f"[[instances]]\n{instance}\n" for instance in instances)
        self._plugin.write({"prometheus.toml": f'interval = "{interval}"\n{tables}'})

    def writer(self, number: int = 0, more: str = "") -> str:
        return f'url = "{self.receivers[number].url("/api/v1/write")}"\n{more}'

    def instance(self, *numbers: int, more: str = "") -> str:
        urls = ", ".join(f'"{self.targets[number].url()}"' for number in numbers or (0,))
        return f'urls = [{urls}]\nlabels = {{ job = "kube-proxy" }}\n{more}'

    def close(self) -> None:
        for server in (*self.targets, *self.receivers):
            server.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def markers(taken: list[Taken]) -> list[Taken]:
    return [one for one in taken if one.bits == STALE_NAN_BYTES]


def arrived(taken: list[Taken], port: int | None = None) -> list[float]:
    """Which pages arrived, in the order they did."""
    return [
        one.value
        for one in taken
        if one.name == "n" and one.bits != STALE_NAN_BYTES and (port is None or f":{port}/" in one.labels["instance"])
    ]


def wait_for_pages(scene: Scene, more: int, receiver: int = 0, target: int = 0) -> None:
    """Wait until so many more pages of a target have arrived at a receiver."""
    wanted = scene.pages[target].pages + more
    port = scene.targets[target].port
    scene.receivers[receiver].wait_for_samples(
        lambda taken: bool(found := arrived(taken, port)) and max(found) >= wanted, f"page {wanted}"
    )


def test_a_label_in_config_toml(scene: Scene) -> None:
    """Series end and begin under their new name at one instant; no page is lost, none comes twice."""
    scene.root(scene.writer())
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 3)
        scene.root(scene.writer(), more='[global.labels]\nzone = "b"')
        agent.wait_for_line("the new configuration runs")
        wait_for_pages(scene, 3)
    taken = scene.receivers[0].taken
    numbers = arrived(taken)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]
    first = next(one for one in taken if one.name == "n" and "zone" in one.labels)
    ends = markers(taken)
    ends_of_pages = [one for one in ends if not one.name.startswith(OURS)]  # ours end when the next of ours are written
    assert {one.name for one in ends_of_pages} == {"n", "only", "up"}
    assert {one.timestamp_ms for one in ends_of_pages} == {first.timestamp_ms}
    assert not any("zone" in one.labels for one in ends)
    assert scene.receivers[0].connections == 1, "the writer was not touched"


def test_what_stays_is_not_touched(scene: Scene) -> None:
    """Another target comes and goes; this one keeps its connection, and gets no marker."""
    scene.root(scene.writer())
    scene.plugin(scene.instance(0))
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 2)
        scene.plugin(scene.instance(0, 1))
        wait_for_pages(scene, 2, target=1)
        scene.plugin(scene.instance(0))
        agent.wait_for_line("the new configuration runs", 2)
        wait_for_pages(scene, 2)
    assert scene.targets[0].connections == 1
    ends = markers(scene.receivers[0].taken)
    assert {one.name for one in ends if not one.name.startswith(OURS)} == {"n", "only", "up"}
    assert all(f":{scene.targets[1].port}/" in one.labels["instance"] for one in ends)
    numbers = arrived(scene.receivers[0].taken, scene.targets[0].port)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]


def test_a_target_that_is_watched_otherwise(scene: Scene) -> None:
    """Only the series that a new filter leaves out get a marker; the next page comes in time."""
    scene.root(scene.writer())
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf"):
        wait_for_pages(scene, 2)
        scene.plugin(scene.instance(more='metrics_drop = ["only"]'))
        scene.receivers[0].wait_for_samples(lambda taken: bool(markers(taken)), "a marker")
        wait_for_pages(scene, 2)
    taken = scene.receivers[0].taken
    assert [one.name for one in markers(taken)] == ["only"]
    numbers = arrived(taken)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]


def test_sighup_is_enough(scene: Scene) -> None:
    """Where nobody looks at the files."""
    scene.root(scene.writer(), look="0")
    scene.plugin(scene.instance(0))
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 1)
        scene.plugin(scene.instance(0, 1))
        wait_for_pages(scene, 2)
        assert scene.pages[1].pages == 0
        agent.hang_up()
        agent.wait_for_line("reading the configuration again: SIGHUP")
        wait_for_pages(scene, 1, target=1)
    assert markers(scene.receivers[0].taken) == []


def test_wrong_files_then_right_ones(scene: Scene) -> None:
    """Every error with file and line, the old configuration goes on; the mended one is taken up."""
    scene.root(scene.writer())
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 1)
        scene.plugin(scene.instance(more='timeout = "soon"\nmetrics_drop = "x"'))
        agent.wait_for_line("is refused (2 errors); the old one goes on")
        said = [line for line in agent.lines if "failed to reload config: " in line]
        assert "/conf/input.prometheus/prometheus.toml:5: [[instances]] timeout: 'soon': " in said[0]
        assert "/conf/input.prometheus/prometheus.toml:6: [[instances]] metrics_drop: 'x': " in said[1]
        wait_for_pages(scene, 2)
        scene.plugin(scene.instance(more='labels = { broken = "twice" }'))
        agent.wait_for_line("not TOML")
        scene.plugin(scene.instance(more='timeout = "2s"'))
        agent.wait_for_line("the new configuration runs")
        wait_for_pages(scene, 2)
    taken = scene.receivers[0].taken
    numbers = arrived(taken)
    assert markers(taken) == []
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]


def test_writers_come_change_and_go(scene: Scene) -> None:
    """One that changes delivers every page with its new password; one that comes begins then, one that goes is said."""
    scene.root(scene.writer(0))
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 2)
        scene.root(scene.writer(0, 'basic_auth_user = "me"\nbasic_auth_pass = "new"'), scene.writer(1))
        wait_for_pages(scene, 2, receiver=1)
        wait_for_pages(scene, 1)
        scene.root(scene.writer(0, 'basic_auth_user = "me"\nbasic_auth_pass = "new"'))
        agent.wait_for_line(f"writer {scene.receivers[1].url('/api/v1/write')} is no longer configured")
        wait_for_pages(scene, 2)
    first, second = scene.receivers
    numbers = arrived(first.taken)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]
    assert first.requests[0].headers.get("authorization") is None
    assert first.requests[-1].headers["authorization"] == "Basic bWU6bmV3"
    later = arrived(second.taken)
    assert later == [float(number) for number in range(int(later[0]), int(later[-1]) + 1)]
    assert later[0] > 1


def test_what_waits_for_a_writer_outlives_its_change(scene: Scene) -> None:
    """Refused for want of a password, then delivered from where it stood, with it."""
    first = scene.receivers[0]
    first._answers = [response(b"who are you?", 503)] * 3
    scene.root(scene.writer(0, 'retry_min = "20ms"\nretry_max = "20ms"'))
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf"):
        first.wait_for_requests(2)
        scene.root(scene.writer(0, 'basic_auth_user = "me"'))
        wait_for_pages(scene, 2)
    numbers = arrived(first.taken)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]


def test_what_needs_a_restart_is_said(scene: Scene) -> None:
    """The spool stays where it is."""
    scene.root(scene.writer())
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 1)
        before, scene.directory = scene.directory, scene.directory / "elsewhere"
        scene.root(scene.writer())
        agent.wait_for_line(f"spool_dir: samples wait in {before / 'spool'} until the agent is restarted")
        wait_for_pages(scene, 1)
    assert not (scene.directory / "spool").exists()


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_an_endpoint_that_moves(scene: Scene) -> None:
    """It is served at the new address; one that is taken has the whole configuration refused, and /readyz says so."""
    first, second = refused_port(), refused_port()
    scene.root(scene.writer(), port=first)
    scene.plugin(scene.instance())
    with AgentProcess(scene.directory / "conf") as agent:
        wait_for_pages(scene, 1)
        assert ask(first, "/healthz") == (200, "ok\n")
        scene.root(scene.writer(), port=second)
        agent.wait_for_line("the new configuration runs")
        assert ask(second, "/healthz") == (200, "ok\n")
        assert "kpwatch_agent_config_last_reload_successful 1" in ask(second, "/metrics")[1]
        with pytest.raises(ConnectionRefusedError):
            ask(first, "/healthz")
        scene.root(scene.writer(), port=scene.targets[1].port)
        agent.wait_for_line("is refused (1 errors)")
        assert "failed to reload config: cannot listen on 127.0.0.1:" in "".join(agent.lines)
        assert "kpwatch_agent_config_last_reload_successful 0" in ask(second, "/metrics")[1]
        status, text = ask(second, "/readyz")
        assert status == 200
        assert json.loads(text)["warnings"] == ["the configuration in the files has errors; an older one runs"]
        wait_for_pages(scene, 1)


def test_hostile_clients_cost_no_scrape(scene: Scene) -> None:
    """Hundreds that say nothing, half of it, garbage, or do not read: every page arrives, probes are answered."""
    port = refused_port()
    scene.root(scene.writer(), port=port)
    scene.plugin(scene.instance())
    says = [b"", b"GET / HT", b"\0\1\2\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 100_000]
    with AgentProcess(scene.directory / "conf"):
        wait_for_pages(scene, 1)
        crowd = []
        for number in range(500):
            crowd.append(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS))
            crowd[-1].setblocking(False)
            with suppress(OSError):
                crowd[-1].send(says[number % len(says)])
            if number % 100 == 50:
                assert ask(port, "/healthz") == (200, "ok\n")
                wait_for_pages(scene, 1)
        assert ask(port, "/readyz")[0] == 200
        for sock in crowd:
            sock.close()
        wait_for_pages(scene, 1)
    numbers = arrived(scene.receivers[0].taken)
    assert numbers == [float(number) for number in range(1, len(numbers) + 1)]
