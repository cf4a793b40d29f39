"""Orders: the order in which a sender of 2.0 names the series of a target, as numbers. Pure.

Prometheus and its like make a symbol table for each request and cut requests anywhere, so none of their bytes come
again; zeros are omitted, so not even lengths do. What comes again is which label follows which: the numbers of ours
that stand for the texts (symbols.py). Consecutive series of a target are kept as an *order*, their numbers one after
the other. Found again it costs one comparison of arrays and no look at any series:

    request   symbols "" __name__ up ident a ...      series [1 2 3 4] [1 5 3 4] ...
    numbers   17 20 96 33 21 ...                      20 96 33 21  20 40 33 21 ...   equal to those of the order?

As with tracks (tracks.py), a request may end within an order, and the next one go on with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.recent import InOrder, Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels
    from kpwatch.receive.layouts import Column

SHORTEST_ORDER_SERIES = 16
"""Below this many series an order costs more than it saves."""
_PLACE_BYTES = 400
_SERIES_BYTES = 16
"""What a series of an order costs beside its numbers."""


class Order(NamedTuple):
    """Consecutive series of one target."""

    target: Labels
    columns: tuple[Column, ...]
    layout: Layout
    numbers: NDArray[np.int64]
    """Of all labels of all series: name, value, name, ..."""
    bounds: NDArray[np.int64]
    """Where in `numbers` each series begins, and where the last one ends; shape (series + 1,)."""

    def key(self, index: int) -> bytes:
        """What names a series."""
        return self.numbers[self.bounds[index] : self.bounds[index + 1]].tobytes()


class OrderPlace(NamedTuple):
    """Somewhere in an order."""

    order: Order
    series: int
    """The number of the series that is next."""


class Orders:
    """The orders known so far, by the series they begin with. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        seen_bytes = limit_bytes // 16
        self._places: InOrder[bytes, OrderPlace] = InOrder(limit_bytes - seen_bytes, _place_bytes)
        self._seen: Recent[bytes, bool] = Recent(seen_bytes, lambda key, _: len(key) + _PLACE_BYTES)
        self.find = self._places.get
        """Where a series with this key may stand, or None."""

    def came_before(self, key: bytes) -> bool:
        """Whether consecutive series that begin with this one were asked about before."""
        if self._seen.get(key):
            return True
        self._seen.put(key, True)
        return False

    def keep(self, order: Order) -> None:
        """Requests may follow it from its beginning."""
        self._places.put(order.key(0), OrderPlace(order, 0))

    def expect(self, order: Order, index: int) -> None:
        """Requests may go on from here."""
        self._places.put(order.key(index), OrderPlace(order, index))

    def forgotten(self) -> int:
        """How many places were dropped for want of room."""
        return self._places.forgotten


def follow(place: OrderPlace, numbers: NDArray[np.int64], bounds: NDArray[np.int64]) -> int:
    """How many of the series with these numbers and bounds are those of the order from this place on."""
    order, index = place
    known = order.bounds[index:]
    count = min(len(known), len(bounds)) - 1
    base, first = int(known[0]), int(bounds[0])
    there = bounds[: count + 1] - first
    differs = np.flatnonzero(there != known[: count + 1] - base)
    if len(differs):
        count = int(differs[0]) - 1
    length = int(there[count])
    other = np.flatnonzero(numbers[first : first + length] != order.numbers[base : base + length])
    return count if not len(other) else int(there.searchsorted(other[0], "right")) - 1


def make_order(
    target: Labels,
    layout: Layout,
    columns: Sequence[Column],
    numbers: NDArray[np.int64],
    bounds: NDArray[np.int64],
    rest: OrderPlace | None = None,
) -> Order:
    """The series with these numbers, and behind them the rest of another order."""
    numbers, bounds = numbers[bounds[0] : bounds[-1]].copy(), bounds - bounds[0]
    if rest is not None:
        other, index = rest
        base = int(other.bounds[index])
        bounds = np.concatenate((bounds, other.bounds[index + 1 :] + (len(numbers) - base)))
        numbers = np.concatenate((numbers, other.numbers[base:]))
        columns = (*columns, *other.columns[index:])
    return Order(target, tuple(columns), layout, numbers, bounds)


def _place_bytes(key: bytes, place: OrderPlace) -> int:
    order, index = place
    own = order.numbers.nbytes + _SERIES_BYTES * len(order.columns) if index == 0 else 0
    return _PLACE_BYTES + len(key) + own
