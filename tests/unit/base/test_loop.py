"""One thread, timers and sockets: everyone gets their turn, whatever another one's callback does."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.loop import READ, WRITE, Loop
from tests.clocks import MovedClock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Run:
    """A loop under test with what its callbacks did."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.errors: list[Exception] = []
        self.done: list[str] = []
        self.loop = Loop(self.errors.append, self.clock)

    def say(self, what: str, *, stop: bool = False):
        """A callback that notes `what`."""

        def callback() -> None:
            self.done.append(what)
            if stop:
                self.loop.stop()

        return callback

    def fail(self) -> None:
        """A callback with a bug."""
        raise RuntimeError("a bug")


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run()
    yield run
    run.loop.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_timers_run_in_the_order_they_are_due(run: Run) -> None:
    """Not in the order they were asked for; those due at one time in one turn."""
    run.loop.call_later(3, run.say("third", stop=True))
    run.loop.call_later(1, run.say("first"))
    run.loop.call_later(2, run.say("second"))
    run.loop.call_later(4, run.say("not yet"))
    run.clock.advance(3)
    run.loop.run()
    assert run.done == ["first", "second", "third"]


def test_a_cancelled_timer_never_runs(run: Run) -> None:
    """Cancelling is harmless before, after and twice."""
    cancelled = run.loop.call_later(1, run.say("cancelled"))
    ran = run.loop.call_later(1, run.say("ran"))
    run.loop.call_later(2, run.say("end", stop=True))
    cancelled.cancel()
    cancelled.cancel()
    run.clock.advance(2)
    run.loop.run()
    ran.cancel()
    assert run.done == ["ran", "end"]


def test_a_timer_may_cancel_one_that_is_due_with_it(run: Run) -> None:
    """What is cancelled in the same turn does not run."""
    later = run.loop.call_later(2, run.say("later"))
    run.loop.call_later(1, later.cancel)
    run.loop.call_later(3, run.loop.stop)
    run.clock.advance(3)
    run.loop.run()
    assert run.done == []


def test_a_timer_waits_for_its_time(run: Run) -> None:
    """The loop waits for the clock it was given: nothing runs before it says so."""

    def move() -> None:
        assert run.done == []
        run.clock.advance(60)

    run.loop.call_later(60, run.say("an hour's sixtieth", stop=True))
    run.loop.call_from_thread(move)
    run.loop.run()
    assert run.done == ["an hour's sixtieth"]


def test_callbacks_from_threads_run_on_the_loops_thread(run: Run) -> None:
    """In the order of each thread, all of them, on one thread."""
    threads = set()

    def note() -> None:
        threads.add(threading.current_thread())
        run.say("x")()

    def work() -> None:
        for _ in range(100):
            run.loop.call_from_thread(note)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()

    def finish() -> None:
        for worker in workers:
            worker.join()
        run.loop.call_from_thread(run.loop.stop)

    ender = threading.Thread(target=finish)
    ender.start()
    run.loop.run()
    ender.join()
    assert len(run.done) == 300
    assert threads == {threading.main_thread()}


def test_more_wakes_than_the_pipe_holds(run: Run) -> None:
    """Waking a loop that does not look never blocks."""
    for _ in range(2000):
        run.loop.wake()
    run.loop.call_from_thread(run.say("end", stop=True))
    run.loop.run()
    assert run.done == ["end"]


def test_a_socket_is_watched_until_it_is_unwatched(run: Run, pair: tuple[socket.socket, socket.socket]) -> None:
    """Ready as long as something is unread; watching again replaces what was watched."""
    ours, theirs = pair

    def readable() -> None:
        run.done.append(ours.recv(1).decode())
        if run.done[-1] == "c":
            run.loop.unwatch(ours)
            run.loop.call_later(0, run.loop.stop)

    run.loop.watch(ours, WRITE, lambda: run.loop.watch(ours, READ, readable))
    theirs.send(b"abcd")
    run.loop.run()
    assert run.done == ["a", "b", "c"]
    run.loop.unwatch(ours)  # twice is harmless


def test_a_closed_socket_is_unwatched_without_harm(run: Run) -> None:
    """Whoever closed it first may still unwatch it."""
    ours, theirs = socket.socketpair()
    run.loop.watch(ours, READ, run.say("readable"))
    run.loop.unwatch(ours)
    ours.close()
    theirs.close()
    run.loop.unwatch(ours)
    run.loop.call_from_thread(run.loop.stop)
    run.loop.run()
    assert run.done == []


