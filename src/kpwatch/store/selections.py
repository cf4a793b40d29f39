"""What a question selects, kept for who asks it again: the names it finds, and the samples of one stretch together.

A dashboard asks the same questions again and again, and PromQL's trees are remembered, so a question is known by the
identity of its matchers. Which names they find stands until names change. The samples, stacked as they are evaluated,
stand as long as nothing happened to any of these targets: no row came in, no block changed; a stretch of the same
length is then answered where it lies within the one that was read. Where all a target has was read, there is no end to
that stretch. What would take half of the cache is not kept: its columns are there already.

Everything is kept in the cache (`cache.py`), which bounds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.model.stack import batches, stacks_of
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.index import find_ever, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import Slice
    from kpwatch.model.stack import Stack
    from kpwatch.store.cache import Cache
    from kpwatch.store.catalog import Catalog, Target
    from kpwatch.store.head import Head
    from kpwatch.store.index import Found

FOUND_BYTES = 200
"""What a target costs in a list of what was found, and what a list of stacks notes of it."""
TARGETS_MAX = 4096
"""Of more targets nothing is kept: looking whether anything happened to them would take long itself."""


class _Names(NamedTuple):
    """What matchers find."""

    matchers: tuple[Matcher, ...]
    """Held, so that their identity cannot become another's."""
    version: int
    found: list[Found]


class _Samples(NamedTuple):
    """What they select between two times."""

    names: _Names
    start_ms: int
    end_ms: int
    stamps: list[tuple[Target, int, int]]
    """Of each target: how often its blocks had changed, and its newest row in the head."""
    batches: list[list[Stack]]
    steps: int
    """How many steps they are small enough for."""

    def answers(self, names: _Names, start_ms: int, end_ms: int, steps: int, head: Head) -> bool:
        if steps > self.steps or self.names is not names or start_ms < self.start_ms or end_ms > self.end_ms:
            return False
        for target, blocks_changed, newest_row in self.stamps:
            if head.last_number(target.number) != newest_row or target.blocks_changed != blocks_changed:
                return False
        return True


class Selections:
    """See the module. Thread-safe."""

    def __init__(
        self,
        catalog: Catalog,
        head: Head,
        cache: Cache,
        slices: Callable[[Sequence[Found], int, int, Callable[[], None]], Iterator[Slice]],
    ) -> None:
        """`slices` reads what was found between two times, and says where something cannot be read."""
        self._catalog = catalog
        self._head = head
        self._cache = cache
        self._slices = slices

    def stacks(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, steps: int, *, keeps: bool
    ) -> Iterator[list[Stack]]:
        """See `model.source.StackSource`; `keeps`: whether all between the times may be seen, now and later."""
        names = self._names(matchers)
        key = ("samples", id(matchers), end_ms - start_ms)
        keeps = keeps and len(names.found) <= TARGETS_MAX
        if keeps:
            known: _Samples | None = self._cache.get(key)
            if known is not None and known.answers(names, start_ms, end_ms, steps, self._head):
                yield from known.batches
                return
        # Rows first, then blocks, as queries look at them: what happens from here on is not in the stamps.
        rows = [self._head.last_number(target.number) for target, _ in names.found] if keeps else []
        stamps = [(target, target.blocks_changed, row) for (target, _), row in zip(names.found, rows, strict=False)]
        is_all = keeps and all(target.last_ms <= end_ms for target, _ in names.found)
        failures: list[None] = []
        read = self._slices(within(names.found, start_ms, end_ms), start_ms, end_ms, lambda: failures.append(None))
        kept: list[list[Stack]] = []
        size = FOUND_BYTES * len(stamps)
        for parts in batches(read, steps):
            batch = stacks_of(parts)
            size += sum(map(_size, batch))
            keeps = keeps and not failures and size <= self._cache.bytes_max // 2
            if keeps:
                kept.append(batch)
                for one in batch:
                    one.values.flags.writeable = False
            else:
                kept.clear()
            yield batch
        if keeps and not failures:
            self._cache.put(key, _Samples(names, start_ms, NEVER_MS if is_all else end_ms, stamps, kept, steps), size)

    def _names(self, matchers: tuple[Matcher, ...]) -> _Names:
        version = self._catalog.version.number
        key = ("found", id(matchers))
        known: _Names | None = self._cache.get(key)
        if known is None or known.version != version or known.matchers is not matchers:
            known = _Names(matchers, version, find_ever(self._catalog, matchers))
            self._cache.put(key, known, FOUND_BYTES * len(known.found))
        return known


def _size(one: Stack) -> int:
    """Bytes, with what it finds out about itself: its times once more, moved."""
    return one.values.nbytes + 24 * len(one.timestamps_ms)
