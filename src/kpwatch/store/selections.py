"""What a question selects, kept for who asks it again: the names it finds, and the samples of one stretch together.

A dashboard asks the same questions again and again, and PromQL's trees are remembered, so a question is known by the
identity of its matchers. Which names they find stands until names change. The samples, stacked as they are evaluated,
stand as long as nothing happened to any of these targets but that rows came, which are put behind (`growing.py`). A
stretch of the same length is then answered where it lies within the one that was read; where all a target has was read,
there is no end to that stretch. A shorter one is taken out of it (`cutting.py`), and kept as well. What would take a
quarter of the cache is not kept: its columns are there already.

Everything is kept in the cache (`cache.py`), which bounds it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.model.stack import batches, stacks_of
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.cutting import cut
from kpwatch.store.growing import Owners, Stamp, grown, owners_of
from kpwatch.store.index import find_ever, within

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import Slice
    from kpwatch.model.stack import Stack
    from kpwatch.store.cache import Cache
    from kpwatch.store.catalog import Catalog
    from kpwatch.store.head import Head
    from kpwatch.store.index import Found

FOUND_BYTES = 200
"""What a target costs in a list of what was found, and what a list of stacks notes of it."""
LARGE_SHARE = 4
"""What would take the part of the cache that this is the denominator of is large: one metric of 100 nodes over 24 h at
15 s takes 18 MB."""
AHEAD_MS = 300_000
"""So much further is read: the next question is of a later time, also where that is not yet now."""
TARGETS_MAX = 4096
"""Of more targets nothing is kept: looking whether anything happened to them would take long itself."""


class _Names(NamedTuple):
    """What matchers find."""

    matchers: tuple[Matcher, ...]
    """Held, so that their identity cannot become another's."""
    version: int
    found: list[Found]


class _Longest(NamedTuple):
    """The longest stretch of what they select that may be kept."""

    matchers: tuple[Matcher, ...]
    length_ms: int


class _Samples(NamedTuple):
    """What they select between two times."""

    names: _Names
    start_ms: int
    end_ms: int
    stamps: list[Stamp]
    """Of each target."""
    batches: list[list[Stack]]
    owners: list[Owners] | None
    """Of each batch; None where nothing can be put behind it."""
    steps: int
    """How many steps they are small enough for."""

    def covers(self, names: _Names, start_ms: int, end_ms: int, steps: int) -> bool:
        return steps <= self.steps and self.names is names and start_ms >= self.start_ms and end_ms <= self.end_ms

    def size(self) -> int:
        """Bytes, with what stacks find out about themselves: their times once more, moved."""
        stacks = [one for batch in self.batches for one in batch]
        return FOUND_BYTES * len(self.stamps) + sum(_size(one) for one in stacks)


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
        if keeps and (
            known := self._known(key, names, start_ms, end_ms, steps)
            or self._cut(key, names, start_ms, end_ms, steps)
        ):  # fmt: skip
            yield from known.batches
            return
        length_ms = end_ms - start_ms
        # Rows first, then blocks, as queries look at them: what happens from here on is not in the stamps.
        rows = [self._head.last_number(target.number) for target, _ in names.found] if keeps else []
        stamps = [
            Stamp(target, target.blocks_changed, row, columns)
            for (target, columns), row in zip(names.found, rows, strict=False)
        ]
        if keeps:
            end_ms += AHEAD_MS
        is_all = keeps and _ends_before(names, end_ms)
        failures: list[None] = []
        read = self._slices(within(names.found, start_ms, end_ms), start_ms, end_ms, lambda: failures.append(None))
        kept: list[list[Stack]] = []
        owners: list[Owners | None] = []
        size = 0
        for parts in batches(read, steps):
            batch = stacks_of(parts)
            size += sum(map(_size, batch))
            keeps = keeps and not failures and size <= self._cache.bytes_max // LARGE_SHARE
            if keeps:
                kept.append(batch)
                owners.append(owners_of(parts, names.found) if is_all else None)
                for one in batch:
                    one.values.flags.writeable = False
            else:
                kept.clear()
            yield batch
        if keeps and not failures:
            end_ms = NEVER_MS if is_all else end_ms
            all_owners = [one for one in owners if one is not None]
            can_grow = is_all and len(all_owners) == len(owners)
            made = _Samples(names, start_ms, end_ms, stamps, kept, all_owners if can_grow else None, steps)
            self._cache.put(key, made, made.size())
            self._note_length(matchers, length_ms)

    def _known(self, key: Hashable, names: _Names, start_ms: int, end_ms: int, steps: int) -> _Samples | None:
        """What is kept, with the rows that came since."""
        known: _Samples | None = self._cache.get(key)
        if known is None or not known.covers(names, start_ms, end_ms, steps):
            return None
        if all(stamp.is_true(self._head) for stamp in known.stamps):
            return known
        longer = grown(known.batches, known.owners, known.stamps, self._head) if known.owners is not None else None
        if longer is None:
            return None
        known = known._replace(batches=longer[0], stamps=longer[1])
        self._cache.put(key, known, known.size())
        return known

    def _note_length(self, matchers: tuple[Matcher, ...], length_ms: int) -> None:
        """A longer one stays noted as long as it is kept."""
        noted = self._longest(matchers)
        if noted <= length_ms or self._cache.get(("samples", id(matchers), noted)) is None:
            self._cache.put(("longest", id(matchers)), _Longest(matchers, length_ms), 0)

    def _longest(self, matchers: tuple[Matcher, ...]) -> int:
        """Of what may be kept of these matchers; -1 where nothing is."""
        noted: _Longest | None = self._cache.get(("longest", id(matchers)))
        return noted.length_ms if noted is not None and noted.matchers is matchers else -1

    def _cut(self, key: Hashable, names: _Names, start_ms: int, end_ms: int, steps: int) -> _Samples | None:
        """What is kept of a longer stretch, as far as it is wanted; kept as well."""
        length_ms = self._longest(names.matchers)
        if length_ms <= end_ms - start_ms:
            return None
        end_ms += AHEAD_MS
        known = self._known(("samples", id(names.matchers), length_ms), names, start_ms, end_ms, 0)
        if known is None:
            return None
        is_all = known.owners is not None and _ends_before(names, end_ms)
        pieces = cut(known.batches, known.owners if is_all else None, start_ms, end_ms, steps)
        batches = [[one for one, _ in batch] for batch in pieces]
        owners = [[places for _, places in batch if places is not None] for batch in pieces] if is_all else None
        end_ms = NEVER_MS if is_all else end_ms
        for one in chain.from_iterable(batches):
            one.values.flags.writeable = False
        made = _Samples(names, start_ms, end_ms, known.stamps, batches, owners, steps)
        self._cache.put(key, made, made.size())
        return made

    def _names(self, matchers: tuple[Matcher, ...]) -> _Names:
        version = self._catalog.version.number
        key = ("found", id(matchers))
        known: _Names | None = self._cache.get(key)
        if known is None or known.version != version or known.matchers is not matchers:
            known = _Names(matchers, version, find_ever(self._catalog, matchers))
            self._cache.put(key, known, FOUND_BYTES * len(known.found))
        return known


def _ends_before(names: _Names, end_ms: int) -> bool:
    return all(target.last_ms <= end_ms for target, _ in names.found)


def _size(one: Stack) -> int:
    return one.values.nbytes + 24 * len(one.timestamps_ms)
