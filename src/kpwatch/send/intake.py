"""What a writer sends next: taken from its queue, in the form and the portions that its receiver can take.

A *batch* is what was taken, as the *pieces* that go out one by one: a request each, and a single one unless a scrape
was too large. What is too old, what rules leave out and what would come too soon for a receiver that restamps is left
out here, and counted once the batch is settled: a batch that was not delivered is given back and decided anew.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from kpwatch.base.named import NamedTuple
from kpwatch.send.options import RESTAMPED_MAX_AGE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.clock import Clock
    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.model.encoded import Protocol as Version
    from kpwatch.send.options import WriterOptions
    from kpwatch.send.relabelling import Relabelling
    from kpwatch.send.restamped import OnePerSecond

GIVEN_UP_AT_ONCE_SAMPLES = 100_000
"""Of a backlog that is too old; more is for the next turn of the loop."""

NO_LIMIT = 1 << 40
_GROWTH = 64
"""After a 413 a request may again be larger by one part in so many with each delivery."""


class Batches(Protocol):
    """What a writer needs of a queue."""

    form: Form
    """How its scrapes are to be encoded."""

    @property
    def samples(self) -> int:
        """Samples that wait."""
        ...

    def take(self, batch_samples: int, *, batch_scrapes: int = ...) -> list[EncodedScrape]:
        """The oldest scrapes; they stay until `settle`."""
        ...

    def drop_older(self, timestamp_ms: int, most_samples: int) -> int:
        """Give up what waits first, as far as its scrapes are older; gives the samples."""
        ...

    def settle(self) -> None:
        """What was taken is delivered or given up."""
        ...

    @property
    def survives(self) -> bool:
        """Whether what waits will be there for the next process."""
        ...


Piece = list["EncodedScrape"]


class Batch(NamedTuple):
    """What was taken from the queue; whoever sends takes pieces off it."""

    scrapes: list[EncodedScrape]
    """Those that go out, as they waited."""
    pieces: list[Piece]
    """What is still to be sent."""
    whole: int
    """How many pieces there were at first."""
    left_out: Counter[str]
    """Samples by reason."""
    late: dict[int, list[EncodedScrape]]
    """Source -> scrapes left out whose staleness markers the next one of that source has to say."""
    taken_at_seconds: float

    @property
    def untouched(self) -> bool:
        """Whether nothing of it was delivered yet."""
        return len(self.pieces) == self.whole


def samples_of(piece: Piece) -> int:
    """How many samples a request holds."""
    return sum(scrape.samples for scrape in piece)


class Intake:
    """One writer's side of its queue."""

    def __init__(
        self,
        queue: Batches,
        options: WriterOptions,
        batch_samples: int,
        clock: Clock,
        leave_out: Callable[[str, int], None],
    ) -> None:
        """`leave_out` is told why how many samples are not sent. Raises ConfigError where a relabel rule cannot be."""
        self._queue = queue
        self._clock = clock
        self._spacing: OnePerSecond | None = None
        self._late: dict[int, list[EncodedScrape]] = {}
        self.limit_samples = NO_LIMIT
        """Of a request, as 413 teaches."""
        self._leave_out = leave_out
        self.change(options, batch_samples)

    def change(self, options: WriterOptions, batch_samples: int) -> None:
        """Take in another way from now on."""
        self._options = options
        self._batch_samples = batch_samples
        self._relabelling = _relabelling(options)

    def drop_too_old(self, version: Version) -> int:
        """Give up what is older than it may be, at most about GIVEN_UP_AT_ONCE_SAMPLES; gives the samples."""
        age_seconds = self.max_age_seconds(version)
        if not age_seconds:
            return 0
        oldest_ms = self._clock.unix_ms() - round(age_seconds * 1000)
        dropped = self._queue.drop_older(oldest_ms, GIVEN_UP_AT_ONCE_SAMPLES)
        if dropped:
            self._leave_out("too_old", dropped)
        return dropped

    def max_age_seconds(self, version: Version) -> float:
        """How old samples may be; 0: as old as they are."""
        default = RESTAMPED_MAX_AGE_SECONDS if self._restamps(version) else 0.0
        return self._options.max_backfill_age_seconds or default

    def take(self, version: Version) -> Batch | float:
        """The next batch; where nothing may go yet, how many seconds until something may; 0.0 where nothing waits."""
        limit_samples = min(self._batch_samples, self.limit_samples)
        scrapes = self._queue.take(limit_samples, batch_scrapes=1 if version == "2.0" else 1 << 30)
        if not scrapes:
            return 0.0
        now_seconds = self._clock.monotonic_seconds()
        left_out: Counter[str] = Counter()
        late: dict[int, list[EncodedScrape]] = {}
        if self._restamps(version):
            plan = self._one_per_second().plan(scrapes, now_seconds)
            if not plan.scrapes:
                return plan.wait_seconds
            if plan.scrapes < len(scrapes):
                scrapes = self._queue.take(limit_samples, batch_scrapes=plan.scrapes)
            for index in plan.left_out:
                left_out["one_per_second"] += scrapes[index].samples
                late.setdefault(scrapes[index].source, []).append(scrapes[index])
            scrapes = [scrape for index, scrape in enumerate(scrapes) if index not in plan.left_out]
        pieces = self._pieces(self._shaped(scrapes, version, left_out), version)
        return Batch(scrapes, pieces, len(pieces), left_out, late, now_seconds)

    def settle(self, batch: Batch) -> None:
        """Everything of a batch is delivered or given up."""
        for reason, samples in batch.left_out.items():
            self._leave_out(reason, samples)
        if self._spacing is not None:
            self._spacing.sent(batch.scrapes, batch.taken_at_seconds)
            for scrape in batch.scrapes:
                self._late.pop(scrape.source, None)
            for source, scrapes in batch.late.items():
                self._late[source] = [*self._late.get(source, ()), *scrapes]
        self._queue.settle()

    def grow(self) -> None:
        """A request was delivered: the next may be a little larger again."""
        if self.limit_samples < NO_LIMIT:
            self.limit_samples += self.limit_samples // _GROWTH + 1

    def smaller(self, batch: Batch, version: Version) -> Batch | None:
        """The receiver found the first piece too large: what to send instead; None: take anew, less at once.

        A piece that cannot be made smaller stays as it is.
        """
        piece = batch.pieces[0]
        self.limit_samples = max(min(samples_of(piece), self.limit_samples) // 2, 1)
        if len(piece) > 1:
            return None
        pieces = self._split(piece[0], version)
        return batch._replace(pieces=[*pieces, *batch.pieces[1:]], whole=batch.whole + len(pieces) - 1)

    def _restamps(self, version: Version) -> bool:
        wish = self._options.restamps
        return wish == "yes" or (wish == "auto" and self._options.has_nightingales_path and version == "1.0")

    def _one_per_second(self) -> OnePerSecond:
        if self._spacing is None:
            from kpwatch.send.restamped import OnePerSecond  # noqa: PLC0415 - for Nightingale alone

            self._spacing = OnePerSecond()
        return self._spacing

    def _shaped(self, scrapes: list[EncodedScrape], version: Version, left_out: Counter[str]) -> list[EncodedScrape]:
        """Scrapes as this receiver gets them: with ends that are still to be said, under its own names."""
        if self._late:
            from kpwatch.send.shape import with_ends  # noqa: PLC0415 - few writers leave anything out

            scrapes = [with_ends(scrape, self._late.get(scrape.source, ()), version) for scrape in scrapes]
        if self._relabelling is not None:
            scrapes = [self._relabelling.shape(scrape, version, left_out) for scrape in scrapes]
        return [scrape for scrape in scrapes if scrape.samples]

    def _pieces(self, scrapes: list[EncodedScrape], version: Version) -> list[Piece]:
        """Requests: all scrapes in one, unless a single one is too large already."""
        if len(scrapes) == 1 and scrapes[0].samples > self.limit_samples:
            return self._split(scrapes[0], version)
        return [scrapes] if scrapes else []

    def _split(self, scrape: EncodedScrape, version: Version) -> list[Piece]:
        from kpwatch.send.shape import split  # noqa: PLC0415 - hardly ever is a scrape too large

        return [[piece] for piece in split(scrape, version, self.limit_samples)]


def _relabelling(options: WriterOptions) -> Relabelling | None:
    if not options.relabel:
        return None
    from kpwatch.send.relabelling import Relabelling  # noqa: PLC0415 - few writers have rules

    return Relabelling(options.relabel)
