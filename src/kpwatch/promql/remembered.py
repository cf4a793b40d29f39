"""What was worked out of many label sets, for the next query that meets the same ones.

Grouping thousands of series means looking at every label of each, which costs more than adding up their numbers. But a
dashboard asks the same again, and a store hands out the same objects again (its cache has them): then so do the
functions here, and a sequence is recognised by the identities of its members; one that cannot change, such as a tuple,
by its own, which takes no look at its members. An entry holds what it was made of, so that none of these identities can
become somebody else's. How many label sets are held is bounded; what is asked for stays (`base/recent.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from kpwatch.base.recent import Recent
from kpwatch.model.source import OfTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from kpwatch.model.labels import Labels

LABEL_SETS_KEPT = 1 << 17
LABEL_SETS_MAX = 1 << 15
"""Longer sequences are not remembered: no dashboard shows them."""

Result = TypeVar("Result")
More = ParamSpec("More")


_Known: TypeAlias = "tuple[Sequence[Labels], Any]"

_MEMORY: Recent[Hashable, _Known] = Recent(LABEL_SETS_KEPT, lambda _, known: len(known[0]) + 1)
_OF_SEQUENCES: Recent[Hashable, _Known] = Recent(LABEL_SETS_KEPT, lambda _, known: len(known[0]) + 1)
"""Both are shared by threads; the second has the answers of the first by what was asked about, where that stands."""
_STANDING = frozenset((tuple, OfTarget))
"""Types whose members stay the same."""


def remembered(
    work: Callable[Concatenate[Sequence[Labels], More], Result],
) -> Callable[Concatenate[Sequence[Labels], More], Result]:
    """`work` (pure, of label sets and of what can be hashed), which is not done again for the same label sets."""

    def known_or_worked_out(labels: Sequence[Labels], /, *more: More.args, **named: More.kwargs) -> Result:
        if len(labels) > LABEL_SETS_MAX:
            return work(labels, *more, **named)
        names = tuple(named.items())
        is_standing = type(labels) in _STANDING
        found = _OF_SEQUENCES.get((work, id(labels), more, names)) if is_standing else None
        if found is None:
            key = (work, more, names, tuple(map(id, labels)))
            found = _MEMORY.get(key)
            if found is None:
                held = tuple(labels)
                found = held, work(held, *more, **named)
                _MEMORY.put(key, found)
            if is_standing:
                _OF_SEQUENCES.put((work, id(labels), more, names), (labels, found[1]))
        result: Result = found[1]
        return result

    return known_or_worked_out
