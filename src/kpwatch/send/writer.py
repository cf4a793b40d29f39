r"""Delivers one queue to one receiver, one request at a time, so that every series arrives in time order.

    IDLE -> (something waits, after a moment for company) -> SENDING -> delivered or dropped -> IDLE
                                                                  \-> retry -> WAITING (pause grows) -> SENDING

Writers are independent: a dead receiver fills its own queue and nobody else's. The pause grows from `retry_min_seconds`
to `retry_max_seconds`, with jitter so that a fleet does not come back in step.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Protocol

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.http import Answer, Failure, format_request, parse_url, redact_url
from kpwatch.remote_write import snappy, v1
from kpwatch.send.answers import HOLD_SECONDS, Fate, describe, fate_of, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.encoded import EncodedScrape
    from kpwatch.send.options import WriterOptions

ANSWER_LIMIT_BYTES = 64 << 10

LINGER_SECONDS = 0.1
"""How long the first scrape of a batch waits for others that end about now; the original's flush takes as long."""


class Batches(Protocol):
    """What a writer needs of a queue."""

    @property
    def samples(self) -> int:
        """Samples that wait."""
        ...

    def take(self, batch_samples: int) -> list[EncodedScrape]:
        """The oldest scrapes; they stay until `settle`."""
        ...

    def settle(self) -> None:
        """What was taken is delivered or given up."""
        ...

    @property
    def survives(self) -> bool:
        """Whether what waits will be there for the next process."""
        ...


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
        self._queue = queue
        self._loop = loop
        self._log = log
        self._jitter = jitter
        self._url = parse_url(options.url)
        self._new_way: tuple[WriterOptions, int] | None = None
        self._set_out(options, batch_samples)
        self._timer: Timer | None = None
        self._pause_seconds = 0.0
        self._retry_seconds = 0.0
        self._under_way = 0
        self._shown_url = redact_url(options.url)
        label = {"url": self._shown_url}
        self._delivered = registry.counter("kpwatch_agent_samples_delivered_total", "Samples acknowledged.", **label)
        self._dropped = registry.counter(
            "kpwatch_agent_samples_refused_total", "Samples the receiver refused.", **label
        )
        self._retries = registry.counter("kpwatch_agent_write_retries_total", "Requests sent again.", **label)
        self._sent_bytes = registry.counter("kpwatch_agent_write_bytes_total", "Compressed bytes sent.", **label)

    def _set_out(self, options: WriterOptions, batch_samples: int) -> None:
        self.options = options
        self._batch_samples = batch_samples
        self._headers = _headers(options)
        self._connection = Connection(
            self._loop, self._url, tls=options.tls, dial_timeout_seconds=options.dial_timeout_seconds
        )

    def change(self, options: WriterOptions, batch_samples: int) -> None:
        """Deliver in another way, to the same URL, from the next request on; a pause after a failure ends."""
        changed = (options, batch_samples) != (self.options, self._batch_samples)
        self._new_way = (options, batch_samples) if changed else None
        self._turn_over()

    def _turn_over(self) -> None:
        if self._new_way is None or self._connection.busy:
            return
        (options, batch_samples), self._new_way = self._new_way, None
        self._connection.close()
        self._set_out(options, batch_samples)
        self._pause_seconds = self._retry_seconds = 0.0
        self.notice()

    @property
    def idle(self) -> bool:
        """Whether everything handed over is delivered or given up."""
        return self._queue.samples == 0 and not self._connection.busy

    def notice(self) -> None:
        """Something was added to the queue."""
        if self._connection.busy or self._pause_seconds:
            return
        if self._queue.samples >= self._batch_samples:
            self._arm(0.0)
        elif self._timer is None:
            self._arm(LINGER_SECONDS)

    def hurry(self) -> None:
        """Try now what waits: the agent is about to end."""
        if not self._connection.busy and self._queue.samples:
            self._pause_seconds = 0.0
            self._arm(0.0)

    def let_go(self) -> None:
        """No request any more; one under way is dropped."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

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
        batch = self._queue.take(self._batch_samples)
        if not batch:
            return
        body = snappy.join_blocks(scrape.block for scrape in batch)
        self._under_way = sum(scrape.samples for scrape in batch)
        self._sent_bytes.add(len(body))
        self._connection.ask(
            format_request("POST", self._url, self._headers, body),
            self._answered,
            timeout_seconds=self.options.dial_timeout_seconds + self.options.timeout_seconds,
            body_limit_bytes=ANSWER_LIMIT_BYTES,
        )

    def _answered(self, outcome: Answer | Failure) -> None:
        fate = fate_of(outcome)
        if fate in (Fate.RETRY, Fate.HOLD):
            self._retry_later(outcome, fate)
            return
        if fate is Fate.DELIVERED:
            self._delivered.add(self._under_way)
        else:
            self._dropped.add(self._under_way)
            self._log.error(
                f"post to {self._shown_url} got error: {describe(outcome)}; {self._under_way} samples dropped",
                about=f"drop {self._shown_url}",
            )
        self._retry_seconds = 0.0
        self._queue.settle()
        self._turn_over()
        self.notice()

    def _retry_later(self, outcome: Answer | Failure, fate: Fate) -> None:
        options = self.options
        self._retries.add()
        self._retry_seconds = min(max(self._retry_seconds * 2, options.retry_min_seconds), options.retry_max_seconds)
        pause = HOLD_SECONDS if fate is Fate.HOLD else self._retry_seconds
        self._pause_seconds = max(pause * (0.5 + 0.5 * self._jitter()), retry_after_seconds(outcome))
        self._log.warning(
            f"post to {self._shown_url} got error: {describe(outcome)}; {self._queue.samples} samples wait, "
            f"next try in {self._pause_seconds:.1f} s",
            about=f"retry {self._shown_url}",
        )
        self._arm(self._pause_seconds)
        self._turn_over()


def _headers(options: WriterOptions) -> dict[str, str]:
    headers = {
        "Content-Encoding": v1.CONTENT_ENCODING,
        "Content-Type": v1.CONTENT_TYPE,
        "User-Agent": f"kpwatch/{__version__}",
        "X-Prometheus-Remote-Write-Version": v1.VERSION,
    }
    if options.basic_auth_user:
        credentials = f"{options.basic_auth_user}:{options.basic_auth_pass}".encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    fixed = {name.lower() for name in headers} - {"authorization", "user-agent"}
    headers.update((name, value) for name, value in options.headers if name.lower() not in fixed)
    return headers
