"""Threads that evaluate what is due.

A heap of groups by the time each is due; `concurrency` threads take the first. A group is in the heap or in one
thread's hands, so it is never evaluated twice at once. The wall clock rules; where it is set back, groups are due anew.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.base.clock import Clock
    from kpwatch.rules.groups import RunningGroup

LOOK_SECONDS = 1.0
"""How long a thread sleeps at most: the wall clock may be set meanwhile."""
END_SECONDS = 5.0


class Schedule:
    """Evaluates groups until it is stopped."""

    def __init__(self, evaluate: Callable[[RunningGroup, float], None], clock: Clock, concurrency: int) -> None:
        """`evaluate` is told the group and the time it was due; it must not raise."""
        self._evaluate = evaluate
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, RunningGroup]] = []
        self._order = itertools.count()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"rules-{number}", daemon=True) for number in range(concurrency)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def add(self, groups: Iterable[RunningGroup]) -> None:
        """Groups that are new; those that are gone leave by `is_gone`."""
        with self._changed:
            for group in groups:
                self._push(group, group.due_after(self._clock.unix_seconds()))
            self._changed.notify_all()

    def stop(self) -> None:
        """Begin nothing more; what runs may end, within a bound."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(END_SECONDS)

    def _push(self, group: RunningGroup, due: float) -> None:
        heapq.heappush(self._heap, (due, next(self._order), group))

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            due, group = taken
            self._evaluate(group, due)
            with self._changed:
                now = self._clock.unix_seconds()
                following = due + group.interval_seconds
                missed = int((now - following) // group.interval_seconds) + 1 if now >= following else 0
                if missed:
                    group.missed += missed
                    following = group.due_after(now)
                self._push(group, following)
                self._changed.notify()

    def _next(self) -> tuple[float, RunningGroup] | None:
        """The next group once it is due; None at the end."""
        with self._changed:
            while not self._stopping:
                wait = LOOK_SECONDS
                if self._heap:
                    due, _, group = self._heap[0]
                    wait = due - self._clock.unix_seconds()
                    if group.is_gone:
                        heapq.heappop(self._heap)
                        continue
                    if wait <= 0:
                        heapq.heappop(self._heap)
                        return due, group
                    if wait > group.interval_seconds * 2:  # the clock was set back
                        heapq.heappop(self._heap)
                        self._push(group, group.due_after(self._clock.unix_seconds()))
                        continue
                self._changed.wait(min(wait, LOOK_SECONDS))
        return None
