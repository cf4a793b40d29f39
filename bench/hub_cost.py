#!/usr/bin/env python3
"""What a store costs: CPU and disk per sample, memory per series, speed; ours beside its peers, fed the same requests.

    bench/hub_cost.py [--scenarios ours,ours-2.0] [--scrapes 60] [--rounds 1] [--only kpwatch,prometheus] [--out FILE]
    bench/hub_cost.py --scenarios day,million,select,restart --only kpwatch,victoria-metrics
                                                  bench/results/hub-scale.md; each alone takes some minutes
    bench/hub_cost.py --scenarios all             everything of the goals; more than an hour
    bench/hub_cost.py --short [--check]           for CI: ours, few targets, some seconds

Nodes send what a recorded kube-proxy said, scrapes 15 s apart, over 16 keep-alive connections as fast as they are
answered (bench/lib/{movement,bodies,sender}.py). Requests are made before they are sent, some scrapes at a time, so the
sender is not what is measured. CPU is all the server used, from being ready to the end of a clean stop: what is put off
is not saved. Disk is what `du` shows after that stop, without caches that are made again. Every run asks the server
how many samples it has.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lib import compare, page, process, recording, reference
from bench.lib.bodies import ALL, ForeignBodies, OwnBodies, foreign_2_0
from bench.lib.compare import Column, Goal, Sides
from bench.lib.movement import Fleet
from bench.lib.process import BenchError
from bench.lib.sender import Sender
from bench.lib.stores import MEASURE, OURS, STORES, Running, Store
from kpwatch.remote_write import snappy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.lib.programs import Found
    from kpwatch.model.encoded import Protocol

INTERVAL_MS = 15_000
CONNECTIONS = 16
HELD_REQUEST_BYTES = 100 << 20
"""About how many requests are made before they are sent."""
VISIBLE_SECONDS = 60.0
"""How long a store may take until what it acknowledged can be asked for."""
ENDED_BEFORE_SECONDS = 60
"""The last scrape is this old, so that no store holds it back as too young."""
COUNTED = "go_goroutines"
LIMIT_BYTES = 64 << 20
AROUND_COUNTED = slice(150, 190)
"""Of the recording: 40 series of Go's runtime, COUNTED among them."""


class Scenario(NamedTuple):
    """One stream of requests."""

    targets: int
    scrapes: int
    foreign: bool = False
    series: slice = ALL
    """Which of the recording each target has."""
    scrapes_per_request: int = 1
    protocol: Protocol = "1.0"
    """For stores that take it."""
    restart: bool = False
    """Kill -9 at the end, start again, and measure until the first answer."""
    what: str = ""


SCENARIOS = {
    "ours": Scenario(200, 60, what="our agent's requests"),
    "foreign": Scenario(200, 60, foreign=True, what="requests as Prometheus packs them"),
    "ours-2.0": Scenario(200, 60, protocol="2.0", what="our agent's requests, Remote Write 2.0"),
    "foreign-2.0": Scenario(200, 60, foreign=True, protocol="2.0", what="requests as Prometheus packs them, 2.0"),
    "day": Scenario(10, 5760, scrapes_per_request=4, what="24 h of 10 targets, four scrapes a request"),
    "million": Scenario(1160, 8, what="1,000,000 series"),
    "select": Scenario(
        100, 5760, series=AROUND_COUNTED, scrapes_per_request=48, what="24 h of 100 targets, 40 series each"
    ),
    "restart": Scenario(200, 480, scrapes_per_request=4, restart=True, what="2 h, then kill -9"),
}
SHORT = Scenario(20, 100, what="our agent's requests")
DEFAULT = "ours,ours-2.0,foreign"


