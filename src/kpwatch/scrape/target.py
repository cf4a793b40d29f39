"""One target: asked on time, one request at a time, its answer handed on.

`Target` fetches and knows nothing of samples; what an outcome becomes (Remote Write, a printed line) is its receiver's
business. The first scrape is at once, the next ones every interval from the start of the one before; a scrape that is
still under way when the next is due makes that one wait, never overlap. A target knows no other target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.connection import Connection
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import parse_url
from kpwatch.scrape.fetch import ScrapeError, judge, scrape_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.http import Answer, Failure
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.scrape.options import TargetOptions


class Outcome(NamedTuple):
    """What one scrape gave: a body or the reason why there is none."""

    timestamp_ms: int
    """When the scrape began."""
    duration_seconds: float
    answer: bytes | ScrapeError


class Target:
    """Scrapes one URL every interval."""

    def __init__(
        self,
        options: TargetOptions,
        loop: Loop,
        *,
        began: Callable[[int], None],
        receive: Callable[[Outcome], None],
    ) -> None:
        """`began` gets the timestamp when a scrape begins, `receive` its outcome."""
        self.options = options
        self._loop = loop
        self._began = began
        self._receive = receive
        self._url = parse_url(options.url)
        self._connection = Connection(loop, self._url, tls=options.tls, dial_timeout_seconds=options.timeout_seconds)
        self._timer: Timer | None = None
        self._due_seconds = 0.0

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then every interval."""
        self._due_seconds = self._loop.clock.monotonic_seconds() + delay_seconds
        self._timer = self._loop.call_later(delay_seconds, self._scrape)

    def stop(self) -> None:
        """No scrape any more; one under way is dropped."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

    @property
    def busy(self) -> bool:
        """Whether a scrape is under way."""
        return self._connection.busy

    @property
    def seconds_until_due(self) -> float:
        """From now to the next scrape; 0 where it is late."""
        return max(0.0, self._due_seconds - self._loop.clock.monotonic_seconds())

    def _scrape(self) -> None:
        clock = self._loop.clock
        began_ms, began_seconds = clock.unix_ms(), clock.monotonic_seconds()
        self._began(began_ms)

        def done(outcome: Answer | Failure) -> None:
            self._schedule_next()
            self._receive(Outcome(began_ms, clock.monotonic_seconds() - began_seconds, judge(outcome)))

        try:
            request = scrape_request(self.options, self._url)
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            self._schedule_next()
            file = self.options.bearer_token_file
            detail = f"bearer_token_file {file!r}: {error}" if file else str(error)
            self._receive(Outcome(began_ms, 0.0, ScrapeError("auth", detail)))
            return
        self._connection.ask(
            request,
            done,
            timeout_seconds=self.options.timeout_seconds,
            body_limit_bytes=self.options.body_limit_bytes,
        )

    def _schedule_next(self) -> None:
        """The next multiple of the interval after now: a late scrape does not make all later ones late."""
        now = self._loop.clock.monotonic_seconds()
        interval = self.options.interval_seconds
        self._due_seconds += interval * max(1, -(-(now - self._due_seconds) // interval))
        self._timer = self._loop.call_later(self._due_seconds - now, self._scrape)
