"""Costs of several programs side by side: medians of rounds, ratios to one of them, and what was wanted of ours.

A bench brings a NamedTuple of figures, a `Column` for each figure and a `Goal` for each row of its goals; the rest, up
to the exit code, is here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import isnan
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bench.lib import page, programs, reference

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bench.lib.programs import Found

Cost = TypeVar("Cost", bound=tuple[Any, ...])


class Column(NamedTuple):
    """How a figure is shown."""

    head: str
    field: str


class Goal(NamedTuple):
    """One row of what is wanted of ours: at most `most`, of the figure itself or of its ratio to the measure's."""

    what: str
    wanted: str
    most: float
    where: str
    """Name of the section with the figure; "" = nothing measures it yet."""
    field: str
    ratio: bool = False


class Sides(NamedTuple):
    """Who is compared."""

    ours: str
    measure: str
    """Whom ratios refer to."""


Sections = Mapping[str, Mapping[str, Any]]
"""Name of a section -> name of a program -> its costs."""


def add_options(parser: ArgumentParser, wanted: Sequence[tuple[str, str]], *, rounds: int) -> None:
    """The options both benches have; `wanted` are (name in tables, program)."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", default="", help="names, separated by commas (the first word of each)")
    parser.add_argument("--short", action="store_true", help="ours alone, quick")
    parser.add_argument("--check", action="store_true", help="fail if worse than bench/results/baseline.json allows")
    parser.add_argument("--write-baseline", action="store_true")
    parser.add_argument("--out", default="", help="write the page here as well")
    for name, program in wanted:
        parser.add_argument(f"--{program}", default="", metavar="PATH", help=f"what to run as {name}")


def find_programs(arguments: Namespace, wanted: Sequence[tuple[str, str]]) -> dict[str, Found | None]:
    """By name, those that are asked for; None where one is not on this machine."""
    only = {"kpwatch"} if arguments.short else set(filter(None, arguments.only.split(",")))
    found: dict[str, Found | None] = {}
    for name, program in wanted:
        if not only or name.split()[0] in only:
            asked = getattr(arguments, program.replace("-", "_"))
            found[name] = programs.kpwatch(asked) if program == "kpwatch" else programs.find(program, asked)
    return found


def medians(rounds: Sequence[Cost]) -> Cost:
    """Figure by figure."""
    return type(rounds[0])(*(median(figures) for figures in zip(*rounds, strict=True)))


def table(costs: Mapping[str, Any], columns: Sequence[Column], sides: Sides) -> str:
    """Figures and, where the measure is there, ratios to it in brackets."""
    rows = []
    for name, cost in costs.items():
        cells = [name]
        for _, field in columns:
            figure = getattr(cost, field)
            against = getattr(costs.get(sides.measure), field, 0.0) if name != sides.measure else 0.0
            cells.append(_shown(figure) + (f" ({figure / against:.2f}x)" if against and figure else ""))
        rows.append(cells)
    return page.table(["", *(column.head for column in columns)], rows)


def goals_table(goals: Sequence[Goal], sections: Sections, sides: Sides) -> str:
    """Every goal beside our figure."""
    rows = []
    for goal in goals:
        figure = _figure(goal, sections.get(goal.where, {}), sides)
        verdict = "not measured" if figure is None else "reached" if figure <= goal.most else "not reached"
        measured = "–" if figure is None else page.number(figure) + ("x" if goal.ratio else "")
        rows.append((goal.what, goal.wanted, measured, verdict))
    return page.table(("goal", "wanted", "measured", ""), rows)


def against_baseline(arguments: Namespace, loops: Mapping[str, float]) -> int:
    """Keep or compare our figures, in reference loops by name, as the options say; gives the exit code."""
    if arguments.write_baseline:
        reference.write(loops)
    complaints = reference.check(loops) if arguments.check else []
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _figure(goal: Goal, costs: Mapping[str, Any], sides: Sides) -> float | None:
    ours, measure = costs.get(sides.ours), costs.get(sides.measure)
    if ours is None or (goal.ratio and measure is None):
        return None
    figure: float = getattr(ours, goal.field)
    return figure / getattr(measure, goal.field) if goal.ratio else figure


def _shown(figure: float) -> str:
    return "–" if not figure or isnan(figure) else page.number(figure)
