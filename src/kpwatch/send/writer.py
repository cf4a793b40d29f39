r"""Delivers one queue to one receiver, one request at a time, so that every series arrives in time order.

    IDLE -> (something waits, after a moment for company) -> SENDING -> delivered or dropped -> IDLE
                                                                  \-> retry -> WAITING (pause grows) -> SENDING
                                                                  \-> smaller, another version, elsewhere -> SENDING

Writers are independent: a dead receiver fills its own queue and nobody else's. The pause grows from `retry_min_seconds`
to `retry_max_seconds`, with jitter so that a fleet does not come back in step.

A *batch* is what was taken from the queue, as the *pieces* that go out one by one: a single one, unless a scrape was
too large. A batch that was not delivered is given back and taken anew, so that what a new try sends is decided then: by
the version that is known by then, and by what is too old.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, redact_url
from kpwatch.remote_write import snappy
from kpwatch.send.answers import (
    HOLD_MAX_SECONDS,
    HOLD_MIN_SECONDS,
    Fate,
    describe,
    fate_of,
    retry_after_seconds,
)
from kpwatch.send.options import RESTAMPED_MAX_AGE_SECONDS
from kpwatch.send.protocol import Negotiation, samples_written, says_what_it_wrote
from kpwatch.send.request import request_headers
from kpwatch.send.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.send.options import WriterOptions
    from kpwatch.send.restamped import OnePerSecond
    from kpwatch.send.shape import Relabelling

LINGER_SECONDS = 0.1
"""How long the first scrape of a batch waits for others that end about now; the original's flush takes as long."""

GIVEN_UP_AT_ONCE_SAMPLES = 100_000
"""Of a backlog that is too old; more is for the next turn of the loop."""

_NO_LIMIT = 1 << 40
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


class _Batch(NamedTuple):
    """What was taken from the queue."""

    scrapes: list[EncodedScrape]
    """Those that go out, as they wait."""
    pieces: list[list[EncodedScrape]]
    """What is still to be sent: a request each."""
    whole: int
    """How many pieces there were at first."""
    left_out: Counter[str]
    ends: dict[int, list[EncodedScrape]]
    """Source -> scrapes left out, whose staleness markers the next one of that source has to say."""
    sent_at_seconds: float


