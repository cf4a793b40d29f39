"""What of a new list goes on from an old one: the same thing, else the same by a weaker likeness."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

T = TypeVar("T")


def pair(old: Sequence[T], new: Sequence[T], likenesses: Sequence[Callable[[T], Hashable]]) -> list[int | None]:
    """For each of `new` the index of the one of `old` it continues, or None; no old one is continued twice.

    Likenesses are tried from the strongest to the weakest over all of `new`, so that a weak one never takes what
    another has a stronger claim to.
    """
    partners: list[int | None] = [None] * len(new)
    free = dict.fromkeys(range(len(old)))
    for likeness in likenesses:
        by_key: dict[Hashable, list[int]] = {}
        for index in free:
            by_key.setdefault(likeness(old[index]), []).append(index)
        for number, item in enumerate(new):
            if partners[number] is None and (candidates := by_key.get(likeness(item))):
                partners[number] = candidates.pop(0)
        for partner in partners:
            if partner is not None:
                free.pop(partner, None)
    return partners