class Cost(NamedTuple):
    """What one store cost in one run."""

    cpu_ns: float
    """Per sample, clean stop included (not after a kill)."""
    disk_bytes: float
    """Per sample, after a clean stop."""
    series_kb: float
    """Anonymous memory per active series while samples come, in 1024 bytes."""
    anonymous_mb: float
    million_per_second: float
    """Samples acknowledged, by the wall clock."""
    slowest_scrape_seconds: float
    """Of all targets together, averaged over the requests made at once; 15 s is too late."""
    longest_answer_seconds: float
    """That one write request waited, with one of each connection on its way all the time."""
    stop_seconds: float
    select_seconds: float
    """To count all samples of one metric, best of some."""
    restart_seconds: float
    """From the start after kill -9 to the first answer; 0 = not asked."""


COLUMNS = (
    Column("CPU per sample, ns", "cpu_ns"),
    Column("disk per sample, B", "disk_bytes"),
    Column("anonymous per series, KB", "series_kb"),
    Column("anonymous, MB", "anonymous_mb"),
    Column("M samples per s", "million_per_second"),
    Column("one scrape of all, s", "slowest_scrape_seconds"),
    Column("longest answer, s", "longest_answer_seconds"),
    Column("clean stop, s", "stop_seconds"),
    Column("count one metric, s", "select_seconds"),
    Column("restart, s", "restart_seconds"),
)

SIDES = Sides(OURS, MEASURE)
WANTED = tuple((store.name, store.program) for store in STORES)
GOALS = (
    Goal("CPU per sample, our agent's bodies", "<= 0.2x", 0.2, "ours", "cpu_ns", ratio=True),
    Goal("CPU per sample, our agent's bodies, 2.0", "<= 0.2x", 0.2, "ours-2.0", "cpu_ns", ratio=True),
    Goal("CPU per sample, foreign bodies", "<= 0.6x", 0.6, "foreign", "cpu_ns", ratio=True),
    Goal("disk per sample, 60 scrapes, B", "<= 0.4", 0.4, "ours", "disk_bytes"),
    Goal("disk per sample, 60 scrapes", "<= 0.3x", 0.3, "ours", "disk_bytes", ratio=True),
    Goal("disk per sample, 24 h, B", "<= 0.12", 0.12, "day", "disk_bytes"),
    Goal("disk per sample, 24 h", "<= 0.7x", 0.7, "day", "disk_bytes", ratio=True),
    Goal("anonymous memory per active series, KB", "<= 0.45", 0.45, "ours", "series_kb"),
    Goal("anonymous memory per active series", "<= 0.5x", 0.5, "ours", "series_kb", ratio=True),
    Goal("1,000,000 active series: memory, MB", "<= 600", 600, "million", "anonymous_mb"),
    Goal("1,000,000 active series: one scrape of all, s", "<= 15", 15, "million", "slowest_scrape_seconds"),
    Goal("restart with 2 h of journal, s", "<= 5", 5, "restart", "restart_seconds"),
    Goal("select of one metric, 24 h, 100 targets, s", "<= 0.15", 0.15, "select", "select_seconds"),
    Goal("select of one metric, 24 h, 100 targets", "<= 1x", 1, "select", "select_seconds", ratio=True),
)


