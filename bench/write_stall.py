#!/usr/bin/env python3
"""How long a write waits for its answer while the hub seals and merges, at a rate the hub has no trouble with.

    bench/write_stall.py [--targets 40] [--seconds 100] [--every 1.0] [--out FILE]

Each target has 960 scrapes already, sent as fast as they are taken; then it sends one scrape after the other, each at
its own instant of the interval. Within 64 of them every target is sealed, and its blocks, of 1,024 rows then,
merged. An answer's time runs from when the request was due. Beside it a process that does nothing but sleep says how
late the machine itself wakes somebody up: an answer cannot be told from that.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.lib import page, process, programs
from bench.lib.bodies import OwnBodies
from bench.lib.movement import Fleet
from bench.lib.sender import Sender
from bench.lib.stores import STORES, Running
from kpwatch.remote_write import snappy

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

BEFORE, AT_ONCE, PREPARED = 960, 48, 16
INTERVAL_MS = 15_000
SLEEP_SECONDS = 0.005
LATE_MS = 50.0
SHARES = (50, 90, 99, 99.9, 100)
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
SHOWN = ("kpwatch_store_stage_longest_seconds", "kpwatch_store_stage_steps_total", "kpwatch_store_stage_seconds_total")


def watch_the_machine(longest: Synchronized[float], late: Synchronized[int], until: float) -> None:
    """How late a sleeper is woken at most, and how often by more than LATE_MS."""
    while time.monotonic() < until:
        began = time.monotonic()
        time.sleep(SLEEP_SECONDS)
        late_ms = 1000 * (time.monotonic() - began - SLEEP_SECONDS)
        longest.value = max(longest.value, late_ms)
        late.value += late_ms > LATE_MS


class Node(threading.Thread):
    """One target, its connection and its times."""

    def __init__(self, port: int, requests: list[bytes], due: float, every: float) -> None:
        super().__init__(daemon=True)
        self._port, self._requests, self._due, self._every = port, requests, due, every
        self.waited_ms: list[float] = []
        self.ended: list[float] = []

    def run(self) -> None:
        """Send what there is, each at its instant."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.connect()
        for number, body in enumerate(self._requests):
            due = self._due + number * self._every
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("POST", "/api/v1/write", body, HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise process.BenchError(f"answered {answer.status}")
            self.ended.append(time.monotonic())
            self.waited_ms.append(1000 * (self.ended[-1] - due))
        connection.close()


def main() -> int:
    """Fill, pace, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between a target's scrapes")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = programs.kpwatch()
    scrapes = int(arguments.seconds / arguments.every)
    fleet, bodies = Fleet(arguments.targets), [OwnBodies(number) for number in range(arguments.targets)]
    first_ms = int(time.time()) * 1000 - (BEFORE + scrapes) * INTERVAL_MS
    with (
        tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as name,
        Running(STORES[0], found.path, Path(name)) as hub,
    ):
        sender = Sender(hub.port, "/api/v1/write", 4)
        for first in range(0, BEFORE, AT_ONCE):
            blocks: list[list[bytes]] = [[] for _ in bodies]
            for step in range(first, first + AT_ONCE):
                values = fleet.advance()
                for number, body in enumerate(bodies):
                    blocks[number].append(body.request(first_ms + step * INTERVAL_MS, values[number]))
            for begin in range(0, AT_ONCE, PREPARED):
                joined = [snappy.join_blocks(one[begin : begin + PREPARED]) for one in blocks]
                sender.send([(number, sender.frame(body)) for number, body in enumerate(joined)])
        sender.close()
        requests: list[list[bytes]] = [[] for _ in bodies]
        for step in range(BEFORE, BEFORE + scrapes):
            values = fleet.advance()
            for number, body in enumerate(bodies):
                requests[number].append(body.request(first_ms + step * INTERVAL_MS, values[number]))
        hub.idle_cpu_seconds()
        before = stages(hub)
        began = time.monotonic() + 2
        longest, late = multiprocessing.Value("d", 0.0), multiprocessing.Value("i", 0)
        watcher = multiprocessing.Process(target=watch_the_machine, args=(longest, late, began + arguments.seconds))
        watcher.start()
        nodes = [
            Node(hub.port, one, began + arguments.every * number / len(bodies), arguments.every)
            for number, one in enumerate(requests)
        ]
        cpu_seconds = hub.program.cpu_seconds()
        for node in nodes:
            node.start()
        for node in nodes:
            node.join()
        cpu_seconds = hub.program.cpu_seconds() - cpu_seconds
        watcher.join()
        after = stages(hub)
        hub.program.end(120)
    waited = np.concatenate([node.waited_ms for node in nodes])
    rows = [("a write's answer, ms", *(page.number(float(np.percentile(waited, share))) for share in SHARES))]
    share_of_a_core = page.number(100 * cpu_seconds / arguments.seconds)
    words = (
        f"{arguments.targets} targets, each a scrape of {bodies[0].samples} samples every {arguments.every:g} s for "
        f"{arguments.seconds:g} s, {BEFORE} before; the hub used {share_of_a_core} % of a core. Answers later than "
        f"{LATE_MS:g} ms: {int((waited > LATE_MS).sum())} of {len(waited)}. The sleeper was woken "
        f"{page.number(longest.value)} ms late at most, {late.value} times by more than {LATE_MS:g} ms.\n"
    )
    text = [
        page.head("How long a write waits", {"kpwatch hub": found}),
        words,
        page.table(["", *(f"p{share:g}" if share < 100 else "longest" for share in SHARES)], rows),
        "",
        page.table(
            ["stage of the store's thread", "steps meanwhile", "ms a step", "longest since the start, ms"],
            [
                (
                    stage,
                    page.number(steps := after[stage][1] - before.get(stage, (0, 0, 0))[1]),
                    page.number(1000 * (after[stage][2] - before.get(stage, (0, 0, 0))[2]) / steps if steps else 0),
                    page.number(1000 * after[stage][0]),
                )
                for stage in after
            ],
        ),
    ]
    page.publish("\n".join(text), arguments.out)
    return 0


def stages(hub: Running) -> dict[str, tuple[float, ...]]:
    """(longest, steps, seconds) by stage, from its /metrics."""
    found: dict[str, list[float]] = {}
    for line in (hub.get("/metrics") or b"").decode().splitlines():
        for place, metric in enumerate(SHOWN):
            if line.startswith(f"{metric}{{"):
                stage = line.partition('stage="')[2].partition('"')[0]
                found.setdefault(stage, [0.0, 0.0, 0.0])[place] = float(line.rsplit(" ", 1)[1])
    return {stage: tuple(values) for stage, values in found.items()}


if __name__ == "__main__":
    sys.exit(process.run(main))
