"""The bounded memory."""

from __future__ import annotations

from kpwatch.receive.recent import Recent


def memory(limit: int) -> Recent[str, int]:
    return Recent(limit, lambda _, value: value)


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    """An entry asked for in every generation survives any number of others."""
    recent = memory(200)
    recent.put("kept", 10)
    for number in range(1000):
        recent.put(f"n{number}", 10)
        assert recent.get("kept") == 10
    assert recent.get("n0") is None
    assert recent.forgotten > 900


def test_it_never_holds_more_than_allowed() -> None:
    """Young and old together stay under the limit, also when values are replaced."""
    recent = memory(100)
    for number in range(500):
        recent.put(f"n{number % 37}", 1 + number % 9)
        assert len(recent) <= 100
        held = sum(recent.get(f"n{key}") or 0 for key in range(37))
        assert held <= 100


def test_what_is_heavier_than_half_is_not_kept() -> None:
    """One entry cannot push out everything else."""
    recent = memory(100)
    recent.put("small", 1)
    recent.put("huge", 51)
    assert recent.get("huge") is None
    assert recent.get("small") == 1


def test_a_heavier_value_replaces_the_old_one() -> None:
    """After a put the old value is gone, kept or not."""
    recent = memory(100)
    recent.put("key", 1)
    recent.put("key", 60)
    assert recent.get("key") is None