class Stream:
    """A scenario's requests, in order, some scrapes at a time."""

    def __init__(self, scenario: Scenario, last_ms: int) -> None:
        self.scenario = scenario
        self._is_2_0 = scenario.protocol == "2.0"
        self._first_ms = last_ms - scenario.scrapes * INTERVAL_MS
        self._fleet = Fleet(scenario.targets)
        self._phase_ms = [INTERVAL_MS * index // scenario.targets for index in range(scenario.targets)]
        self._foreign = ForeignBodies(scenario.targets, scenario.series) if scenario.foreign else None
        self._own = (
            []
            if scenario.foreign
            else [OwnBodies(index, scenario.series, scenario.protocol) for index in range(scenario.targets)]
        )
        self.series = scenario.targets * (self._foreign.samples if self._foreign else self._own[0].samples)
        self.samples = self.series * scenario.scrapes

    def parts(self) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
        """(scrapes, requests with the number of their lane), until the stream ends."""
        scrapes, requests, held = 0, [], 0
        for number_of_scrape in range(0, self.scenario.scrapes, self.scenario.scrapes_per_request):
            for lane, made in self._next(number_of_scrape):
                body = self._as_sent(made)
                requests.append((lane, body))
                held += len(body)
            scrapes += self.scenario.scrapes_per_request
            if held > HELD_REQUEST_BYTES:
                yield scrapes, requests
                scrapes, requests, held = 0, [], 0
        if self._foreign:
            requests += ((lane, self._as_sent(body)) for lane, body in self._foreign.rest())
        if requests:
            yield scrapes, requests

    def _next(self, first: int) -> Iterator[tuple[int, bytes]]:
        """One request of every target (or what foreign packing makes of one scrape of all)."""
        steps = [
            (self._times(first + step), self._fleet.advance()) for step in range(self.scenario.scrapes_per_request)
        ]
        if self._foreign:
            for times, scrapes in steps:
                yield from self._foreign.requests(times, scrapes)
        else:
            for index, bodies in enumerate(self._own):
                blocks = [bodies.request(times[index], scrapes[index]) for times, scrapes in steps]
                yield index, blocks[0] if len(blocks) == 1 else snappy.join_blocks(blocks)

    def _as_sent(self, body: bytes) -> bytes:
        """Foreign bodies are made as 1.0."""
        if not self._foreign or not self._is_2_0:
            return body
        return snappy.compress(foreign_2_0(snappy.decompress(body, LIMIT_BYTES)))

    def _times(self, number_of_scrape: int) -> list[int]:
        return [self._first_ms + number_of_scrape * INTERVAL_MS + phase for phase in self._phase_ms]


def run(store: Store, found: Found, scenario: Scenario) -> Cost:
    """One stream into one store."""
    last_ms = int(time.time() - ENDED_BEFORE_SECONDS) * 1000
    stream = Stream(scenario if store.takes_2_0 else scenario._replace(protocol="1.0"), last_ms)
    with tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as name, Running(store, found.path, Path(name)) as server:
        return measure(server, found, stream, last_ms / 1000)


def measure(server: Running, found: Found, stream: Stream, last_seconds: float) -> Cost:
    """Send, ask, stop; what it took."""
    idle_cpu_seconds = server.idle_cpu_seconds()
    sender = Sender(server.port, server.store.write, CONNECTIONS, stream.scenario.protocol)
    sending_seconds, scrape_seconds, anonymous = 0.0, [], [0]
    for scrapes, requests in stream.parts():
        seconds = sender.send([(lane, sender.frame(body)) for lane, body in requests])
        sending_seconds += seconds
        scrape_seconds.append(seconds / scrapes)
        anonymous.append(server.program.memory().anonymous)
    sender.close()
    query_cpu_seconds, select_seconds = check_complete(server, stream, last_seconds)
    anonymous_bytes = max(anonymous[-2:])
    restart_seconds, stop_seconds = 0.0, 0.0
    if stream.scenario.restart:
        restart_seconds = restart(server, found, stream, last_seconds)
        cpu_seconds = float("nan")
    else:
        stop_seconds = server.program.end(120)
        cpu_seconds = server.program.total_cpu_seconds - idle_cpu_seconds - query_cpu_seconds
    return Cost(
        1e9 * cpu_seconds / stream.samples,
        server.data_bytes() / stream.samples,
        anonymous_bytes / 1024 / stream.series,
        anonymous_bytes / page.MB,
        stream.samples / sending_seconds / 1e6,
        max(scrape_seconds),
        sender.longest_seconds,
        stop_seconds,
        select_seconds,
        restart_seconds,
    )


def check_complete(server: Running, stream: Stream, last_seconds: float) -> tuple[float, float]:
    """(CPU of asking, seconds of the fastest answer); raises BenchError where samples are missing."""
    scenario = stream.scenario
    expected = scenario.targets * scenario.scrapes
    query = f"sum(count_over_time({COUNTED}[{scenario.scrapes * INTERVAL_MS // 1000 + 60}s]))"
    began_cpu_seconds = server.program.cpu_seconds()
    deadline = time.monotonic() + VISIBLE_SECONDS
    while (have := server.number(query, last_seconds)) != expected:
        if time.monotonic() > deadline:
            raise BenchError(f"{server.store.name}: {have:.0f} of {expected} samples of {COUNTED} are there")
        time.sleep(0.5)
    used_cpu_seconds = server.program.cpu_seconds() - began_cpu_seconds
    server.idle_cpu_seconds()  # what a fast load leaves to be done later is not the question's
    began_cpu_seconds = server.program.cpu_seconds()
    times = []
    for _ in range(5):
        began = time.monotonic()
        server.number(query, last_seconds)
        times.append(time.monotonic() - began)
    return used_cpu_seconds + server.program.cpu_seconds() - began_cpu_seconds, min(times)


def restart(server: Running, found: Found, stream: Stream, last_seconds: float) -> float:
    """Kill -9, start on the same data; seconds until it answers as before."""
    server.program.kill()
    began = time.monotonic()
    with Running(server.store, found.path, server.folder.parent) as again:
        while again.number(f"count({COUNTED})", last_seconds) != stream.scenario.targets:
            if time.monotonic() - began > VISIBLE_SECONDS:
                raise BenchError(f"{server.store.name}: not all targets are there after a restart")
            time.sleep(0.02)
        seconds = time.monotonic() - began
        check_complete(again, stream, last_seconds)
        again.program.end(120)
    return seconds


def run_rounds(stores: Sequence[tuple[Store, Found]], name: str, scenario: Scenario, rounds: int) -> dict[str, Cost]:
    """Medians of the rounds, by store."""
    costs: dict[str, list[Cost]] = {store.name: [] for store, _ in stores}
    for round_number in range(rounds):
        for store, found in stores:
            cost = run(store, found, scenario)
            costs[store.name].append(cost)
            print(f"  {name}, round {round_number + 1}: {store.name} {cost.cpu_ns:.0f} ns", file=sys.stderr)
    return {name: compare.medians(rows) for name, rows in costs.items()}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_options(parser, WANTED, rounds=1)
    parser.add_argument("--scenarios", default=DEFAULT, help=f"of {', '.join(SCENARIOS)}, or all (default {DEFAULT})")
    parser.add_argument("--targets", type=int, help="other than the scenario's")
    parser.add_argument("--scrapes", type=int, help="other than the scenario's")
    return parser.parse_args()


def choose_scenarios(arguments: argparse.Namespace) -> dict[str, Scenario]:
    """What is asked for."""
    if arguments.short:
        return {"short": SHORT}
    names = list(SCENARIOS) if arguments.scenarios == "all" else arguments.scenarios.split(",")
    changes = {name: value for name in ("targets", "scrapes") if (value := getattr(arguments, name)) is not None}
    return {name: SCENARIOS[name]._replace(**changes) for name in names}


def main() -> int:
    """Measure what is asked; 1 where --check finds us worse."""
    arguments = parse_arguments()
    versions = compare.find_programs(arguments, WANTED)
    stores = [(store, found) for store in STORES if (found := versions.get(store.name))]
    scenarios = choose_scenarios(arguments)
    results = {name: run_rounds(stores, name, scenario, arguments.rounds) for name, scenario in scenarios.items()}
    parts = [page.head("What a store costs", versions), f"Load: {recording.load().describe()}.\n"]
    for name, costs in results.items():
        scenario = scenarios[name]
        title = f"{name}: {scenario.what}, {scenario.targets} targets, {scenario.scrapes} scrapes"
        parts.append(f"## {title}\n\n{compare.table(costs, COLUMNS, SIDES)}\n")
    if all(SCENARIOS.get(name) == scenario for name, scenario in scenarios.items()):  # goals are for these sizes
        parts.append("## Goals\n\n" + compare.goals_table(GOALS, results, SIDES))
    page.publish("\n".join(parts), arguments.out)
    loop_ns = 1e9 * reference.reference_seconds()
    ours = {f"hub_cost, {name}": costs[OURS].cpu_ns / loop_ns for name, costs in results.items() if OURS in costs}
    return compare.against_baseline(arguments, ours)


if __name__ == "__main__":
    sys.exit(process.run(main))
