#!/usr/bin/env python3
"""How long the doctor takes: a bundle, live nodes, and a fleet through a hub.

    bench/doctor.py [--nodes 1000] [--live 500] [--runs 3] [--out FILE]

The hub holds five minutes of `--nodes` kube-proxies, sent as our agent sends them, the last scrape some seconds old;
`kpwatch doctor --prometheus` is timed as a process. Live nodes are one `kpwatch simulate`; what the doctor takes beyond
the time between its scrapes is shown, once with all nodes answering, once with one that is frozen and one that is gone.
"""

from __future__ import annotations

import argparse
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
UNCLEAN = (0, 1, 2, 3)
"""Exit codes that are verdicts."""


class Timed(NamedTuple):
    """One row of the page."""

    name: str
    seconds: float
    goal_seconds: float


def doctor(path: str, *arguments: str, runs: int) -> float:
    """Median wall time of the command; raises BenchError where it gives no verdict."""
    times = []
    for _ in range(runs):
        began = time.monotonic()
        ended = subprocess.run([path, "doctor", "--json", *arguments], capture_output=True, text=True, check=False)
        times.append(time.monotonic() - began)
        if ended.returncode not in UNCLEAN or not ended.stdout:
            raise BenchError(f"kpwatch doctor: exit code {ended.returncode}: {ended.stderr[-500:]}")
    return median(times)


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


def through_hub(path: str, folder: Path, nodes: int, runs: int) -> Timed:
    """A fleet's five minutes in a hub."""
    with Running(STORES[0], path, folder) as server:
        sender = Sender(server.port, server.store.write, CONNECTIONS)
        fleet, bodies = Fleet(nodes), [OwnBodies(number) for number in range(nodes)]
        last_ms = int(time.time()) * 1000
        for number in range(SCRAPES, -1, -1):
            values = fleet.advance()
            at_ms = last_ms - number * INTERVAL_MS
            requests = [(index, each.request(at_ms, values[index])) for index, each in enumerate(bodies)]
            sender.send([(lane, sender.frame(body)) for lane, body in requests])
        sender.close()
        url = f"http://127.0.0.1:{server.port}"
        return Timed(f"{nodes:,} nodes through a hub", doctor(path, "--prometheus", url, runs=runs), 3.0)


def live(path: str, folder: Path, nodes: int, faults: Sequence[str], runs: int) -> Timed:
    """Simulated nodes, asked twice; the time between is not counted."""
    log = folder / "simulate.log"
    told = [f"--nodes={nodes}", "--proxies=1.36.3-iptables", *(f"--fault={fault}" for fault in faults)]
    command = [path, "simulate", *told]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as simulator:
        try:
            urls = list(_urls(log))
            seconds = doctor(path, "--for", f"{FOR_SECONDS}s", *urls, runs=runs)
        finally:
            simulator.terminate()
    what = f"{nodes:,} live nodes" + (", one frozen, one gone" if faults else "")
    return Timed(f"{what}, beyond --for", seconds - FOR_SECONDS, _live_goal(nodes, faults))


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
            through_hub(found.path, folder, given.nodes, given.runs),
        ]
    lines = page.table(
        ["", "seconds", "goal"], [[row.name, f"{row.seconds:.2f}", f"<= {row.goal_seconds:g}"] for row in rows]
    )
    page.publish(f"{page.head('How long the doctor takes', {'kpwatch': found})}\n{lines}\n", given.out)
    return 0


if __name__ == "__main__":
    sys.exit(process.run(main))
