"""One target: asked on time, one request at a time, its answer handed on.

`Target` fetches and knows nothing of samples; what an outcome becomes (Remote Write, a printed line) is its receiver's
business. A target knows no other target.

The first scrape is at once. Later ones are on a grid of the wall clock: multiples of the interval plus an offset that
two keys decide, so that a fleet does not ask in step and a restart changes nothing. The targets of one agent share
BUNCHES places in an interval: what has slept finds its code and its texts far away, in the slowest memory, and one that
wakes for a single scrape takes twice as long for it as for the next ones. The timestamp of a scrape is
its place on the grid as long as it began within TOLERANCE of it, else the instant it began: even timestamps are cheap
to store. A scrape that is still under way when the next is due makes that one wait, never overlap. The wall clock is
read anew for every step: after a jump the grid is that of the new time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from kpwatch.base.http import parse_url
from kpwatch.base.named import NamedTuple
from kpwatch.scrape.fetch import UNMAKEABLE, ScrapeError, answered_format, judge, scrape_request
from kpwatch.scrape.follow import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.http import Answer, Failure, Url
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.exposition.formats import Format
    from kpwatch.scrape.options import TargetOptions


TOLERANCE = 0.01
"""Of the interval: how late a scrape may begin and still bear the timestamp of its place on the grid."""

TOLERANCE_MAX_MS = 100

BUNCHES = 10
"""Places in an interval at which an agent's targets are asked."""

COMPANY_SECONDS = 1.0
"""A place on the grid so soon after the first scrape is left out (or half an interval after it, if that is less)."""


class Outcome(NamedTuple):
    """What one scrape gave: a body or the reason why there is none."""

    timestamp_ms: int
    """When the scrape began, or its place on the grid just before."""
    duration_seconds: float
    answer: bytes | ScrapeError
    format: Format = "text"
    """Of the body."""


class Target:
    """Scrapes one URL every interval."""

    def __init__(
        self,
        options: TargetOptions,
        loop: Loop,
        *,
        began: Callable[[int], None],
        receive: Callable[[Outcome], None],
        spread_key: str = "",
        agent_key: str = "",
    ) -> None:
        """`began` gets the timestamp when a scrape begins, `receive` its outcome.

        `spread_key` names the target, `agent_key` is the same for all that are asked by one agent.
        """
        self.options = options
        self._loop = loop
        self._began = began
        self._receive = receive
        self._url = parse_url(options.url)
        self._request = b""
        """As it is sent, once it was made."""
        self._follower = Follower(options, self._url, loop)
        self._timer: Timer | None = None
        self._interval_ms = max(1, round(options.interval_seconds * 1000))
        self._offset_ms = _offset_ms(self._interval_ms, spread_key, agent_key)
        self.due_ms = 0
        """The place on the grid of the scrape that is waited for; 0 before the first."""
        self.scraped_ms = 0
        """Timestamp of the latest scrape, under way or over; 0 before the first."""

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then on the grid."""
        self._timer = self._loop.call_later(delay_seconds, self._scrape)

    def start_on_grid(self, after_ms: int) -> None:
        """First scrape at the first place on the grid after one that somebody else made (0: none, so at once)."""
        if after_ms:
            self._wait_for_place_after(after_ms)
        else:
            self.start()

    def stop(self) -> None:
        """No scrape any more; one under way is dropped."""
        if self._timer is not None:
            self._timer.cancel()
        self._follower.close()

    @property
    def busy(self) -> bool:
        """Whether a scrape is under way."""
        return self._follower.busy

    def _scrape(self) -> None:
        clock = self._loop.clock
        began_ms, began_seconds = self._timestamp_ms(clock.unix_ms()), clock.monotonic_seconds()
        first_ms = 0 if self.due_ms else min(round(COMPANY_SECONDS * 1000), self._interval_ms // 2)
        self.scraped_ms = began_ms
        self._began(began_ms)

        def done(outcome: Answer | Failure) -> None:
            self._schedule_next(first_ms)
            seconds = clock.monotonic_seconds() - began_seconds
            self._receive(Outcome(began_ms, seconds, judge(outcome), answered_format(outcome)))

        try:
            self._follower.ask(self._request_to, done)
        except UNMAKEABLE as error:
            self._schedule_next(first_ms)
            file = self.options.bearer_token_file
            detail = f"bearer_token_file {file!r}: {error}" if file else str(error)
            self._receive(Outcome(began_ms, 0.0, ScrapeError("auth", detail)))

    def _request_to(self, url: Url, ours: bool) -> bytes:
        """The request; that to the target itself is made once, unless a file may have another token meanwhile."""
        if url is not self._url or self.options.bearer_token_file:
            return scrape_request(self.options, url, secrets=ours)
        self._request = self._request or scrape_request(self.options, url)
        return self._request

    def _timestamp_ms(self, now_ms: int) -> int:
        tolerance_ms = min(self._interval_ms * TOLERANCE, TOLERANCE_MAX_MS)
        return self.due_ms if abs(now_ms - self.due_ms) <= tolerance_ms else now_ms

    def _schedule_next(self, at_least_ms: int) -> None:
        """The first place on the grid after now, `at_least_ms` away."""
        now_ms = self._loop.clock.unix_ms()
        early = 0 <= self.due_ms - now_ms < self._interval_ms / 2  # the clocks drift: this place has been served
        self._wait_for_place_after(self.due_ms if early else now_ms + at_least_ms)

    def _wait_for_place_after(self, after_ms: int) -> None:
        steps = (after_ms - self._offset_ms) // self._interval_ms + 1
        self.due_ms = steps * self._interval_ms + self._offset_ms
        delay_seconds = max(0, self.due_ms - self._loop.clock.unix_ms()) / 1000
        self._timer = self._loop.call_later(delay_seconds, self._scrape)


def _offset_ms(interval_ms: int, spread_key: str, agent_key: str) -> int:
    """Where in its interval a target is asked: at one of the places of its agent."""
    apart_ms = max(1, interval_ms // BUNCHES)
    return crc32(spread_key.encode()) % BUNCHES * apart_ms + crc32(agent_key.encode()) % apart_ms
