"""The writer's thread: takes what waits, commits it together, and does background work in between.

Appends and commands stand in one queue, in the order they came. A sync costs the same for one append as for a hundred,
so a batch waits a moment (`commit_wait_seconds`) until as many have come as in the batch before: senders that wait for
their answers come again, and one that is alone waits for nobody.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import StoreClosed, StoreError, StoreOverloaded
from kpwatch.store.commit import Append, commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.store.maintenance import Maintenance
    from kpwatch.store.state import State

IDLE_SECONDS = 5.0
"""How long the thread sleeps when nothing comes: how late retention may be."""


class Command:
    """Something to be done in the writer's thread."""

    __slots__ = ("bytes", "future", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.bytes = 0
        self.future: Future[Any] = Future()

    def run(self) -> None:
        """Do it; the future tells the outcome."""
        if self.future.set_running_or_notify_cancel():
            try:
                self.future.set_result(self.work())
            except Exception as error:  # noqa: BLE001 - whoever asked gets it, whatever it is
                self.future.set_exception(error)


class Writer:
    """Owns the queue and the thread."""

    def __init__(self, state: State, maintenance: Maintenance) -> None:
        self._state = state
        self._maintenance = maintenance
        self._queue: deque[Append | Command] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self.queued_bytes = 0
        self._company = 1
        """Appends of the latest batch."""
        self._thread = threading.Thread(target=self._run, name="kpwatch-store-writer", daemon=True)
        self._thread.start()

    def submit(self, item: Append | Command) -> None:
        """Queue `item`; raises StoreOverloaded or StoreClosed."""
        most = self._state.options.queue_bytes
        with self._changed:
            if self._closing.is_set():
                raise StoreClosed("the store is closed")
            if item.bytes and self.queued_bytes and self.queued_bytes + item.bytes > most:
                raise StoreOverloaded(
                    f"{self.queued_bytes} bytes wait to be committed and {item.bytes} more would pass the bound"
                    f" of {most} (queue_bytes): send again later"
                )
            self._queue.append(item)
            self.queued_bytes += item.bytes
            waiting = len(self._queue)
            if waiting == 1 or waiting >= self._company or isinstance(item, Command):
                self._changed.notify()

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        more_work = True
        while True:
            with self._changed:
                self._changed.wait_for(self._something_to_do, timeout=0 if more_work else IDLE_SECONDS)
                if self._queue:
                    self._changed.wait_for(self._is_complete, timeout=self._state.options.commit_wait_seconds)
                elif self._closing.is_set():
                    return
            self._work(self._take())
            more_work = self._background()

    def _something_to_do(self) -> bool:
        return bool(self._queue) or self._closing.is_set()

    def _is_complete(self) -> bool:
        """Whether there is nothing more to wait for."""
        queue = self._queue
        is_command = isinstance(queue[0], Command) or isinstance(queue[-1], Command)
        return is_command or len(queue) >= self._company or self._closing.is_set()

    def _take(self) -> list[Append | Command]:
        """The oldest of the queue: appends up to `batch_bytes` (one at least), or one command."""
        taken: list[Append | Command] = []
        size = 0
        with self._changed:
            while self._queue:
                item = self._queue[0]
                if taken and (isinstance(item, Command) or size + item.bytes > self._state.options.batch_bytes):
                    break
                taken.append(self._queue.popleft())
                size += item.bytes
                if isinstance(item, Command):
                    break
            self.queued_bytes -= size
        return taken

    def _work(self, items: list[Append | Command]) -> None:
        appends = [item for item in items if isinstance(item, Append)]
        for item in items:
            if isinstance(item, Command):
                item.run()
        if appends:
            self._company = len(appends)
            start = self._state.clock.monotonic_seconds()
            try:
                batch = commit(self._state, appends)
                self._state.wrote(sum(row.size for row in batch.rows))
                self._state.stages.note("journal", self._state.clock.monotonic_seconds() - start)
                self._maintenance.appended(batch.rows)
                for number, reason in batch.damaged.items():
                    self._maintenance.damaged(number, reason)
            except Exception as error:  # noqa: BLE001 - a thread that dies would take the store with it
                self._unforeseen("append")
                self._fail(appends, error)

    def _fail(self, appends: list[Append], error: Exception) -> None:
        for append in appends:
            if not append.is_done:
                self._state.counters.failed_appends.add()
                append.finish(StoreError(f"the store failed: {type(error).__name__}: {error}"))

    def _unforeseen(self, what: str) -> None:
        self._state.log.error(f"this {what} failed in a way nobody foresaw: {traceback.format_exc()}")

    def _background(self) -> bool:
        if self._closing.is_set():
            return False
        try:
            return self._maintenance.step()
        except Exception as error:  # noqa: BLE001 - as above
            self._unforeseen("background step")
            self._maintenance.failed(error)
            return False