class Writer:
    """Sends what waits in `queue`; call `notice` after adding to it."""

    def __init__(
        self,
        options: WriterOptions,
        queue: Batches,
        batch_samples: int,
        *,
        loop: Loop,
        log: Logger,
        registry: Registry,
        jitter: Callable[[], float],
    ) -> None:
        """`queue.form` must ask for the `first_version` of `options.protocol`."""
        self._queue = queue
        self._loop = loop
        self._log = log
        self._jitter = jitter
        self._new_way: tuple[WriterOptions, int] | None = None
        self._negotiation = Negotiation(options.protocol)
        self._set_out(options, batch_samples)
        self._spacing: OnePerSecond | None = None
        self._unsaid: dict[int, list[EncodedScrape]] = {}
        """Source -> scrapes that were left out and may say an end."""
        self._limit_samples = _NO_LIMIT
        """Of a request, as 413 teaches."""
        self._timer: Timer | None = None
        self._pause_seconds = 0.0
        self._retry_seconds = 0.0
        self._hold_seconds = 0.0
        self._shown_url = redact_url(options.url)
        self._registry = registry
        label = {"url": self._shown_url}
        self._delivered = registry.counter("kpwatch_agent_samples_delivered_total", "Samples acknowledged.", **label)
        self._dropped = registry.counter(
            "kpwatch_agent_samples_refused_total", "Samples the receiver refused.", **label
        )
        self._retries = registry.counter("kpwatch_agent_write_retries_total", "Requests sent again.", **label)
        self._sent_bytes = registry.counter("kpwatch_agent_write_bytes_total", "Compressed bytes sent.", **label)
        for version in ("1.0", "2.0"):
            registry.gauge(
                "kpwatch_agent_writer_protocol_info",
                "Version of Remote Write that is in use: 1.",
                partial(self._speaks, version),
                protocol=version,
                **label,
            )

    def _set_out(self, options: WriterOptions, batch_samples: int) -> None:
        self.options = options
        self._batch_samples = batch_samples
        self._route = Route(options, self._loop)
        self._relabelling = _relabelling(options)
        self._batch: _Batch | None = None

    def change(self, options: WriterOptions, batch_samples: int) -> None:
        """Deliver in another way, to the same URL, from the next request on; a pause after a failure ends."""
        changed = (options, batch_samples) != (self.options, self._batch_samples)
        self._new_way = (options, batch_samples) if changed else None
        self._turn_over()

    def _turn_over(self) -> None:
        if self._new_way is None or self.busy:
            return
        (options, batch_samples), self._new_way = self._new_way, None
        self._route.close()
        if options.protocol != self.options.protocol:
            self._negotiation = Negotiation(options.protocol)
            self._queue.form = self._queue.form._replace(protocol=self._negotiation.version)
        self._set_out(options, batch_samples)
        self._pause_seconds = self._retry_seconds = self._hold_seconds = 0.0
        self.notice()

    def _speaks(self, version: str) -> float:
        return float(self._negotiation.version == version)

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._route.busy

    @property
    def idle(self) -> bool:
        """Whether everything handed over is delivered or given up."""
        return self._queue.samples == 0 and not self.busy

    def notice(self) -> None:
        """Something was added to the queue."""
        if self.busy or self._pause_seconds:
            return
        if self._queue.samples >= self._batch_samples or self._negotiation.version == "2.0":
            self._arm(0.0)
        elif self._timer is None:
            self._arm(LINGER_SECONDS)

    def hurry(self) -> None:
        """Try now what waits: the agent is about to end."""
        if not self.busy and self._queue.samples:
            self._pause_seconds = 0.0
            self._arm(0.0)

    def let_go(self) -> None:
        """No request any more; one under way is dropped."""
        if self._timer is not None:
            self._timer.cancel()
        self._route.close()

    def close(self) -> None:
        """`let_go`, and what was not acknowledged is said."""
        self.let_go()
        if self._queue.samples and self._queue.survives:
            self._log.info(f"{self._queue.samples} samples for {self._shown_url} wait in the spool for the next start")
        elif self._queue.samples:
            self._log.error(f"{self._queue.samples} samples for {self._shown_url} were not delivered before the end")

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._send)

    # What goes next.

    @property
    def _restamps(self) -> bool:
        wish = self.options.restamps
        return wish == "yes" or (
            wish == "auto" and self.options.has_nightingales_path and self._negotiation.version == "1.0"
        )

    def _send(self) -> None:
        self._timer = None
        self._pause_seconds = 0.0
        if self._batch is None and not self._drop_what_is_too_old():
            self._batch = self._take()
        if self._batch is None:
            return
        if self._batch.pieces:
            self._post(self._batch.pieces[0])
            return
        self._settle(self._batch)  # rules leave nothing of it
        self._batch = None
        if self._queue.samples:
            self._arm(0.0)

    def _drop_what_is_too_old(self) -> bool:
        """Whether there is more to drop before anything is sent; then it goes on by itself."""
        age_seconds = self.options.max_backfill_age_seconds or (RESTAMPED_MAX_AGE_SECONDS if self._restamps else 0.0)
        if not age_seconds:
            return False
        oldest_ms = self._loop.clock.unix_ms() - round(age_seconds * 1000)
        dropped = self._queue.drop_older(oldest_ms, GIVEN_UP_AT_ONCE_SAMPLES)
        if not dropped:
            return False
        self._count_left_out("too_old", dropped)
        self._log.warning(
            f"{dropped} samples for {self._shown_url} are older than {age_seconds:g} s and were dropped "
            "(max_backfill_age)",
            about=f"too old {self._shown_url}",
        )
        if dropped >= GIVEN_UP_AT_ONCE_SAMPLES:
            self._arm(0.0)
            return True
        return False

    def _take(self) -> _Batch | None:
        """The next batch, or None where nothing waits or nothing may go yet."""
        version = self._negotiation.version
        limit_samples = min(self._batch_samples, self._limit_samples)
        most_scrapes = 1 if version == "2.0" else 1 << 30
        scrapes = self._queue.take(limit_samples, batch_scrapes=most_scrapes)
        left_out: Counter[str] = Counter()
        ends: dict[int, list[EncodedScrape]] = {}
        if self._restamps and scrapes:
            now_seconds = self._loop.clock.monotonic_seconds()
            plan = self._one_per_second().plan(scrapes, now_seconds)
            if not plan.scrapes:
                self._arm(plan.wait_seconds)
                return None
            if plan.scrapes < len(scrapes):
                scrapes = self._queue.take(limit_samples, batch_scrapes=plan.scrapes)
            for index in plan.left_out:
                left_out["one_per_second"] += scrapes[index].samples
                ends.setdefault(scrapes[index].source, []).append(scrapes[index])
            scrapes = [scrape for index, scrape in enumerate(scrapes) if index not in plan.left_out]
        elif not scrapes:
            return None
        pieces = self._pieces(self._shaped(scrapes, left_out))
        return _Batch(scrapes, pieces, len(pieces), left_out, ends, self._loop.clock.monotonic_seconds())

    def _one_per_second(self) -> OnePerSecond:
        if self._spacing is None:
            from kpwatch.send.restamped import OnePerSecond  # noqa: PLC0415 - for Nightingale alone

            self._spacing = OnePerSecond()
        return self._spacing

    def _shaped(self, scrapes: list[EncodedScrape], left_out: Counter[str]) -> list[EncodedScrape]:
        """Scrapes as this receiver gets them: with ends that are still to be said, under its own names."""
        version = self._negotiation.version
        if self._unsaid:
            from kpwatch.send.shape import ends_in, with_ends  # noqa: PLC0415 - few writers leave anything out

            scrapes = [
                with_ends(
                    scrape, [end for late in self._unsaid[scrape.source] for end in ends_in(late, version)], version
                )
                if scrape.source in self._unsaid
                else scrape
                for scrape in scrapes
            ]
        if self._relabelling is not None:
            scrapes = [self._relabelling.shape(scrape, version, left_out) for scrape in scrapes]
        return [scrape for scrape in scrapes if scrape.samples]

    def _pieces(self, scrapes: list[EncodedScrape]) -> list[list[EncodedScrape]]:
        """Requests: all scrapes in one, unless a single one is too large already."""
        if len(scrapes) == 1 and scrapes[0].samples > self._limit_samples:
            return self._split(scrapes[0], self._limit_samples)
        return [scrapes] if scrapes else []

    def _split(self, scrape: EncodedScrape, most_samples: int) -> list[list[EncodedScrape]]:
        from kpwatch.send.shape import split  # noqa: PLC0415 - hardly ever is a scrape too large

        return [[piece] for piece in split(scrape, self._negotiation.version, most_samples)]

    # A request and what becomes of it.

    def _post(self, piece: Sequence[EncodedScrape]) -> None:
        try:
            headers = request_headers(self.options, self._negotiation.version)
        except ConfigError as error:
            self._retry_later(Failure("auth", str(error)), Fate.RETRY)
            return
        body = piece[0].block if len(piece) == 1 else snappy.join_blocks(scrape.block for scrape in piece)
        self._sent_bytes.add(len(body))
        self._route.post(headers, body, self._answered)

    def _answered(self, outcome: Answer | Failure) -> None:
        assert self._batch is not None
        batch, was_settled = self._batch, self._negotiation.settled
        reason = self._negotiation.learn(outcome)
        if reason or (not was_settled and self._negotiation.settled):
            version = self._negotiation.version
            self._log.info(f"{self._shown_url} speaks Remote Write {version}" + (f": it {reason}" if reason else ""))
        if reason:
            self._send_as_v1(batch)
            return
        fate = fate_of(outcome)
        if fate in (Fate.HOLD, Fate.ELSEWHERE):
            fate = Fate.HOLD if self.options.hold else Fate.DROP
        if fate is Fate.SMALLER:
            self._send_smaller(batch, outcome)
        elif fate in (Fate.DELIVERED, Fate.DROP):
            self._finish(batch, outcome, fate)
        else:
            self._retry_later(outcome, fate)

    def _send_as_v1(self, batch: _Batch) -> None:
        """The receiver speaks 1.0: the same again, and everything else from now on, as that."""
        self._queue.form = self._queue.form._replace(protocol="1.0")
        self._retries.add()
        if len(batch.pieces) == batch.whole:
            self._batch = None
        else:
            from kpwatch.send.shape import in_version  # noqa: PLC0415 - a receiver that was replaced meanwhile

            batch.pieces[:] = [[in_version(scrape, "2.0", "1.0") for scrape in piece] for piece in batch.pieces]
        self._arm(0.0)

    def _send_smaller(self, batch: _Batch, outcome: Answer | Failure) -> None:
        piece = batch.pieces[0]
        samples = _samples(piece)
        self._limit_samples = max(min(samples, self._limit_samples) // 2, 1)
        if len(piece) > 1:
            self._batch = None  # fewer scrapes will be taken
        else:
            smaller = self._split(piece[0], self._limit_samples)
            if len(smaller) == 1:  # one series, and too large
                self._finish(batch, outcome, Fate.DROP)
                return
            batch.pieces[:1] = smaller
            self._batch = batch._replace(whole=batch.whole + len(smaller) - 1)
        self._retries.add()
        self._log.warning(
            f"post to {self._shown_url} got error: {describe(outcome)}; {samples} samples are too many for one "
            f"request, at most {self._limit_samples} from now on",
            about=f"smaller {self._shown_url}",
        )
        self._arm(0.0)

    def _finish(self, batch: _Batch, outcome: Answer | Failure, fate: Fate) -> None:
        """The first piece is delivered or given up."""
        sent = _samples(batch.pieces.pop(0))
        told = self._negotiation.version == "2.0" and (fate is Fate.DELIVERED or says_what_it_wrote(outcome))
        written = samples_written(outcome, sent) if told else sent if fate is Fate.DELIVERED else 0
        self._delivered.add(written)
        if written < sent:
            self._dropped.add(sent - written)
            some = f"{sent - written} of " if written else ""
            unsure = "" if fate is Fate.DROP else f"; the answer's headers say that {written} were written"
            self._log.error(
                f"post to {self._shown_url} got error: {describe(outcome)}; {some}{sent} samples dropped{unsure}",
                about=f"drop {self._shown_url}",
            )
        elif self._limit_samples < _NO_LIMIT:
            self._limit_samples += self._limit_samples // _GROWTH + 1
        self._retry_seconds = self._hold_seconds = 0.0
        if batch.pieces:
            self._arm(0.0)
            return
        self._settle(batch)
        self._batch = None
        self._turn_over()
        self.notice()

    def _settle(self, batch: _Batch) -> None:
        """Everything of a batch is delivered or given up."""
        for reason, samples in batch.left_out.items():
            self._count_left_out(reason, samples)
        if self._spacing is not None:
            self._spacing.sent(batch.scrapes, batch.sent_at_seconds)
            for scrape in batch.scrapes:
                self._unsaid.pop(scrape.source, None)
            for source, scrapes in batch.ends.items():
                self._unsaid[source] = [*self._unsaid.get(source, ()), *scrapes]
        self._queue.settle()

    def _retry_later(self, outcome: Answer | Failure, fate: Fate) -> None:
        options = self.options
        self._retries.add()
        if fate is Fate.RETRY:
            bounds = options.retry_min_seconds, options.retry_max_seconds
            pause = self._retry_seconds = min(max(self._retry_seconds * 2, bounds[0]), bounds[1])
        else:
            pause = self._hold_seconds = min(max(self._hold_seconds * 2, HOLD_MIN_SECONDS), HOLD_MAX_SECONDS)
        asked = retry_after_seconds(outcome, self._loop.clock.unix_seconds())
        self._pause_seconds = max(pause * (0.5 + 0.5 * self._jitter()), asked)
        self._log.warning(
            f"post to {self._shown_url} got error: {describe(outcome)}; {self._queue.samples} samples wait, "
            f"next try in {self._pause_seconds:.1f} s",
            about=f"retry {self._shown_url}",
        )
        if self._batch is not None and len(self._batch.pieces) == self._batch.whole:
            self._batch = None
        self._arm(self._pause_seconds)
        self._turn_over()

    def _count_left_out(self, reason: str, samples: int) -> None:
        self._registry.counter(
            "kpwatch_agent_samples_not_sent_total",
            "Samples a writer leaves out, by reason.",
            url=self._shown_url,
            reason=reason,
        ).add(samples)


def _samples(piece: Sequence[EncodedScrape]) -> int:
    return sum(scrape.samples for scrape in piece)


def _relabelling(options: WriterOptions) -> Relabelling | None:
    if not options.relabel:
        return None
    from kpwatch.send.shape import Relabelling  # noqa: PLC0415 - few writers have rules

    return Relabelling(options.relabel)
