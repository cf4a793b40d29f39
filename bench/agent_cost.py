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

from bench.lib import page, programs, recording, reference
from bench.lib.agents import AGENTS, MEASURE, OURS, Agent, Task
from bench.lib.page import MB, Goal, number
from bench.lib.process import BenchError, Program
from bench.lib.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from bench.lib.programs import Found
    from bench.lib.rig import Figures

START_SECONDS = 60.0
WARM_CYCLES = 3
MEMORY_LOOKS = 8


class Setting(NamedTuple):
    """How much there is to scrape."""

    targets: int
    interval_seconds: float

    def __str__(self) -> str:
        return f"{self.targets} target{'s' * (self.targets > 1)}, {self.interval_seconds:g} s"


SINGLE, FLEET = Setting(1, 1.0), Setting(200, 5.0)
SHORT = Setting(1, 0.25)
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


class Column(NamedTuple):
    """How a field of Cost is shown."""

    head: str
    field: str


COLUMNS = (
    Column("CPU per scrape, ms", "cpu_ms"),
    Column("RSS, MB", "resident_mb"),
    Column("anonymous, MB", "anonymous_mb"),
    Column("wire bytes per sample", "wire_bytes"),
    Column("samples per scrape", "samples"),
    Column("start to first sample, s", "first_seconds"),
)

Results = dict[Setting, dict[str, Cost]]
GOALS: tuple[tuple[Goal, Setting, str, bool], ...] = (
    (Goal("1 target, 1 s interval: CPU per scrape", "<= 0.4x vmagent", 0.4), SINGLE, "cpu_ms", True),
    (Goal("1 target: RSS, MB", "<= 18", 18), SINGLE, "resident_mb", False),
    (Goal("1 target: anonymous, MB", "<= 9", 9), SINGLE, "anonymous_mb", False),
    (Goal("200 targets, 5 s: CPU per scrape", "<= 0.5x vmagent", 0.5), FLEET, "cpu_ms", True),
    (Goal("200 targets: RSS", "<= 0.65x vmagent", 0.65), FLEET, "resident_mb", True),
    (Goal("wire bytes per sample, Remote Write 1.0", "<= 23", 23), SINGLE, "wire_bytes", False),
    (Goal("start to first sample sent, s", "<= 0.25", 0.25), SINGLE, "first_seconds", False),
)
"""(goal, where, field of Cost, whether it is a ratio to MEASURE)."""


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
            self._rig = stack.enter_context(Rig(self._setting.targets))
            task = Task(self._rig.targets, self._rig.sink, self._setting.interval_seconds, folder)
            command = self.agent.prepare(self._found.path, task)
            self.program = stack.enter_context(Program(command, folder / "log", cwd=folder))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def warm_up(self) -> None:
        """Wait until every target was scraped some times."""
        seconds = START_SECONDS + WARM_CYCLES * self._setting.interval_seconds
        self.program.wait_until(
            f"scraping every target {WARM_CYCLES} times", lambda: self._look().least_scrapes >= WARM_CYCLES, seconds
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
    for measured in running:
        measured.begin()
    window_seconds = max(1, round(seconds / interval_seconds)) * interval_seconds
    end = time.monotonic() + window_seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, window_seconds / MEMORY_LOOKS))
        for measured in running:
            measured.look_at_memory()
    return {measured.agent.name: measured.cost() for measured in running}


def compare(
    agents: Sequence[tuple[Agent, Found]], setting: Setting, *, rounds: int, seconds: float, together: bool
) -> dict[str, Cost]:
    """Medians of the rounds, by agent."""
    groups = [list(agents)] if together else [[agent] for agent in agents]
    costs: dict[str, list[Cost]] = {agent.name: [] for agent, _ in agents}
    for round_number in range(rounds):
        for group in groups:
            with ExitStack() as stack:
                running = [stack.enter_context(Measured(agent, found, setting)) for agent, found in group]
                for name, cost in measure(running, seconds, setting.interval_seconds).items():
                    costs[name].append(cost)
                    print(f"  {setting}, round {round_number + 1}: {name} {cost.cpu_ms:.2f} ms", file=sys.stderr)
    return {name: Cost(*(median(column) for column in zip(*rows, strict=True))) for name, rows in costs.items()}


