"""A target is asked on time: at once, then on a grid of the wall clock, never twice at a time, never ever later."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from kpwatch.base.loop import Loop
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.options import TargetOptions
from kpwatch.scrape.target import Outcome, Target
from tests.clocks import MovedClock
from tests.servers import WAIT_SECONDS, Request, Server, refused_port, response, serves

if TYPE_CHECKING:
    from typing import Self


class Asking:
    """A target on a loop in a thread, by a clock that the test moves; times are seconds since the start."""

    def __init__(self, url: str, *, spread_key: str = "", agent_key: str = "", **options) -> None:
        self.clock = MovedClock()
        self.errors: list[Exception] = []
        self.loop = Loop(self.errors.append, self.clock)
        self.began: list[float] = []
        self.outcomes: list[Outcome] = []
        self._start_ms = self.clock.unix_ms()
        self._news = threading.Condition()
        self.target = Target(
            TargetOptions(url, **{"interval_seconds": 10.0, "timeout_seconds": 1000.0} | options),
            self.loop,
            began=lambda at_ms: self.began.append((at_ms - self._start_ms) / 1000),
            receive=self._receive,
            spread_key=spread_key,
            agent_key=agent_key,
        )
        self._thread = threading.Thread(target=self.loop.run)

    def __enter__(self) -> Self:
        self.loop.call_from_thread(self.target.start)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_from_thread(self.target.stop)
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()
        assert self.errors == []

    def advance(self, seconds: float) -> None:
        """Let time pass and the loop see it, timers included."""
        self.clock.advance(seconds)
        for _ in range(2):
            seen = threading.Event()
            self.loop.call_from_thread(seen.set)
            assert seen.wait(WAIT_SECONDS)

    def wait_for_outcomes(self, count: int) -> None:
        """Wait until so many scrapes have ended."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.outcomes) >= count, WAIT_SECONDS)

    def _receive(self, outcome: Outcome) -> None:
        with self._news:
            self.outcomes.append(outcome)
            self._news.notify_all()


OK = serves(lambda _: response(b"m 1\n"))


def test_at_once_then_every_interval() -> None:
    """Over one kept connection; the timestamp is the scrape's beginning."""
    with Server(OK) as server, Asking(server.url()) as asking:
        for count in range(1, 4):
            asking.wait_for_outcomes(count)
            asking.advance(9)
            assert len(asking.began) == count
            asking.advance(1)
        asking.wait_for_outcomes(4)
        assert asking.began == [0, 10, 20, 30]
        assert [outcome.answer for outcome in asking.outcomes] == [b"m 1\n"] * 4
        assert server.connections == 1


def test_a_slow_answer_makes_the_next_wait_but_no_later_one() -> None:
    """An answer after two and a half intervals: what was due meanwhile is left out, the beat is kept."""
    go_on = threading.Event()

    def slow_once(_: Request) -> bytes:
        assert go_on.wait(WAIT_SECONDS)
        return response(b"m 1\n")

    with Server(serves(slow_once)) as server, Asking(server.url()) as asking:
        server.wait_for_requests(1)
        asking.advance(25)
        assert asking.began == [0]
        go_on.set()
        asking.wait_for_outcomes(1)
        assert asking.outcomes[0].duration_seconds == 25
        asking.advance(4)
        assert asking.began == [0]
        asking.advance(1)
        asking.wait_for_outcomes(2)
        asking.advance(10)
        asking.wait_for_outcomes(3)
        assert asking.began == [0, 30, 40]


def test_a_failure_keeps_the_beat() -> None:
    """Refused at once, asked again when it is due."""
    with Asking(f"http://127.0.0.1:{refused_port()}/") as asking:
        asking.wait_for_outcomes(1)
        asking.advance(10)
        asking.wait_for_outcomes(2)
        assert asking.began == [0, 10]
        assert all(isinstance(outcome.answer, ScrapeError) for outcome in asking.outcomes)


