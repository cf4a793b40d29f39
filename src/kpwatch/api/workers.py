"""A bounded place for work that takes time: so many at once, so many waiting, none longer than allowed.

How long an answer may be is kept here too, for who writes it.

The event loop never evaluates: it hands work to threads and waits. A slot is free again when its work has really
ended, not when its client gave up, so abandoned queries cannot pile up behind the bound.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kpwatch.base.errors import QueryTimeout, TooBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.telemetry import Registry

END_SECONDS = 5.0
"""How long the end of what runs is waited for."""
IDLE_SECONDS = 30.0
"""After so long a thread without work tidies up."""

Result = TypeVar("Result")


class _Task(Generic[Result]):
    """Work and who is told what became of it."""

    __slots__ = ("_then", "is_running", "loop", "seconds", "timer", "work")

    def __init__(self, work: Callable[[], Result], then: Callable[[Result | Exception], None], seconds: float) -> None:
        self.work = work
        self._then: Callable[[Result | Exception], None] | None = then
        self.seconds = seconds
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.is_running = False

    def tell(self, outcome: Result | Exception) -> None:
        """The first time."""
        then = self._then
        self.forget()
        if then is not None:
            then(outcome)

    def forget(self) -> None:
        """Tell nobody."""
        self._then = None
        if self.timer is not None:
            self.timer.cancel()


class Workers:
    """`threads` works at once, at most `waiting` in the queue, at most `timeout_seconds` for both together."""

    def __init__(
        self,
        threads: int,
        waiting: int,
        timeout_seconds: float,
        telemetry: Registry,
        answer_bytes_max: int = 0,
        begin: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """`begin` is called by each thread first, `tidy` when it had nothing to do for `IDLE_SECONDS` after work."""
        self._threads_max = threads
        self._begin_thread = begin
        self._tidy = tidy
        self._threads: list[threading.Thread] = []
        self._handed_over: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._max_waiting = waiting
        self._waiting: deque[_Task[Any]] = deque()
        self._running = 0
        self._is_closed = False
        self.timeout_seconds = timeout_seconds
        self.answer_bytes_max = answer_bytes_max
        """0 = no bound."""
        self._refused = telemetry.counter(
            "kpwatch_hub_queries_refused_total", "Queries refused because too many were waiting."
        )
        self._timed_out = telemetry.counter(
            "kpwatch_hub_queries_timed_out_total", "Queries that were not done within their time."
        )
        telemetry.gauge("kpwatch_hub_queries_waiting", "Queries waiting for a thread.", lambda: len(self._waiting))
        telemetry.gauge("kpwatch_hub_queries_running", "Queries being evaluated.", lambda: self._running)

    async def run(self, work: Callable[[], Result], timeout_seconds: float = 0.0) -> Result:
        """`work()` on a thread; raises TooBusy, QueryTimeout and whatever `work` raises."""
        ended: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def then(outcome: Result | Exception) -> None:
            if isinstance(outcome, Exception):
                ended.set_exception(outcome)
            else:
                ended.set_result(outcome)

        task = self._start(work, then, timeout_seconds)
        try:
            return await ended
        finally:
            self._give_up(task)

    def start(
        self, work: Callable[[], Result], then: Callable[[Result | Exception], None], timeout_seconds: float = 0.0
    ) -> None:
        """As `run`, for who has no use for a coroutine: `then` is told once, on this event loop, what it would give.

        Raises TooBusy.
        """
        self._start(work, then, timeout_seconds)

    def _start(
        self, work: Callable[[], Result], then: Callable[[Result | Exception], None], timeout_seconds: float
    ) -> _Task[Result]:
        is_free = self._running < self._threads_max
        if not is_free and len(self._waiting) >= self._max_waiting:
            self._refused.add()
            raise TooBusy(f"{len(self._waiting)} queries are waiting already, which is the limit; try again shortly")
        task = _Task(work, then, timeout_seconds or self.timeout_seconds)
        task.timer = task.loop.call_later(task.seconds, self._late, task)
        if is_free:
            self._begin(task)
        else:
            self._waiting.append(task)
        return task

    def _begin(self, task: _Task[Any]) -> None:
        task.is_running = True
        self._running += 1
        if self._running > len(self._threads) and not self._is_closed:
            thread = threading.Thread(target=self._work, name=f"query-{self._running}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._handed_over.put(task)

    def _work(self) -> None:
        """A thread's life."""
        self._begin_thread()
        is_tidy = True
        while True:
            try:
                task = self._handed_over.get(timeout=None if is_tidy else IDLE_SECONDS)
            except Empty:
                self._tidy()
                is_tidy = True
                continue
            if task is None:
                return
            self._do(task)
            is_tidy = False
            del task  # its answer may be large, and the next one may be long in coming

    def _do(self, task: _Task[Any]) -> None:
        outcome: object
        try:
            outcome = task.work()
        except Exception as error:  # noqa: BLE001 - whoever started it judges it
            outcome = error
        except BaseException as error:  # noqa: BLE001 - a panic of a library: the thread lives on
            outcome = RuntimeError(f"the work was given up: {error!r}")
        with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            task.loop.call_soon_threadsafe(self._ended, task, outcome)

    def _ended(self, task: _Task[Any], outcome: object) -> None:
        self._running -= 1
        task.tell(outcome)
        if self._waiting:
            self._begin(self._waiting.popleft())

    def _late(self, task: _Task[Any]) -> None:
        where = "while it was evaluated" if task.is_running else "in the queue"
        if not task.is_running:
            self._waiting.remove(task)
        self._timed_out.add()
        task.tell(QueryTimeout(f"the query timed out {where} after {task.seconds:g} s; ask for less, or raise it"))

    def _give_up(self, task: _Task[Any]) -> None:
        """Nobody waits for it any more; what runs is left to run."""
        if not task.is_running and task in self._waiting:
            self._waiting.remove(task)
        task.forget()

    def close(self) -> None:
        """Start nothing more; what runs may end, within a bound."""
        self._is_closed = True
        for _ in self._threads:
            self._handed_over.put(None)
        for thread in self._threads:
            thread.join(END_SECONDS / len(self._threads))
