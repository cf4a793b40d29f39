"""What goes on from what."""

from __future__ import annotations

import pytest

from kpwatch.base.pairing import pair

LIKENESSES = (lambda item: item, lambda item: item[0])

CASES = [
    ([], [], []),
    (["a1"], [], []),
    ([], ["a1"], [None]),
    (["a1", "b1"], ["b1", "a1"], [1, 0]),
    (["a1"], ["a2"], [0]),
    (["a1"], ["a2", "a1"], [None, 0]),
    (["a1", "a2"], ["a3", "a2"], [0, 1]),
    (["a1"], ["a2", "a3"], [0, None]),
    (["a1", "a1"], ["a1", "a1"], [0, 1]),
]


@pytest.mark.parametrize(("old", "new", "partners"), CASES)
def test_pairs(old: list[str], new: list[str], partners: list[int | None]) -> None:
    """The same first, then the like; nothing is continued twice."""
    assert pair(old, new, LIKENESSES) == partners
