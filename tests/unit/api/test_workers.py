"""Queries run so many at once, wait so many, and not longer than allowed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from kpwatch.api.workers import Workers
from kpwatch.base.errors import QueryTimeout, TooBusy
from kpwatch.base.telemetry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Scene:
    """Workers, what they count, and an event that lets waiting work go."""

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        self.telemetry = Registry()
        self.workers = Workers(threads, waiting, seconds, self.telemetry)
        self.release = threading.Event()

    def play(self, test: Callable[[Scene], Coroutine]) -> None:
        async def run() -> None:
            try:
                await test(self)
            finally:
                self.release.set()
                self.workers.close()

        asyncio.run(run())

    def count(self, name: str) -> float:
        return next(value for known, _, value in self.telemetry.samples() if known == f"kpwatch_hub_queries_{name}")


def test_no_more_at_once_than_threads() -> None:
    """Twenty works on two threads: never three at a time, all done."""
    lock = threading.Lock()
    running: list[int] = [0]
    most: list[int] = [0]

    def work() -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.002)
        with lock:
            running[0] -= 1
        return 1

    async def test(scene: Scene) -> None:
        assert sum(await asyncio.gather(*(scene.workers.run(work) for _ in range(20)))) == 20

    Scene(2, 64, 10).play(test)
    assert most == [2]


def test_who_would_wait_too_long_a_queue_is_refused() -> None:
    """One runs, one waits, the third is told to come back; afterwards there is room again."""

    async def test(scene: Scene) -> None:
        run, release = scene.workers.run, scene.release
        first = asyncio.create_task(run(release.wait))
        await asyncio.sleep(0)
        second = asyncio.create_task(run(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(TooBusy, match="waiting already"):
            await run(release.wait)
        release.set()
        assert await asyncio.gather(first, second) == [True, True]
        assert await run(lambda: "again") == "again"

    scene = Scene(1, 1, 10)
    scene.play(test)
    assert scene.count("refused_total") == 1


def test_a_timeout_in_the_queue_and_one_while_running() -> None:
    """Both end in time and say where; the thread stays taken until its work is really over."""

    async def test(scene: Scene) -> None:
        with pytest.raises(QueryTimeout, match=r"while it was evaluated after 0\.05 s"):
            await scene.workers.run(scene.release.wait)
        assert scene.count("running") == 1
        with pytest.raises(QueryTimeout, match=r"in the queue after 0\.01 s"):
            await scene.workers.run(scene.release.wait, 0.01)
        scene.release.set()
        assert await scene.workers.run(lambda: 1, 10) == 1

    scene = Scene(1, 8, 0.05)
    scene.play(test)
    assert scene.count("timed_out_total") == 2


def test_errors_come_through_and_free_their_thread() -> None:
    """What the work raises is raised; the next one runs."""

    async def test(scene: Scene) -> None:
        with pytest.raises(ZeroDivisionError):
            await scene.workers.run(lambda: 1 // 0)
        assert await scene.workers.run(lambda: 1) == 1

    Scene(1, 1, 10).play(test)


def test_who_goes_away_from_the_queue_leaves_it() -> None:
    """Its work is never done, and its place is another's."""

    async def test(scene: Scene) -> None:
        first = asyncio.create_task(scene.workers.run(scene.release.wait))
        await asyncio.sleep(0)
        second = asyncio.create_task(scene.workers.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.create_task(scene.workers.run(lambda: done.append("third")))
        await asyncio.sleep(0)
        scene.release.set()
        await asyncio.gather(first, third)

    done: list[str] = []
    Scene(1, 1, 10).play(test)
    assert done == ["third"]


def test_what_is_started_is_told_once() -> None:
    """A result, an error, or that it took too long; what comes after that is nobody's."""

    async def test(scene: Scene) -> None:
        told: asyncio.Queue[object] = asyncio.Queue()
        scene.workers.start(lambda: 1, told.put_nowait)
        assert await told.get() == 1
        scene.workers.start(lambda: 1 // 0, told.put_nowait)
        assert isinstance(await told.get(), ZeroDivisionError)
        scene.workers.start(scene.release.wait, told.put_nowait, 0.01)
        assert isinstance(await told.get(), QueryTimeout)
        scene.release.set()
        assert await scene.workers.run(lambda: "after it") == "after it"
        assert told.empty()

    Scene(1, 1, 10).play(test)


def test_a_panic_takes_no_thread() -> None:
    """What is no Exception is an error like others to who asked."""

    def panic() -> None:
        raise SystemExit(3)

    async def test(scene: Scene) -> None:
        with pytest.raises(RuntimeError, match="SystemExit"):
            await scene.workers.run(panic)
        assert await scene.workers.run(lambda: 1) == 1

    Scene(1, 1, 10).play(test)


def test_a_thread_tidies_up_once_after_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that worked and then has nothing to do tidies up, not again and again; it begins once."""
    monkeypatch.setattr("kpwatch.api.workers.IDLE_SECONDS", 0.001)
    begun, tidied = threading.Semaphore(0), threading.Semaphore(0)

    async def test() -> None:
        workers = Workers(1, 1, 10, Registry(), begin=begun.release, tidy=tidied.release)
        try:
            for answer in (1, 2):
                assert await workers.run(lambda answer=answer: answer) == answer
                assert await asyncio.to_thread(tidied.acquire, timeout=30)
            assert not tidied.acquire(timeout=0.05)
            assert begun.acquire(timeout=30)
            assert not begun.acquire(timeout=0)
        finally:
            workers.close()

    asyncio.run(test())
