#!/usr/bin/env python3
"""What an agent costs: CPU per scrape, memory, bytes on the wire, time to the first sample; ours beside its peers.

    bench/agent_cost.py [--rounds 3] [--seconds 30] [--targets 1,200] [--only kpwatch,vmagent] [--together] [--out FILE]
    bench/agent_cost.py --short [--check]          for CI: ours, one target, some seconds
    bench/agent_cost.py --soak 864                 24 h of one target at a hundredfold pace: does memory grow?

Every agent is a process of its own between a rig (bench/lib/rig.py) of its own: targets that serve a recorded real
kube-proxy, and a sink that takes Remote Write and drops it. Agents run one after the other, round by round, so that a
noisy hour hits all of them; --together runs those of a round at once. CPU is counted over whole scrape cycles after a
warm-up and includes everything the process does in that time. Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lib import compare, page, process, recording, reference
from bench.lib.agents import AGENTS, MEASURE, OURS, Agent, Task
from bench.lib.compare import Column, Goal, Sides
from bench.lib.page import MB
from bench.lib.process import BenchError, Program
from bench.lib.rig import FRAMES, Rig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from bench.lib.programs import Found
    from bench.lib.rig import Figures
    from kpwatch.model.encoded import Protocol

START_SECONDS = 60.0
SHORT_TRIES = 3
"""With --check: a neighbour's noise makes a figure worse for once, a regression each time."""
CALM_CYCLES = 2
"""After the warm-up, for what a start has left waiting to be sent."""
MEMORY_LOOKS = 8


class Setting(NamedTuple):
    """How much there is to scrape."""

    targets: int
    interval_seconds: float
    protocol: Protocol = "1.0"
    """What the sink speaks."""
    warm_cycles: int = 8
    """Scrapes of every target before anything is counted: an agent that learns has learnt most by then."""

    def __str__(self) -> str:
        version = "" if self.protocol == "1.0" else f", Remote Write {self.protocol}"
        return f"{self.targets} target{'s' * (self.targets > 1)}, {self.interval_seconds:g} s{version}"


SINGLE, FLEET = Setting(1, 1.0, warm_cycles=FRAMES), Setting(200, 5.0)
SINGLE_2_0 = Setting(1, 1.0, "2.0", warm_cycles=FRAMES)
"""Ours alone: no peer writes 2.0 by default."""
SHORT = Setting(1, 0.25, warm_cycles=FRAMES)
SOAK = Setting(1, 0.15)
"""15 s a hundred times as fast."""


class Cost(NamedTuple):
    """What one agent cost in one round."""

    cpu_ms: float
    """Per scrape."""
    resident_mb: float
    anonymous_mb: float
    wire_bytes: float
    """Per sample, HTTP heads not counted."""
    samples: float
    """Sent per scrape; the recording has 862, agents add some of their own (`up` …)."""
    first_seconds: float
    """From the start of the process to its first request at the sink."""


COLUMNS = (
    Column("CPU per scrape, ms", "cpu_ms"),
    Column("RSS, MB", "resident_mb"),
    Column("anonymous, MB", "anonymous_mb"),
    Column("wire bytes per sample", "wire_bytes"),
    Column("samples per scrape", "samples"),
    Column("start to first sample, s", "first_seconds"),
)

SIDES = Sides(OURS, MEASURE)
WANTED = tuple((agent.name, agent.program) for agent in AGENTS)
GOALS = (
    Goal("1 target, 1 s interval: CPU per scrape", "<= 0.4x vmagent", 0.4, str(SINGLE), "cpu_ms", ratio=True),
    Goal("1 target: RSS, MB", "<= 18", 18, str(SINGLE), "resident_mb"),
    Goal("1 target: anonymous, MB", "<= 9", 9, str(SINGLE), "anonymous_mb"),
    Goal("200 targets, 5 s: CPU per scrape", "<= 0.5x vmagent", 0.5, str(FLEET), "cpu_ms", ratio=True),
    Goal("200 targets: RSS", "<= 0.65x vmagent", 0.65, str(FLEET), "resident_mb", ratio=True),
    Goal("wire bytes per sample, Remote Write 2.0", "<= 8", 8, str(SINGLE_2_0), "wire_bytes"),
    Goal("wire bytes per sample, Remote Write 1.0", "<= 23", 23, str(SINGLE), "wire_bytes"),
    Goal("start to first sample sent, s", "<= 0.25", 0.25, str(SINGLE), "first_seconds"),
)


class Measured:
    """One agent at work between its rig; a context manager."""

    def __init__(self, agent: Agent, found: Found, setting: Setting) -> None:
        self.agent = agent
        self._found = found
        self._setting = setting
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kpwatch-bench-")))
            self._rig = stack.enter_context(Rig(self._setting.targets, speaks_2_0=self._setting.protocol == "2.0"))
            task = Task(self._rig.targets, self._rig.sink, self._setting.interval_seconds, folder)
            command = self.agent.prepare(self._found.path, task)
            self.program = stack.enter_context(Program(command, folder / "log", cwd=folder))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def warm_up(self) -> None:
        """Wait until every target was scraped some times."""
        cycles = self._setting.warm_cycles
        seconds = START_SECONDS + 2 * cycles * self._setting.interval_seconds
        self.program.wait_until(
            f"scraping every target {cycles} times", lambda: self._look().least_scrapes >= cycles, seconds
        )

    def begin(self) -> None:
        """Count from here."""
        self._rig.mark()
        self._cpu_seconds = self.program.cpu_seconds()
        self._memory = [self.program.memory()]

    def look_at_memory(self) -> None:
        """Note what it holds now."""
        self._memory.append(self.program.memory())

    def cost(self) -> Cost:
        """What it cost since `begin`."""
        cpu_seconds = self.program.cpu_seconds() - self._cpu_seconds
        figures = self._rig.report()
        if not figures.scrapes or not figures.samples:
            raise BenchError(
                f"{self.agent.name}: {figures.scrapes} scrapes, {figures.requests} requests; its log ends with\n"
                f"{self.program.last_lines()}"
            )
        return Cost(
            1000 * cpu_seconds / figures.scrapes,
            median(memory.resident for memory in self._memory) / MB,
            median(memory.anonymous for memory in self._memory) / MB,
            figures.wire_bytes / figures.samples,
            figures.samples / figures.scrapes,
            (figures.first_request_ns - self.program.started_ns) / 1e9,
        )

    def _look(self) -> Figures:
        time.sleep(0.05)
        return self._rig.look()


