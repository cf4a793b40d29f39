#!/usr/bin/env python3
"""How long the doctor takes: a bundle, live nodes, and a fleet through a hub.

    bench/doctor.py [--nodes 1000] [--live 500] [--runs 3] [--out FILE]

The hub holds five minutes of `--nodes` kube-proxies, sent as our agent sends them, the last scrape some seconds old;
`kpwatch doctor --prometheus` is timed as a process, and the hub's CPU time beside it: once as the first who ever asks,
then after the next scrape, and once where the hub's verdict is some seconds old and is given again. Live nodes are one
`kpwatch simulate`; what the doctor takes beyond the time between its scrapes is shown, once with all nodes answering,
once with one that is frozen and one that is gone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lib import page, process, programs
from bench.lib.bodies import OwnBodies
from bench.lib.movement import Fleet
from bench.lib.process import BenchError
from bench.lib.sender import Sender
from bench.lib.stores import STORES, Running
from kpwatch.base.http import Answer
from kpwatch.doctor.bundle import write_bundle
from kpwatch.doctor.documents import Node, Reply, Scrape
from kpwatch.simulate.node import NodeSpec, SimulatedNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCRAPES = 20
INTERVAL_MS = 15_000
CONNECTIONS = 16
FOR_SECONDS = 5
VERDICT_SECONDS = 25.0
"""A hub's verdict is not older than that."""
UNCLEAN = (0, 1, 2, 3)
"""Exit codes that are verdicts."""


class Took(NamedTuple):
    """One run of the command."""

    seconds: float
    cpu_seconds: float


class Timed(NamedTuple):
    """One row of the page."""

    name: str
    took: Took
    goal_seconds: float
    hub_cpu_seconds: float | None = None

    def cells(self) -> list[str]:
        """As they stand in the page's table."""
        hub = "" if self.hub_cpu_seconds is None else f"{self.hub_cpu_seconds:.2f}"
        reached = "reached" if self.took.seconds <= self.goal_seconds else "not reached"
        wall, cpu = (f"{seconds:.2f}" for seconds in self.took)
        return [self.name, f"<= {self.goal_seconds:g}", wall, cpu, hub, reached]


HEADS = ("", "wanted, s", "wall, s", "CPU, s", "the hub's CPU, s", "")


def once(path: str, *arguments: str) -> Took:
    """One run; raises BenchError where the command gives no verdict."""
    began, used = time.monotonic(), children_cpu_seconds()
    ended = subprocess.run([path, "doctor", "--json", *arguments], capture_output=True, text=True, check=False)
    took = Took(time.monotonic() - began, children_cpu_seconds() - used)
    if ended.returncode not in UNCLEAN or not ended.stdout:
        raise BenchError(f"kpwatch doctor: exit code {ended.returncode}: {ended.stderr[-500:]}")
    return took


def doctor(path: str, *arguments: str, runs: int) -> Took:
    """Medians of several runs."""
    walls, cpus = zip(*(once(path, *arguments) for _ in range(runs)), strict=True)
    return Took(median(walls), median(cpus))


def children_cpu_seconds() -> float:
    """Of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def save_bundle(folder: Path) -> None:
    """Two scrapes of one node."""
    now = time.time()
    simulated = SimulatedNode(NodeSpec("10.206.0.7", "1.36.3-iptables-churn", now - 3600))
    scrapes = []
    for at in (now - 15, now):
        pages = {"metrics": simulated.metrics(at), "healthz": simulated.healthz(at)[1].encode()}
        replies = {name: Reply("http://10.206.0.7/", Answer(200, {}, body), at, 0.0) for name, body in pages.items()}
        scrapes.append(Scrape(at, replies))
    write_bundle(Node("10.206.0.7", tuple(scrapes)), folder)


def bundle(path: str, folder: Path, runs: int) -> Timed:
    """One node, from a directory."""
    save_bundle(folder / "bundle")
    return Timed("a bundle", doctor(path, str(folder / "bundle"), runs=runs), 0.5)


def through_hub(path: str, folder: Path, nodes: int) -> list[Timed]:
    """A fleet's five minutes in a hub: asked for the first time, after another scrape, and once more at once."""
    with Running(STORES[0], path, folder) as server:
        sender = Sender(server.port, server.store.write, CONNECTIONS)
        fleet, bodies = Fleet(nodes), [OwnBodies(number) for number in range(nodes)]

        def scrape(at_ms: int) -> None:
            values = fleet.advance()
            requests = [(index, each.request(at_ms, values[index])) for index, each in enumerate(bodies)]
            sender.send([(lane, sender.frame(body)) for lane, body in requests])

        def ask(how: str, goal_seconds: float) -> Timed:
            server.idle_cpu_seconds()
            before = server.program.cpu_seconds()
            took = once(path, "--prometheus", f"http://127.0.0.1:{server.port}")
            used = server.program.cpu_seconds() - before
            return Timed(f"{nodes:,} nodes through a hub, {how}", took, goal_seconds, used)

        now_ms = int(time.time()) * 1000
        for number in range(SCRAPES, -1, -1):
            scrape(now_ms - number * INTERVAL_MS)
        rows = [ask("for the first time", 3.0)]
        time.sleep(VERDICT_SECONDS)
        scrape(int(time.time()) * 1000)
        rows += [ask("after the next scrape", 3.0), ask("again at once", 3.0)]
        sender.close()
        return rows


def live(path: str, folder: Path, nodes: int, faults: Sequence[str], runs: int) -> Timed:
    """Simulated nodes, asked twice; the time between is not counted."""
    log = folder / "simulate.log"
    told = [f"--nodes={nodes}", "--proxies=1.36.3-iptables", *(f"--fault={fault}" for fault in faults)]
    command = [path, "simulate", *told]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as simulator:
        try:
            urls = list(_urls(log))
            took = doctor(path, "--for", f"{FOR_SECONDS}s", *urls, runs=runs)
        finally:
            simulator.terminate()
    what = f"{nodes:,} live nodes" + (", one frozen, one gone" if faults else "")
    beyond = took._replace(seconds=took.seconds - FOR_SECONDS)
    return Timed(f"{what}, beyond --for", beyond, _live_goal(nodes, faults))


def _live_goal(nodes: int, faults: Sequence[str]) -> float:
    return 6.0 if faults else 1.0 if nodes == 1 else 30.0 - 15.0


def _urls(log: Path) -> Iterator[str]:
    deadline = time.monotonic() + 60
    while "Ctrl-C" not in log.read_text():
        if time.monotonic() > deadline:
            raise BenchError("kpwatch simulate did not start")
        time.sleep(0.1)
    for line in log.read_text().splitlines():
        yield from (word.removesuffix("/metrics") for word in line.split() if word.endswith(":10249/metrics"))


def main() -> int:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--live", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", default="")
    given = parser.parse_args()
    found = programs.kpwatch()
    with tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as name:
        folder = Path(name)
        rows = [
            bundle(found.path, folder, 3 * given.runs),
            live(found.path, folder, 1, (), given.runs),
            live(found.path, folder, 6, ("frozen@1", "unreachable@2"), given.runs),
            live(found.path, folder, given.live, (), 1),
            *through_hub(found.path, folder, given.nodes),
        ]
    lines = page.table(HEADS, [row.cells() for row in rows])
    page.publish(f"{page.head('How long the doctor takes', {'kpwatch': found})}\n{lines}\n", given.out)
    return 0


if __name__ == "__main__":
    sys.exit(process.run(main))