def test_who_was_unwatched_in_this_turn_is_not_called(run: Run) -> None:
    """Two sockets are ready at once; whichever is called first stops the watch on the other."""
    pairs = [socket.socketpair() for _ in range(2)]

    def first_come(mine: int) -> None:
        run.done.append("one")
        run.loop.unwatch(pairs[1 - mine][0])
        run.loop.call_later(0, run.loop.stop)

    for index, (ours, theirs) in enumerate(pairs):
        run.loop.watch(ours, WRITE, lambda index=index: first_come(index))
        theirs.send(b"x")
    run.loop.run()
    for both in pairs:
        for sock in both:
            sock.close()
    assert set(run.done) == {"one"}
    assert run.errors == []


def test_a_callback_that_raises_costs_nobody_else_their_turn(
    run: Run, pair: tuple[socket.socket, socket.socket]
) -> None:
    """From a timer, a thread or a socket: reported, and the loop goes on."""
    ours, theirs = pair

    def broken_reader() -> None:
        ours.recv(1)
        run.loop.call_later(0, run.say("end", stop=True))
        run.fail()

    run.loop.watch(ours, READ, broken_reader)
    run.loop.call_later(0, run.fail)
    run.loop.call_later(0, run.say("timer"))
    run.loop.call_from_thread(run.fail)
    run.loop.call_from_thread(run.say("thread"))
    run.loop.call_later(0, lambda: theirs.send(b"x") and None)
    run.loop.run()
    assert sorted(run.done) == ["end", "thread", "timer"]
    assert [str(error) for error in run.errors] == ["a bug"] * 3


def test_a_closed_loop_is_no_trap_for_threads(run: Run) -> None:
    """A lookup that ends after the loop did has nobody to tell, and no error either."""
    loop = Loop(run.errors.append)
    loop.close()
    loop.call_from_thread(run.say("never"))
    assert (run.done, run.errors) == ([], [])


def test_what_came_while_others_were_served_is_in_time(run: Run) -> None:
    """An answer that arrives during a long callback is read before the timer that would have given it up."""
    first, to_first = socket.socketpair()
    second, to_second = socket.socketpair()
    with first, to_first, second, to_second:
        timer = run.loop.call_later(3.0, run.say("given up"))

        def work_long() -> None:
            run.loop.unwatch(first)
            run.clock.advance(10.0)
            to_second.send(b"x")

        def answered() -> None:
            timer.cancel()
            run.say("answered", stop=True)()

        run.loop.watch(first, READ, work_long)
        run.loop.watch(second, READ, answered)
        to_first.send(b"x")
        run.loop.run()
    assert run.done == ["answered"]


def test_who_has_patience_is_called_when_the_loop_is_awake_anyway(run: Run) -> None:
    """Not before their time, not twice, and where nothing else happens at the end of their patience."""
    run.loop.call_later(10, run.say("patient"), patience_seconds=5)
    run.loop.call_later(20, run.say("early"), patience_seconds=5)
    run.loop.call_later(30, run.say("cancelled"), patience_seconds=5).cancel()
    for at in (9, 12, 19):
        run.loop.call_later(at, run.say(f"at {at}"))

    def step() -> None:
        run.clock.advance(1)
        run.done.append("")
        if len(run.done) < 40:
            run.loop.call_later(0.0, step)
        else:
            run.loop.stop()

    run.loop.call_later(0.0, step)
    run.loop.run()
    assert [what for what in run.done if what] == ["at 9", "patient", "at 12", "at 19", "early"]


def test_patience_ends(run: Run) -> None:
    """The loop wakes up for a patient timer, too."""
    run.loop.call_later(10, run.say("patient", stop=True), patience_seconds=5)
    run.loop.call_from_thread(lambda: run.clock.advance(15))
    run.loop.run()
    assert run.done == ["patient"]


def test_what_is_asked_for_at_once_is_called_at_the_end_of_the_turn(run: Run) -> None:
    """Behind the timers that are due; what it asks for in its turn waits for the sockets of the next one."""
    run.loop.call_later(
        1, lambda: run.loop.call_later(0.0, lambda: run.loop.call_later(0.0, run.say("at last", stop=True)))
    )
    run.loop.call_later(1, run.say("due"))
    run.loop.call_later(1, lambda: run.loop.call_from_thread(run.say("a socket")))
    run.clock.advance(1)
    run.loop.run()
    assert run.done == ["due", "a socket", "at last"]
