"""Bounded memories of what was used lately. Pure.

`Recent` has two generations: what is put or found goes into the young one; when that holds half of what is allowed,
it becomes the old one and the former old one is forgotten. So an entry survives as long as it is used at least once a
generation, and every operation is one or two dict lookups. But whoever goes round and round through more than half of
the limit finds nothing any more: for few large entries there is `InOrder`, which forgets what was used least recently.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that forgets; `weigh` says what an entry costs, in the limit's unit, for the most part bytes.

    Threads that share it without a lock may forget what they put at the same time, and find nothing that is wrong.
    """

    __slots__ = ("_half", "_old", "_weigh", "_young", "_young_weight", "forgotten")

    def __init__(self, limit: int, weigh: Callable[[Key, Value], int]) -> None:
        self._half = limit // 2
        self._weigh = weigh
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._young_weight = 0
        self.forgotten = 0
        """Entries that were dropped for want of room."""

    def get(self, key: Key) -> Value | None:
        """The value, now young again; None where it is not remembered."""
        value = self._young.get(key)
        if value is None and self._old:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def get_many(self, keys: Sequence[Key]) -> list[Value | None]:
        """The values that are young, in less time; the others are to be asked for one by one."""
        return list(map(self._young.get, keys))

    def put(self, key: Key, value: Value) -> None:
        """Remember `value`; an entry heavier than half of the limit is not remembered at all."""
        weight = self._weigh(key, value)
        self.drop(key)
        if weight > self._half:
            self.forgotten += 1
            return
        if self._young_weight + weight > self._half:
            self.forgotten += len(self._old)
            self._old, self._young, self._young_weight = self._young, {}, 0
        self._young[key] = value
        self._young_weight += weight

    def drop(self, key: Key) -> None:
        """Forget `key`, which may be unknown."""
        value = self._young.pop(key, None)
        if value is not None:
            self._young_weight -= self._weigh(key, value)
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class InOrder(Generic[Key, Value]):
    """The same mapping, with exact order and the whole limit for use."""

    __slots__ = ("_entries", "_limit", "_weigh", "forgotten", "weight")

    def __init__(self, limit: int, weigh: Callable[[Key, Value], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self.weight = 0
        """Of all entries."""
        self.forgotten = 0
        """Entries that were dropped for want of room."""

    def get(self, key: Key) -> Value | None:
        """The value, now the last to be forgotten; None where it is not remembered."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember `value`; an entry heavier than half of the limit is not remembered at all."""
        weight = self._weigh(key, value)
        self.drop(key)
        if 2 * weight > self._limit:
            self.forgotten += 1
            return
        self._entries[key] = value
        self.weight += weight
        while self.weight > self._limit:
            self.forgotten += 1
            self.drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        """Forget `key`, which may be unknown."""
        value = self._entries.pop(key, None)
        if value is not None:
            self.weight -= self._weigh(key, value)

    def __len__(self) -> int:
        return len(self._entries)
