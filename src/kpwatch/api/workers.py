"""A bounded place for work that takes time: so many at once, so many waiting, none longer than allowed.

The event loop never evaluates: it hands work to threads and waits. A slot is free again when its work has really
ended, not when its client gave up, so abandoned queries cannot pile up behind the bound.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from kpwatch.base.errors import QueryTimeout, TooBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.telemetry import Registry

Result = TypeVar("Result")


class Workers:
    """`threads` works at once, at most `waiting` in the queue, at most `timeout_seconds` for both together."""

    def __init__(self, threads: int, waiting: int, timeout_seconds: float, telemetry: Registry) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._slots = asyncio.Semaphore(threads)
        self._max_waiting = waiting
        self._waiting = 0
        self._running = 0
        self.timeout_seconds = timeout_seconds
        self._refused = telemetry.counter(
            "kpwatch_hub_queries_refused_total", "Queries refused because too many were waiting."
        )
        self._timed_out = telemetry.counter(
            "kpwatch_hub_queries_timed_out_total", "Queries that were not done within their time."
        )
        telemetry.gauge("kpwatch_hub_queries_waiting", "Queries waiting for a thread.", lambda: self._waiting)
        telemetry.gauge("kpwatch_hub_queries_running", "Queries being evaluated.", lambda: self._running)

    async def run(self, work: Callable[[], Result], timeout_seconds: float = 0.0) -> Result:
        """`work()` on a thread; raises TooBusy, QueryTimeout and whatever `work` raises."""
        if self._waiting >= self._max_waiting:
            self._refused.add()
            raise TooBusy(f"{self._waiting} queries are waiting already, which is the limit; try again shortly")
        allowed = timeout_seconds or self.timeout_seconds
        where = "in the queue"
        try:
            async with asyncio.timeout(allowed):
                await self._wait_for_slot()
                where = "while it was evaluated"
                return await asyncio.shield(self._start(work))
        except TimeoutError as error:
            self._timed_out.add()
            raise QueryTimeout(f"the query timed out {where} after {allowed:g} s; ask for less, or raise it") from error

    async def _wait_for_slot(self) -> None:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    def _start(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[Result]) -> None:
        self._running -= 1
        self._slots.release()
        if not future.cancelled():
            future.exception()  # an abandoned query's error has no reader; asking for it keeps asyncio from complaining

    def close(self) -> None:
        """Start nothing more; what runs is left to end by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
