"""Hours that pass in seconds: an agent on a clock that the test moves, with real sockets and a real spool on disk.

An interval of 15 s cannot be shortened far enough to make an hour of outage in a test. So the agent's clock stands
still and is moved on by one interval at a time; the next move waits until the target has answered and its scrape is in
the spool. Sockets, spool, encoding and order are those of real hours; what is not simulated is the wear of time.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from kpwatch.spool.options import SpoolOptions
from tests.agents import RunningAgent, target, writer
from tests.clocks import MovedClock
from tests.fault.spool_scene import Counter, latest, numbers
from tests.receivers import Receiver
from tests.servers import WAIT_SECONDS, refused_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOURS = 24 if os.environ.get("KPWATCH_LONG") else 1
INTERVAL_SECONDS = 15
WAY = "/api/v1/write"
STARTED_AT = time.time()  # a spool's age is that of its files, whose times are real


class TimeMachine:
    """One agent on a moved clock, its target and its spool; nobody listens at its writer's URL until a test does."""

    def __init__(self, options: SpoolOptions) -> None:
        self.clock = MovedClock(STARTED_AT)
        self.counter = Counter()
        self.port = refused_port()
        self.server = self.counter.server()
        self.agent = RunningAgent(
            [target(self.server.url(), interval_seconds=INTERVAL_SECONDS, timeout_seconds=10.0)],
            [writer(f"http://127.0.0.1:{self.port}{WAY}", protocol="1.0", retry_max_seconds=30.0)],
            clock=self.clock,
            spool=options,
        )

    def move(self, seconds: float) -> None:
        """Let so much time pass at once, and wait until the loop has done what was due."""
        self.clock.advance(seconds)
        for _ in range(2):  # timers are called after wakes, so the second turn comes behind them
            self.counted("scrapes")

    def counted(self, name: str) -> float:
        """A counter of the agent, read on its own thread after the loop has gone around."""
        found: list[float] = []
        read = threading.Event()

        def on_loop() -> None:
            found.append(self.agent.counted(name))
            read.set()

        self.agent.agent.loop.call_from_thread(on_loop)
        assert read.wait(WAIT_SECONDS), self.agent.lines[-5:]
        return found[0]

    def begin(self) -> None:
        """Up to the second scrape: the first is at once, the second on the grid, all others an interval apart."""
        for number in (1, 2):
            while len(self.server.requests) < number:
                self.move(0.5)
                self._settle()
            self._scraped(number)

    def pass_scrapes(self, count: int) -> None:
        """Let so many intervals pass."""
        for _ in range(count):
            due = self.counter.count + 1
            self.move(INTERVAL_SECONDS)
            self.server.wait_for_requests(due)
            self._scraped(due)

    def flow_until(self, receiver: Receiver, number: int) -> None:
        """Let time pass, slowly enough for sockets, until scrape `number` has arrived."""
        for _ in range(10_000):
            if latest(receiver.taken) >= number:
                return
            self.move(0.5)
            self._settle()
        raise AssertionError(f"{latest(receiver.taken)} of {number} scrapes arrived: {self.agent.lines[-5:]}")

    def flow_until_answered(self, receiver: Receiver) -> int:
        """Let time pass until the agent has heard the answer to all that arrived; how many samples that is."""
        for _ in range(10_000):
            arrived = len(receiver.taken)
            if self.counted("samples_delivered") == arrived:
                return arrived
            self.move(0.5)
            self._settle()
        raise AssertionError(f"answers are missing: {self.agent.lines[-5:]}")

    def end(self) -> None:
        """Stop the agent; its clock has to move for that."""
        self.agent.agent.stop()
        while self.agent.running:
            self.clock.advance(0.1)
            self.agent.agent.loop.wake()
            self._settle()
        self.agent.stop()

    def _scraped(self, number: int) -> None:
        """Wait until the answer that the target gave is in the spool."""
        for _ in range(100_000):
            if self.counted("scrapes") >= number:
                return
        raise AssertionError(f"scrape {number} did not end: {self.agent.lines[-5:]}")

    def _settle(self) -> None:
        """A moment of real time, for what goes over sockets while the clock stands."""
        threading.Event().wait(0.005)


@contextmanager
def time_machine(folder: Path, **options: float) -> Iterator[TimeMachine]:
    machine = TimeMachine(SpoolOptions(directory=folder / "spool", **options))
    with machine.server, machine.agent:
        try:
            machine.begin()
            yield machine
        finally:
            machine.end()


@pytest.mark.slow
def test_a_receiver_that_is_down_for_hours(tmp_path: Path) -> None:
    """Every scrape of an hour arrives (of a day, in the long form), in order, once, with the time it was made at."""
    scrapes = HOURS * 3600 // INTERVAL_SECONDS
    with time_machine(tmp_path) as machine:
        machine.pass_scrapes(scrapes)
        assert machine.clock.unix_seconds() - STARTED_AT >= HOURS * 3600 - INTERVAL_SECONDS
        with Receiver(port=machine.port) as receiver:
            machine.flow_until(receiver, scrapes)
            taken = [one for one in receiver.taken if one.name == "n"]
        assert numbers(taken)[:scrapes] == list(range(1, scrapes + 1))
        assert len({one.value for one in taken}) == len(taken), "a sample came twice"
        times = [one.timestamp_ms for one in taken[1:scrapes]]
        assert {later - earlier for earlier, later in pairwise(times)} == {INTERVAL_SECONDS * 1000}
        assert machine.counted("samples_lost") == machine.counted("samples_refused") == 0


@pytest.mark.slow
def test_what_is_over_the_bound_is_dropped_from_the_front_and_counted(tmp_path: Path) -> None:
    """A spool too small for the outage: the newest arrive without a hole, and each lost sample is counted."""
    with time_machine(tmp_path, max_bytes=40_000, segment_bytes=8_000, recent_bytes=1000) as machine:
        machine.pass_scrapes(400)
        with Receiver(port=machine.port) as receiver:
            machine.flow_until(receiver, 400)
            machine.flow_until_answered(receiver)
            found = numbers(receiver.taken)
        assert found == list(range(found[0], found[-1] + 1))
        assert found[0] > 1, "the bound dropped nothing: the test is wrong"
        assert machine.counted("samples_lost") >= found[0] - 1


@pytest.mark.parametrize("seconds", [-7200.0, 7200.0], ids=["two hours back", "two hours on"])
def test_the_clock_is_set(seconds: float, tmp_path: Path) -> None:
    """Scraping goes on, everything arrives in the order in which it was scraped, with the time the clock showed."""
    with time_machine(tmp_path) as machine:
        machine.pass_scrapes(10)
        machine.clock.jump(seconds)
        machine.pass_scrapes(10)
        with Receiver(port=machine.port) as receiver:
            machine.flow_until(receiver, 20)
            taken = [one for one in receiver.taken if one.name == "n"]
        assert [one.value for one in taken][:20] == list(range(1, 21))
        steps = [later.timestamp_ms - earlier.timestamp_ms for earlier, later in pairwise(taken[1:20])]
        jumps = [step / 1000 for step in steps if abs(step / 1000 - INTERVAL_SECONDS) > 1]
        assert jumps == [pytest.approx(INTERVAL_SECONDS + seconds, abs=1)]
        assert machine.counted("samples_lost") == machine.counted("samples_refused") == 0
