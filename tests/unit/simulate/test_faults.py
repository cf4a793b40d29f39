"""Faults say what is wrong when, and how they are written."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.simulate.faults import EFFECTS, HEALTHY, Effect, Fault, effect_at, parse_fault

NOW = 1000.0


def test_a_fault_begins_at_its_start_and_is_over_at_its_end():
    faults = [Fault("sync-failing", 10, 20)]
    found = [effect_at(faults, at).sync_fails for at in (9.9, 10, 19.9, 20)]
    assert found == [False, True, True, False]


def test_of_several_faults_the_worst_counts():
    faults = [Fault("frozen"), Fault("unreachable", 10), Fault("metrics-refused"), Fault("sync-failing", 5)]
    assert effect_at(faults, 0) == Effect(ports="silent")
    assert effect_at(faults, 10) == Effect(sync_fails=True, ports="closed")


def test_every_fault_does_something():
    assert [name for name, effect in EFFECTS.items() if effect == HEALTHY] == []


WRITTEN = (
    # as written, node, start, end
    ("sync-failing@10.206.0.7", "10.206.0.7", -math.inf, math.inf),
    ("unreachable@3:1m", "3", NOW + 60, math.inf),
    ("frozen@3:30s:1m30s", "3", NOW + 30, NOW + 90),
    ("metrics-refused@3:-10m:0", "3", NOW - 600, NOW),
)


@pytest.mark.parametrize(("text", "node", "start", "end"), WRITTEN)
def test_times_are_durations_from_now(text: str, node: str, start: float, end: float):
    assert parse_fault(text, NOW) == (node, Fault(text.partition("@")[0], start, end))


WRONG = (
    # as written, what the message names
    ("sync-failing", "NAME@NODE"),
    ("sync-failing@", "NAME@NODE"),
    ("sync-failing@3:1m:2m:3m", "NAME@NODE"),
    ("sync-failing@3:soon", "Go duration"),
    ("sync-failed@3", "unreachable"),
)


@pytest.mark.parametrize(("text", "named"), WRONG)
def test_a_wrong_one_is_refused_with_the_rule(text: str, named: str):
    with pytest.raises(UsageError, match=named):
        parse_fault(text, NOW)
