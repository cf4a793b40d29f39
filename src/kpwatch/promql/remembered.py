"""What was worked out of many label sets, for the next query that meets the same ones.

Grouping thousands of series means looking at every label of each, which costs more than adding up their numbers. But a
dashboard asks the same again, and a store hands out the same objects again (its cache has them): then so do the
functions here, and a sequence is recognised by the identities of its members. An entry holds its label sets, so that
none of these identities can become somebody else's. How many label sets are held is bounded: entries live in two
generations, what is asked for moves to the younger one, and when that is full the older one is let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.labels import Labels

GENERATION_LABEL_SETS = 1 << 16
LABEL_SETS_MAX = 1 << 15
"""Longer sequences are not remembered: no dashboard shows them."""

_Entries: TypeAlias = "dict[Any, tuple[tuple[Labels, ...], Any]]"
Result = TypeVar("Result")
More = ParamSpec("More")


class _Memory:
    """Shared by threads, without a lock: what two of them do at once may be forgotten, but is never wrong."""

    def __init__(self) -> None:
        self._young: _Entries = {}
        self._old: _Entries = {}
        self._held = 0
        """Label sets of the young ones."""

    def get(self, key: Any) -> tuple[tuple[Labels, ...], Any] | None:
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, *found)
        return found

    def put(self, key: Any, labels: tuple[Labels, ...], value: Any) -> None:
        if self._held + len(labels) > GENERATION_LABEL_SETS:
            self._old, self._young, self._held = self._young, {}, 0
        self._held += len(labels) + 1
        self._young[key] = (labels, value)


_MEMORY = _Memory()


def remembered(
    work: Callable[Concatenate[Sequence[Labels], More], Result],
) -> Callable[Concatenate[Sequence[Labels], More], Result]:
    """`work` (pure, of label sets and of what can be hashed), which is not done again for the same label sets."""

    def known_or_worked_out(labels: Sequence[Labels], /, *more: More.args, **named: More.kwargs) -> Result:
        if len(labels) > LABEL_SETS_MAX:
            return work(labels, *more, **named)
        key = (work, more, tuple(named.items()), tuple(map(id, labels)))
        found = _MEMORY.get(key)
        if found is None:
            held = tuple(labels)
            found = held, work(held, *more, **named)
            _MEMORY.put(key, *found)
        result: Result = found[1]
        return result

    return known_or_worked_out
