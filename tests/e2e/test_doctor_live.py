"""`kpwatch doctor` on live nodes: one look at a fleet in which every fault is somewhere."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEADLINE_SECONDS = 120
SEEN_SECONDS = 12
BEFORE = {
    "sync-failing": "critical",
    "sync-hung": "critical",
    "sync-slow": "warning",
    "nft-failing": "critical",
    "api-unreachable": "critical warning",
    "api-unauthorized": "critical warning",
    "api-forbidden": "critical warning",
    "clock-skew": "warning",
    "fds-exhausted": "critical",
    "node-draining": "info",
    "backlog-stuck": "warning",
    "memory-growing": "warning info",
    "restarted": "info",
    "metrics-refused": "warning",
    "frozen": "critical",
    "unreachable": "critical",
}
"""The contract's faults, there before anybody looks, and how bad they are. API clients wait longer and longer."""
MEANWHILE = (
    *("api-unreachable", "api-unauthorized", "api-forbidden", "clock-skew", "fds-exhausted", "node-draining"),
    *("restarted", "metrics-refused", "frozen", "unreachable"),
)
"""Those that show at once when they begin between the scrapes; the others are about half a minute and more."""
CAUSES = {"nft-failing": {"sync-failing"}, "sync-failing": {"restore-failing", "nft-failing"}}
"""What may stand beside a fault: the same seen from another side."""


def doctor(*arguments: str) -> tuple[int, dict[str, Any], float]:
    """(exit code, document, seconds it took)."""
    began = time.monotonic()
    command = [sys.executable, "-m", "kpwatch", "doctor", "--json", "--lang", "en", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, time.monotonic() - began


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            first = probe.getsockname()[1]
        if first + count < 65_000 and all(_is_free(first + number) for number in range(count)):
            return first
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def fleet(nodes: int, faults: Sequence[str], *options: str) -> Iterator[list[str]]:
    """URLs of simulated nodes whose health ports are one above."""
    listen = f"127.0.0.1:{free_ports(2 * nodes)}"
    given = [word for fault in faults for word in ("--fault", fault)]
    with simulate("--nodes", str(nodes), "--listen", listen, *options, *given) as (_, (_, *rows)):
        yield [row[3].removesuffix("/metrics") for row in rows]


def found(document: dict[str, Any]) -> list[dict[str, str]]:
    """Check -> severity of each node, in the order of their ports."""
    nodes = sorted(document["nodes"], key=lambda node: int(node["ident"].rpartition(":")[2]))
    return [{finding["check"]: finding["severity"] for finding in node["findings"]} for node in nodes]


@pytest.mark.parametrize(
    ("faults", "start"), [(tuple(BEFORE), ""), (MEANWHILE, f":{SEEN_SECONDS // 3}s")], ids=["before", "meanwhile"]
)
def test_every_fault_is_found_by_its_name_and_the_healthy_nodes_are_well(faults: tuple[str, ...], start: str) -> None:
    """Beside a fault stands at most what it is as well; nodes without any are ok."""
    written = [f"{name}@{number}{start}" for number, name in enumerate(faults, start=1)]
    with fleet(len(faults) + 6, written) as urls:
        code, document, took = doctor("--for", f"{SEEN_SECONDS}s", *urls)
    checks = found(document)
    assert [(name, got) for name, got in zip(faults, checks, strict=False) if name not in got] == []
    stray = {name: set(got) - {name} - CAUSES.get(name, set()) for name, got in zip(faults, checks, strict=False)}
    assert {name: others for name, others in stray.items() if others} == {}
    if not start:
        assert [name for name, got in zip(faults, checks, strict=False) if got[name] not in BEFORE[name].split()] == []
    assert checks[len(faults) :] == [{}] * 6
    assert {finding["severity"] for finding in document["fleet"]["findings"]} <= {"info"}
    assert code == 2
    assert took < SEEN_SECONDS + 20  # a loaded machine starts slowly; that nothing hangs is the point


def test_a_fleet_that_lost_its_api_server_is_one_finding() -> None:
    """Told once, with how many nodes."""
    with fleet(9, ["api-unreachable@*"]) as urls:
        code, document, _ = doctor("--for", "6s", *urls)
    (shared,) = (each for each in document["fleet"]["findings"] if each["check"] == "api-unreachable")
    assert shared["evidence"][0]["value"].startswith("9 of 9: ")
    assert [node["findings"] for node in document["nodes"]] == [[]] * 9
    assert shared["severity"] in {node["verdict"] for node in document["nodes"]} <= {"warning", "critical"}
    assert code == (2 if shared["severity"] == "critical" else 1)


def test_the_health_port_may_be_named() -> None:
    """--health; without it what does not answer beside an unusual port is not held against the node."""
    with simulate("--nodes", "1", "--listen", "127.0.0.1", "--fault", "node-draining@1") as (_, (_, row)):
        metrics, health = row[3].removesuffix("/metrics"), row[4].removesuffix("/healthz")
        with relay(int(metrics.rpartition(":")[2])) as elsewhere:
            _, named, _ = doctor("--for", "0", "--health", health, elsewhere)
            _, alone, _ = doctor("--for", "0", elsewhere)
    assert [finding["check"] for finding in named["nodes"][0]["findings"]] == ["node-draining"]
    assert (alone["nodes"][0]["verdict"], alone["nodes"][0]["findings"]) == ("ok", [])
    assert "healthz-failing" in {each["check"] for each in alone["nodes"][0]["not_judged"]}


@contextmanager
def relay(port: int) -> Iterator[str]:
    """Another port that leads to `port`, as `kubectl port-forward` makes them."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as onward:
                onward.sendall(self.request.recv(65536))
                while data := onward.recv(65536):
                    self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", free_ports(9)), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def hanging() -> Iterator[str]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def hold() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=hold, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for each in held:
            each.close()


def test_ports_that_hang_are_waited_for_no_longer_than_the_timeout() -> None:
    """All at once."""
    with hanging() as one, hanging() as two, hanging() as three:
        code, document, took = doctor("--for", "1s", one, two, three)
    assert [set(node) for node in found(document)] == [{"frozen"}] * 3
    assert code == 2
    assert took < 1 + 6 + 10  # the last: starting Python on a loaded machine


def test_nobody_there() -> None:
    """Both ports refuse."""
    port = free_ports(9)
    code, document, _ = doctor("--for", "0", f"http://127.0.0.1:{port}")
    assert (code, [set(node) for node in found(document)]) == (2, [{"unreachable"}])


def test_what_was_saved_live_is_judged_the_same(tmp_path: Any) -> None:
    """--save, then the bundle."""
    with fleet(2, ["sync-failing@1"]) as urls:
        code, document, _ = doctor("--for", "2s", "--save", str(tmp_path / "saved"), *urls)
    again, read, _ = doctor(*(str(each) for each in (tmp_path / "saved").iterdir()))
    assert code == again == 2
    assert found(read) == found(document)
