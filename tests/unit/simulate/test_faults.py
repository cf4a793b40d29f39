"""Faults say what is wrong when, and how they are written."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.simulate.faults import EFFECTS, HEALTHY, Effect, Fault, effect_at, effect_at_start, grown, parse_fault

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
    """To the node, or to which node it is."""
    assert [name for name, row in EFFECTS.items() if row.effect == HEALTHY and not row.needs.unlike] == []


CONTRACT = (
    "sync-failing sync-hung sync-slow nft-failing api-unreachable api-unauthorized api-forbidden clock-skew "
    "fds-exhausted node-draining backlog-stuck memory-growing restarted metrics-refused frozen unreachable"
)


@pytest.mark.parametrize("name", CONTRACT.split())
def test_what_is_promised_is_there(name: str):
    assert name in EFFECTS


def test_every_fault_is_told_in_a_line_of_its_own():
    told = [row.about for row in EFFECTS.values()]
    assert len(set(told)) == len(told)
    assert max(map(len, told)) <= 90


def test_what_a_fault_makes_stays_when_it_ends():
    faults = [Fault("memory-growing", 10, 20), Fault("memory-growing", 15, 30)]
    assert [grown(faults, "leaked_bytes", 0, at) for at in (5, 10, 20, 100)] == [0, 0, 15e6, 25e6]
    assert grown(faults, "burnt_cpu_seconds", 0, 100) == 0


def test_a_start_is_not_hurt_by_what_is_only_said_to_have_always_been_there():
    """Else `api-unreachable` without START would leave a process that never opened its ports."""
    assert effect_at_start([Fault("api-unreachable")], 5).api == "works"
    assert effect_at_start([Fault("api-unreachable", 0)], 5).api == "unreachable"
    assert effect_at_start([Fault("never-synced")], 5).api == "unreachable"


def test_a_restart_without_a_time_was_a_minute_and_a_half_ago():
    assert parse_fault("restarted@3", NOW) == ("3", Fault("restarted", NOW - 90))


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
    ("sync-failing@3:5m:1m", "END is not after START"),
    ("sync-failed@3", "did you mean 'sync-failing'"),
    ("x@3", "unreachable"),
)


@pytest.mark.parametrize(("text", "named"), WRONG)
def test_a_wrong_one_is_refused_with_the_rule(text: str, named: str):
    with pytest.raises(UsageError, match=named):
        parse_fault(text, NOW)
