"""What waits for one writer: encoded scrapes in time order, bounded, in memory.

The bound is in samples and in bytes; when a new scrape does not fit, the oldest go, counted, because what is happening
now is worth more than what happened. A scrape larger than the whole bound is still kept, alone: no configuration may
make a target unsendable. A batch that was taken stays at the front until it is `settled`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpwatch.base.telemetry import Counter
    from kpwatch.model.encoded import EncodedScrape


class Queue:
    """FIFO of encoded scrapes."""

    def __init__(self, limit_samples: int, limit_bytes: int, dropped_samples: Counter) -> None:
        self._limit_samples = limit_samples
        self._limit_bytes = limit_bytes
        self._dropped_samples = dropped_samples
        self._scrapes: deque[EncodedScrape] = deque()
        self._taken = 0
        self.samples = 0
        self.size_bytes = 0

    def append(self, scrape: EncodedScrape) -> None:
        """Add the newest; drops the oldest that are not under way where there is no room."""
        self._scrapes.append(scrape)
        self.samples += scrape.samples
        self.size_bytes += len(scrape.block)
        while self._over() and len(self._scrapes) > self._taken + 1:
            oldest = self._scrapes[self._taken]
            del self._scrapes[self._taken]
            self._forget(oldest)
            self._dropped_samples.add(oldest.samples)

    def take(self, batch_samples: int) -> list[EncodedScrape]:
        """The oldest scrapes that fit in a request of `batch_samples`, at least one; [] where nothing waits."""
        batch: list[EncodedScrape] = []
        samples = 0
        for scrape in self._scrapes:
            samples += scrape.samples
            if batch and samples > batch_samples:
                break
            batch.append(scrape)
        self._taken = len(batch)
        return batch

    def settle(self) -> None:
        """The batch taken last is delivered or given up."""
        for _ in range(self._taken):
            self._forget(self._scrapes.popleft())
        self._taken = 0

    def __len__(self) -> int:
        return len(self._scrapes)

    def _forget(self, scrape: EncodedScrape) -> None:
        self.samples -= scrape.samples
        self.size_bytes -= len(scrape.block)

    def _over(self) -> bool:
        return self.samples > self._limit_samples or self.size_bytes > self._limit_bytes
