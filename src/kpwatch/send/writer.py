r"""Delivers one queue to one receiver, one request at a time, so that every series arrives in time order.

    IDLE -> (something waits, after a moment for company where it has any) -> SENDING -> delivered or dropped -> IDLE
                                                                  \-> retry -> WAITING (pause grows) -> SENDING
                                                                  \-> smaller, another version, elsewhere -> SENDING

Writers are independent: a dead receiver fills its own queue and nobody else's. The pause grows from `retry_min_seconds`
to `retry_max_seconds`, with jitter so that a fleet does not come back in step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

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
from kpwatch.send.intake import GIVEN_UP_AT_ONCE_SAMPLES, Batch, Intake, samples_of
from kpwatch.send.protocol import Negotiation, samples_written, says_what_it_wrote
from kpwatch.send.request import request_headers
from kpwatch.send.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.send.intake import Batches, Piece
    from kpwatch.send.options import WriterOptions

LINGER_SECONDS = 0.1
"""How long the first scrape of a batch waits for others where such are expected; the original's flush takes as long."""


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
        company: Callable[[], bool] = lambda: True,
    ) -> None:
        """`queue.form` must ask for the `first_version` of `options.protocol`.

        `company` says whether other scrapes are expected to end about now.
        """
        self._queue = queue
        self._loop = loop
        self._log = log
        self._jitter = jitter
        self._company = company
        self._new_way: tuple[WriterOptions, int] | None = None
        self._negotiation = Negotiation(options.protocol)
        self.problem = ""
        """What the receiver said last, where it did not take what it was sent."""
        self._timer: Timer | None = None
        self._pause_seconds = 0.0
        self._retry_seconds = 0.0
        self._hold_seconds = 0.0
        self._shown_url = redact_url(options.url)
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

        def leave_out(reason: str, samples: int) -> None:
            registry.counter(
                "kpwatch_agent_samples_not_sent_total", "Samples a writer leaves out.", reason=reason, **label
            ).add(samples)

        self._intake = Intake(queue, options, batch_samples, loop.clock, leave_out)
        self._set_out(options, batch_samples)

    def _set_out(self, options: WriterOptions, batch_samples: int) -> None:
        self.options = options
        self._batch_samples = batch_samples
        self._route = Route(options, self._loop)
        self._batch: Batch | None = None

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
        self._intake.change(options, batch_samples)
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
        if self.busy or self._pause_seconds or not self._queue.samples:
            return
        if self._queue.samples >= self._batch_samples or self._negotiation.version == "2.0":
            if self._timer is None or self._timer.due_seconds > self._loop.clock.monotonic_seconds():
                self._arm(0.0)  # one that is due already must not be put off by every scrape that comes
        elif self._timer is None:
            self._arm(LINGER_SECONDS if self._company() else 0.0)

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

    def _send(self) -> None:
        self._timer = None
        self._pause_seconds = 0.0
        if self._batch is None:
            self._take()
        if self._batch is None:
            return
        if self._batch.pieces:
            self._post(self._batch.pieces[0])
        else:
            self._settle(self._batch)  # rules leave nothing of it

    def _take(self) -> None:
        """The next batch, where one may go now."""
        version = self._negotiation.version
        dropped = self._intake.drop_too_old(version)
        if dropped:
            self._log.warning(
                f"{dropped} samples for {self._shown_url} are older than {self._intake.max_age_seconds(version):g} s "
                "and were dropped (max_backfill_age)",
                about=f"too old {self._shown_url}",
            )
        if dropped >= GIVEN_UP_AT_ONCE_SAMPLES:
            self._arm(0.0)
            return
        taken = self._intake.take(version)
        if isinstance(taken, Batch):
            self._batch = taken
        elif taken:
            self._arm(taken)

    # A request and what becomes of it.

    def _post(self, piece: Piece) -> None:
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

    def _send_as_v1(self, batch: Batch) -> None:
        """The receiver speaks 1.0: the same again, and everything else from now on, as that."""
        self._queue.form = self._queue.form._replace(protocol="1.0")
        self._retries.add()
        if batch.untouched:
            self._batch = None
        else:
            from kpwatch.send.shape import in_version  # noqa: PLC0415 - a receiver that was replaced meanwhile

            batch.pieces[:] = [[in_version(scrape, "2.0", "1.0") for scrape in piece] for piece in batch.pieces]
        self._arm(0.0)

    def _send_smaller(self, batch: Batch, outcome: Answer | Failure) -> None:
        samples = samples_of(batch.pieces[0])
        self._batch = self._intake.smaller(batch, self._negotiation.version)
        if self._batch is not None and samples_of(self._batch.pieces[0]) == samples:
            self._finish(self._batch, outcome, Fate.DROP)  # one series, and too large
            return
        self._retries.add()
        self._log.warning(
            f"post to {self._shown_url} got error: {describe(outcome)}; {samples} samples are too many for one "
            f"request, at most {self._intake.limit_samples} from now on",
            about=f"smaller {self._shown_url}",
        )
        self._arm(0.0)

    def _finish(self, batch: Batch, outcome: Answer | Failure, fate: Fate) -> None:
        """The first piece is delivered or given up."""
        sent = samples_of(batch.pieces.pop(0))
        told = self._negotiation.version == "2.0" and (fate is Fate.DELIVERED or says_what_it_wrote(outcome))
        written = samples_written(outcome, sent) if told else sent if fate is Fate.DELIVERED else 0
        self._delivered.add(written)
        self.problem = describe(outcome) if written < sent else ""
        if written < sent:
            self._dropped.add(sent - written)
            some = f"{sent - written} of " if written else ""
            unsure = "" if fate is Fate.DROP else f"; the answer's headers say that {written} were written"
            self._log.error(
                f"post to {self._shown_url} got error: {describe(outcome)}; {some}{sent} samples dropped{unsure}",
                about=f"drop {self._shown_url}",
            )
        else:
            self._intake.grow()
        self._retry_seconds = self._hold_seconds = 0.0
        if batch.pieces:
            self._arm(0.0)
            return
        self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        self._intake.settle(batch)
        self._batch = None
        self._turn_over()
        self.notice()

    def _retry_later(self, outcome: Answer | Failure, fate: Fate) -> None:
        options = self.options
        self._retries.add()
        self.problem = describe(outcome)
        if fate is Fate.RETRY:
            bounds = options.retry_min_seconds, options.retry_max_seconds
            pause = self._retry_seconds = min(max(self._retry_seconds * 2, bounds[0]), bounds[1])
            pause *= 0.5 + 0.5 * self._jitter()
        else:
            pause = self._hold_seconds = min(max(self._hold_seconds * 2, HOLD_MIN_SECONDS), HOLD_MAX_SECONDS)
            pause *= 1.0 + 0.25 * (1.0 - self._jitter())  # never sooner: nobody mends a token by being asked
        asked = retry_after_seconds(outcome, self._loop.clock.unix_seconds())
        self._pause_seconds = max(pause, asked)
        self._log.warning(
            f"post to {self._shown_url} got error: {describe(outcome)}; {self._queue.samples} samples wait, "
            f"next try in {self._pause_seconds:.1f} s",
            about=f"retry {self._shown_url}",
        )
        if self._batch is not None and self._batch.untouched:
            self._batch = None
        self._arm(self._pause_seconds)
        self._turn_over()