def measure(running: Sequence[Measured], seconds: float, interval_seconds: float) -> dict[str, Cost]:
    """Let agents that are started work for whole cycles, about `seconds`; what each cost."""
    for measured in running:
        measured.warm_up()
    time.sleep(CALM_CYCLES * interval_seconds)
    for measured in running:
        measured.begin()
    window_seconds = max(1, round(seconds / interval_seconds)) * interval_seconds
    end = time.monotonic() + window_seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, window_seconds / MEMORY_LOOKS))
        for measured in running:
            measured.look_at_memory()
    return {measured.agent.name: measured.cost() for measured in running}


def run_rounds(
    agents: Sequence[tuple[Agent, Found]], setting: Setting, *, rounds: int, seconds: float, together: bool
) -> dict[str, Cost]:
    """Medians of the rounds, by agent."""
    if setting.protocol != "1.0":
        agents = [row for row in agents if row[0].name == OURS]
    groups = [list(agents)] if together else [[agent] for agent in agents]
    costs: dict[str, list[Cost]] = {agent.name: [] for agent, _ in agents}
    for round_number in range(rounds):
        for group in groups:
            with ExitStack() as stack:
                running = [stack.enter_context(Measured(agent, found, setting)) for agent, found in group]
                for name, cost in measure(running, seconds, setting.interval_seconds).items():
                    costs[name].append(cost)
                    print(f"  {setting}, round {round_number + 1}: {name} {cost.cpu_ms:.2f} ms", file=sys.stderr)
    return {name: compare.medians(rows) for name, rows in costs.items()}


def soak(found: Found, seconds: float) -> str:
    """Our agent at a hundredfold pace; how much more memory it holds at the end than after a tenth of the time."""
    with Measured(AGENTS[0], found, SOAK) as measured:
        measured.warm_up()
        measured.begin()
        time.sleep(seconds / 10)
        early = measured.program.memory()
        time.sleep(seconds * 9 / 10)
        late = measured.program.memory()
        scrapes = round(seconds / SOAK.interval_seconds)
        growth = late.resident - early.resident
        return f"{scrapes} scrapes of 1 target: RSS {early.resident / MB:.1f} MB, grown by {growth / MB:.2f} MB"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_options(parser, WANTED, rounds=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="counted per agent and round, after the warm-up")
    parser.add_argument("--targets", default="1,200", help="1 is asked every second, more every five seconds")
    parser.add_argument("--together", action="store_true", help="the agents of a round at once")
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    return parser.parse_args()


def measure_all(
    arguments: argparse.Namespace, agents: Sequence[tuple[Agent, Found]], versions: dict[str, Found | None]
) -> int:
    """One page; 1 where --check finds us worse."""
    settings = [
        SINGLE if count == 1 else FLEET._replace(targets=count) for count in map(int, arguments.targets.split(","))
    ]
    rules = {"rounds": arguments.rounds, "seconds": arguments.seconds, "together": arguments.together}
    if SINGLE in settings:
        settings.append(SINGLE_2_0)
    if arguments.short:
        settings, rules = [SHORT], {"rounds": 1, "seconds": 8.0, "together": False}
    results = {str(setting): run_rounds(agents, setting, **rules) for setting in settings}
    parts = [page.head("What an agent costs", versions), f"Load: {recording.load().describe()}.\n"]
    parts += [f"## {name}\n\n{compare.table(costs, COLUMNS, SIDES)}\n" for name, costs in results.items()]
    if not arguments.short:
        parts.append("## Goals\n\n" + compare.goals_table(GOALS, results, SIDES))
    page.publish("\n".join(parts), arguments.out)
    loop_ms = 1000 * reference.reference_seconds()
    ours = {f"agent_cost, {name}": costs[OURS].cpu_ms / loop_ms for name, costs in results.items() if OURS in costs}
    print(", ".join(f"{name}: {loops:.3g} reference loops" for name, loops in ours.items()), file=sys.stderr)
    return compare.against_baseline(arguments, ours)


def main() -> int:
    """Measure what is asked; 1 where --check finds us worse."""
    arguments = parse_arguments()
    versions = compare.find_programs(arguments, WANTED)
    agents = [(agent, found) for agent in AGENTS if (found := versions.get(agent.name))]
    if arguments.soak:
        text = page.head("Does the agent's memory grow?", versions) + "\n" + soak(agents[0][1], arguments.soak)
        page.publish(text, arguments.out)
        return 0
    tries = SHORT_TRIES if arguments.short and arguments.check else 1
    return next((0 for _ in range(tries) if measure_all(arguments, agents, versions) == 0), 1)


if __name__ == "__main__":
    sys.exit(process.run(main))