def test_a_request_that_cannot_be_made_keeps_the_beat() -> None:
    """No token, no request: an outcome like another."""
    with Asking("http://127.0.0.1:1/", bearer_token_file="/nowhere/token") as asking:
        asking.wait_for_outcomes(1)
        asking.advance(10)
        asking.wait_for_outcomes(2)
        assert {outcome.answer.reason for outcome in asking.outcomes} == {"auth"}


def test_after_stop_nothing_more_comes() -> None:
    """A request under way is dropped, none begins."""
    asked = threading.Event()

    def never(_: Request) -> bytes:
        asked.set()
        assert stopped.wait(WAIT_SECONDS)
        return response(b"m 1\n")

    stopped = threading.Event()
    with Server(serves(never)) as server, Asking(server.url()) as asking:
        assert asked.wait(WAIT_SECONDS)
        asking.loop.call_from_thread(asking.target.stop)
        asking.advance(100)
        stopped.set()
        asking.advance(100)
        assert (asking.began, asking.outcomes) == ([0], [])


PLACES = [
    # the target's key and its agent's, their place in an interval of ten seconds, the first scrapes
    ("", "", 0, [0, 10, 20]),
    ("node-a", "", 1.0, [0, 11, 21]),  # so soon after the first that it is left out
    ("node-a", "key-4", 1.485, [0, 1.485, 11.485]),
    ("key-4", "key-4", 5.485, [0, 5.485, 15.485]),
]


@pytest.mark.parametrize(("spread_key", "agent_key", "offset_seconds", "began"), PLACES)
def test_after_the_first_scrape_comes_the_grid(
    spread_key: str, agent_key: str, offset_seconds: float, began: list[float]
) -> None:
    """At one of the ten places of its agent; the same after every start."""
    assert (crc32(spread_key.encode()) % 10 * 1000 + crc32(agent_key.encode()) % 1000) / 1000 == offset_seconds
    with Server(OK) as server, Asking(server.url(), spread_key=spread_key, agent_key=agent_key) as asking:
        for count, at in enumerate(began[1:], start=1):
            asking.wait_for_outcomes(count)
            asking.advance(at - began[count - 1])
        asking.wait_for_outcomes(len(began))
        assert asking.began == pytest.approx(began)


LATENESS = [
    # seconds late, seconds the timestamp is late
    (0.0, 0.0),
    (0.1, 0.0),
    (0.101, 0.101),
    (3.0, 3.0),
]


@pytest.mark.parametrize(("late_seconds", "stamped_seconds"), LATENESS)
def test_a_scrape_that_is_a_little_late_bears_the_timestamp_of_the_grid(
    late_seconds: float, stamped_seconds: float
) -> None:
    """Within a hundredth of the interval; later ones say when they began. The next is on the grid again."""
    with Server(OK) as server, Asking(server.url()) as asking:
        asking.wait_for_outcomes(1)
        asking.advance(10 + late_seconds)
        asking.wait_for_outcomes(2)
        asking.advance(10 - late_seconds)
        asking.wait_for_outcomes(3)
        assert asking.began == pytest.approx([0, 10 + stamped_seconds, 20])


JUMPS = [
    # seconds, seconds from the second scrape to the third
    (-3600.5, 0.5),
    (-0.004, 10.004),
    (0.004, 9.996),
    (3600.5, 9.5),
]


@pytest.mark.parametrize(("jump_seconds", "step_seconds"), JUMPS)
def test_a_wall_clock_that_jumps(jump_seconds: float, step_seconds: float) -> None:
    """One scrape an interval whatever it does, back on the grid of the new time after one at the latest."""
    with Server(OK) as server, Asking(server.url()) as asking:
        asking.wait_for_outcomes(1)
        asking.clock.jump(jump_seconds)
        asking.advance(10)
        asking.wait_for_outcomes(2)
        asking.advance(step_seconds)
        asking.wait_for_outcomes(3)
        asking.advance(10)
        asking.wait_for_outcomes(4)
        assert len(asking.began) == 4
        assert [at % 10 for at in asking.began[2:]] == pytest.approx([0, 0])
