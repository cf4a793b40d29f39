"""The bounded memory."""

from __future__ import annotations

import pytest

from kpwatch.base.recent import InOrder, Recent


def memory(limit: int, kind: type = Recent) -> Recent[str, int]:
    return kind(limit, lambda _, value: value)


KINDS = pytest.mark.parametrize("kind", [Recent, InOrder])


@KINDS
def test_what_is_used_stays_and_what_is_not_goes(kind: type) -> None:
    """An entry asked for in every generation survives any number of others."""
    recent = memory(200, kind)
    recent.put("kept", 10)
    for number in range(1000):
        recent.put(f"n{number}", 10)
        assert recent.get("kept") == 10
    assert recent.get("n0") is None
    assert recent.forgotten > 900


@KINDS
def test_it_never_holds_more_than_allowed(kind: type) -> None:
    """Young and old together stay under the limit, also when values are replaced."""
    recent = memory(100, kind)
    for number in range(500):
        recent.put(f"n{number % 37}", 1 + number % 9)
        assert len(recent) <= 100
        held = sum(recent.get(f"n{key}") or 0 for key in range(37))
        assert held <= 100


@KINDS
def test_what_is_heavier_than_half_is_not_kept(kind: type) -> None:
    """One entry cannot push out everything else."""
    recent = memory(100, kind)
    recent.put("small", 1)
    recent.put("huge", 51)
    assert recent.get("huge") is None
    assert recent.get("small") == 1


@KINDS
def test_a_heavier_value_replaces_the_old_one(kind: type) -> None:
    """After a put the old value is gone, kept or not."""
    recent = memory(100, kind)
    recent.put("key", 1)
    recent.put("key", 60)
    assert recent.get("key") is None


def test_who_goes_round_finds_everything_within_the_limit() -> None:
    """And where it is not within the limit, what was not used for longest goes first."""
    recent = memory(100, InOrder)
    for _ in range(3):
        for number in range(10):
            if recent.get(f"n{number}") is None:
                recent.put(f"n{number}", 10)
    assert len(recent) == 10
    assert recent.forgotten == 0
    recent.get("n0")
    recent.put("new", 10)
    assert recent.get("n1") is None
    assert recent.get("n0") == 10
