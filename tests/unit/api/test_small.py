"""Which queries the event loop answers itself."""

from __future__ import annotations

import math

from kpwatch.api.small import FIRST_SECONDS_MAX, SECONDS_MAX, TEXT_CHARACTERS_MAX, TEXTS_KEPT, SmallQueries


def test_what_was_answered_quickly_the_last_time() -> None:
    """Never before the first answer, nor after a slow one or none."""
    small = SmallQueries()
    assert "up" not in small
    for seconds, expected in ((SECONDS_MAX, True), (SECONDS_MAX * 2, False), (0.0, True), (math.inf, False)):
        small.took("up", seconds)
        assert ("up" in small) is expected


def test_a_first_answer_may_take_longer() -> None:
    """It reads what the next finds in memory; a second one that takes as long is a thread's."""
    small = SmallQueries()
    for seconds, expected in ((FIRST_SECONDS_MAX, True), (FIRST_SECONDS_MAX, False), (FIRST_SECONDS_MAX, False)):
        small.took("up", seconds)
        assert ("up" in small) is expected
    small.took("down", FIRST_SECONDS_MAX * 2)
    assert "down" not in small


def test_what_is_remembered_is_bounded() -> None:
    """In number and length."""
    small = SmallQueries()
    small.took("x" * (TEXT_CHARACTERS_MAX + 1), 0.0)
    for number in range(TEXTS_KEPT + 1):
        small.took(str(number), 0.0)
    assert ("0" in small, "1" in small, len(small._texts)) == (False, True, TEXTS_KEPT)
