"""For receivers that write their own clock's time over the samples': which scrapes may go now.

Nightingale does so unless told otherwise (`ForceUseServerTS`): whole seconds of a ticker, and of two samples of a
series that get one time the first is kept and the second is gone, after a 200. So a series goes there once a second at
most: of scrapes that began within one second the first goes, and of what waits longer a second passes between two of
one target. What is left out is counted; the ends of series that it says (staleness markers) are said by the next one
that goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.encoded import EncodedScrape

SPACING_SECONDS = 1.0
_FORGET_ABOVE = 4096


class _Last(NamedTuple):
    second: int
    """Of the scrape's timestamp."""
    sent_at_seconds: float


class Plan(NamedTuple):
    """What of a batch may go."""

    scrapes: int
    """How many from its beginning are decided: sent or left out."""
    left_out: frozenset[int]
    """Indices among them."""
    wait_seconds: float
    """How long until more may go, where nothing is decided."""


class OnePerSecond:
    """Remembers what went last, per source of scrapes."""

    def __init__(self) -> None:
        self._last: dict[int, _Last] = {}

    def plan(self, batch: Sequence[EncodedScrape], now_seconds: float) -> Plan:
        """Decide on a batch, in its order."""
        here: dict[int, int] = {}
        left_out = set()
        for index, scrape in enumerate(batch):
            second, source = scrape.timestamp_ms // 1000, scrape.source
            last = self._last.get(source)
            if source and (here.get(source) == second or (last is not None and last.second == second)):
                left_out.add(index)
                continue
            since_seconds = now_seconds - last.sent_at_seconds if last is not None else SPACING_SECONDS
            if source and (source in here or since_seconds < SPACING_SECONDS):
                return Plan(index, frozenset(left_out), max(SPACING_SECONDS - since_seconds, 0.0))
            here[source] = second
        return Plan(len(batch), frozenset(left_out), 0.0)

    def sent(self, scrapes: Sequence[EncodedScrape], now_seconds: float) -> None:
        """These were delivered; they went out at `now_seconds`."""
        for scrape in scrapes:
            self._last[scrape.source] = _Last(scrape.timestamp_ms // 1000, now_seconds)
        if len(self._last) > _FORGET_ABOVE:
            oldest_seconds = now_seconds - 2 * SPACING_SECONDS
            self._last = {source: last for source, last in self._last.items() if last.sent_at_seconds > oldest_seconds}