def costs_table(costs: dict[str, Cost]) -> str:
    """Figures and, in brackets, ratios to MEASURE."""
    measure_cost = costs.get(MEASURE)
    rows = []
    for name, cost in costs.items():
        cells = [name]
        for _, field in COLUMNS:
            figure: float = getattr(cost, field)
            against = f" ({figure / getattr(measure_cost, field):.2f}x)" if measure_cost else ""
            cells.append(number(figure) + against)
        rows.append(cells)
    return page.table(["", *(column.head for column in COLUMNS)], rows)


def judged(results: Results) -> list[tuple[Goal, float | None]]:
    """Every goal with our figure, where this run has it."""
    found = []
    for goal, setting, field, is_ratio in GOALS:
        costs = results.get(setting, {})
        ours, measure_cost = costs.get(OURS), costs.get(MEASURE)
        figure = getattr(ours, field) if ours else None
        if is_ratio:
            figure = figure / getattr(measure_cost, field) if figure is not None and measure_cost else None
        found.append((goal, figure))
    found.insert(-1, (Goal("wire bytes per sample, Remote Write 2.0", "<= 8", 8), None))
    return found


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
        growth = Goal(f"{scrapes} scrapes of 1 target: RSS growth, MB", "0", 0.1)
        return page.goals_table([(growth, max(0.0, late.resident - early.resident) / MB)])


def choose(arguments: argparse.Namespace) -> dict[str, Found | None]:
    """The programs to measure, by agent; None where one is not on this machine."""
    only = set(filter(None, arguments.only.split(",")))
    chosen: dict[str, Found | None] = {}
    for agent in AGENTS:
        if only and agent.name.split()[0] not in only:
            continue
        asked = getattr(arguments, agent.program)
        chosen[agent.name] = programs.kpwatch(asked) if agent.name == OURS else programs.find(agent.program, asked)
    return chosen


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="counted per agent and round, after the warm-up")
    parser.add_argument("--targets", default="1,200", help="1 is asked every second, more every five seconds")
    parser.add_argument("--only", default="", help="agents, separated by commas (first word of the name)")
    parser.add_argument("--together", action="store_true", help="the agents of a round at once")
    parser.add_argument("--short", action="store_true", help="ours alone, one target, quick")
    parser.add_argument("--check", action="store_true", help="fail if worse than bench/results/baseline.json allows")
    parser.add_argument("--write-baseline", action="store_true")
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--out", default="", help="write the page here as well")
    for agent in AGENTS:
        parser.add_argument(
            f"--{agent.program}", default="", metavar="PATH", help=f"the program to run as {agent.name}"
        )
    return parser.parse_args()


def main() -> int:
    """Measure what is asked; 1 where --check finds us worse."""
    arguments = parse_arguments()
    if arguments.short:
        arguments.only, arguments.rounds, arguments.seconds = OURS, 1, 8.0
        settings = [SHORT]
    else:
        settings = [SINGLE if count == 1 else Setting(count, 5.0) for count in map(int, arguments.targets.split(","))]
    versions = choose(arguments)
    agents = [(agent, found) for agent in AGENTS if (found := versions.get(agent.name))]
    if arguments.soak:
        text = page.head("Does the agent's memory grow?", versions) + "\n" + soak(agents[0][1], arguments.soak)
        page.publish(text, arguments.out)
        return 0
    rules = {"rounds": arguments.rounds, "seconds": arguments.seconds, "together": arguments.together}
    results: Results = {setting: compare(agents, setting, **rules) for setting in settings}
    parts = [page.head("What an agent costs", versions), f"Load: {recording.load().describe()}.\n"]
    parts += [f"## {setting}\n\n{costs_table(costs)}\n" for setting, costs in results.items()]
    if not arguments.short:
        parts.append("## Goals\n\n" + page.goals_table(judged(results)))
    page.publish("\n".join(parts), arguments.out)
    return against_baseline(arguments, results)


def against_baseline(arguments: argparse.Namespace, results: Results) -> int:
    """Keep or compare our CPU per scrape, as the options say."""
    figures = {
        f"agent_cost, {setting}": costs[OURS].cpu_ms / 1000 for setting, costs in results.items() if OURS in costs
    }
    if arguments.write_baseline:
        reference.write(figures)
    complaints = reference.check(figures) if arguments.check else []
    print("\n".join(complaints), file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
