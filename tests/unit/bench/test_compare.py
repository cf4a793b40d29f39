"""What a bench prints and when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.lib import compare, reference
from bench.lib.compare import Column, Goal, Sides

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Cost(NamedTuple):
    """A figure."""

    cpu: float


SIDES = Sides("ours", "peer")
COSTS = {"ours": Cost(1.0), "peer": Cost(4.0)}


def test_medians_are_taken_figure_by_figure() -> None:
    """One outlier does not count."""
    assert compare.medians([Cost(1.0), Cost(9.0), Cost(2.0)]) == Cost(2.0)


def test_a_table_shows_ratios_to_the_measure_only() -> None:
    """Not of the measure to itself."""
    lines = compare.table(COSTS, [Column("CPU", "cpu")], SIDES).split("\n")
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["1.00 (0.25x)", "4.00"]


def test_a_goal_is_reached_missed_or_not_measured() -> None:
    """By the figure or by its ratio."""
    cases = (
        (Goal("", "", 0.5, "here", "cpu", ratio=True), COSTS, "reached"),
        (Goal("", "", 0.5, "here", "cpu"), COSTS, "not reached"),
        (Goal("", "", 0.5, "here", "cpu", ratio=True), {"ours": Cost(1.0)}, "not measured"),
        (Goal("", "", 0.5, "elsewhere", "cpu"), COSTS, "not measured"),
    )
    for goal, costs, verdict in cases:
        last = compare.goals_table([goal], {"here": costs}, SIDES).split("\n")[-1]
        assert last.split("|")[-2].strip() == verdict


def test_a_figure_far_above_its_baseline_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half as much again is allowed; what has no baseline passes."""
    monkeypatch.setattr(reference, "BASELINE", tmp_path / "baseline.json")
    assert reference.check({"new": 7.0}) == []
    reference.write({"old": 2.0})
    assert reference.check({"old": 2.9, "new": 7.0}) == []
    (complaint,) = reference.check({"old": 3.1})
    assert complaint.startswith("old: 3.1 reference loops, the baseline is 2;")
