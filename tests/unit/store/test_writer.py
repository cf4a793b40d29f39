"""One thread writes: appends that come together share a commit, in the order they came."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import BadInput, StoreError
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.store.writer import Command
from tests.unit.store.samples import T0, bits_of, everything, frame, layout, opened

if TYPE_CHECKING:
    from pathlib import Path

ONE = layout(0)


def counted(telemetry: Registry, name: str) -> float:
    return {shown: value for shown, _, value in telemetry.samples()}[name]


def test_appends_that_come_together_share_a_commit(tmp_path: Path) -> None:
    """Of a hundred within the wait there are a handful of syncs; of two for the same time the later one counts."""
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry, commit_wait_seconds=0.05) as store:
        wait([store.append([frame(1, ONE, T0 + n // 2, [n])]) for n in range(100)], timeout=60)
        assert counted(telemetry, "kpwatch_store_commits_total") < 20
        assert counted(telemetry, "kpwatch_store_frames_total") == 100
        assert counted(telemetry, "kpwatch_store_overwritten_samples_total") == 50
        assert sorted(everything(store).values()) == [bits_of(float(n)) for n in range(1, 100, 2)]


def test_one_sender_alone_waits_for_nobody(tmp_path: Path) -> None:
    """However long a batch may wait for company; and what came with others is waited for, but no longer than that."""
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry, commit_wait_seconds=3600) as store:
        for number in range(5):
            assert store.append([frame(1, ONE, T0 + number, [number])]).result(60) == (1, 0)
        held = threading.Event()
        store._writer.submit(Command(held.wait))
        together = [store.append([frame(2, ONE, T0 + number, [number])]) for number in range(2)]
        held.set()
        wait(together, timeout=60)
        alone = store.append([frame(1, ONE, T0 + 10, [1])])
        company = store.append([frame(1, ONE, T0 + 11, [1])])
        assert (alone.result(60), company.result(60)) == ((1, 0), (1, 0))
        assert counted(telemetry, "kpwatch_store_commits_total") == 7


def test_an_outcome_is_told_once(tmp_path: Path) -> None:
    """Without a Future: what is on disk, or why it is not."""
    told: list[object] = []
    with opened(tmp_path) as store:
        store.append_then([frame(1, ONE, T0, [1])], told.append)
        store.append_then([frame(1, layout(0, 0), T0, [1, 2])], told.append)
        store.append_then([frame(1, ONE, T0, [2])], told.append)
    assert [one for one in told if not isinstance(one, BadInput)] == [(1, 0), (1, 1)]
    assert len(told) == 3


def test_a_commit_is_bounded(tmp_path: Path) -> None:
    """batch_bytes: what is more waits for the next."""
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry, commit_wait_seconds=0.05, batch_bytes=1) as store:
        wait([store.append([frame(1, ONE, T0 + n, [n])]) for n in range(10)], timeout=60)
        assert counted(telemetry, "kpwatch_store_commits_total") == 10


def test_an_append_nobody_waits_for_any_more(tmp_path: Path) -> None:
    """Cancelled before it was taken: not stored."""
    held = threading.Event()
    with opened(tmp_path) as store:
        store._writer.submit(Command(held.wait))
        first = store.append([frame(1, ONE, T0, [1])])
        second = store.append([frame(1, ONE, T0 + 1, [2])])
        assert second.cancel()
        held.set()
        first.result(60)
        assert [at for _, at in everything(store)] == [T0]


def test_an_empty_append(tmp_path: Path) -> None:
    """No frames, or frames without columns: done at once, nothing stored."""
    with opened(tmp_path) as store:
        assert store.append([]).result(60) == (0, 0)
        assert store.append([frame(1, layout(), T0, [])]).result(60) == (0, 0)
        assert everything(store) == {}


def test_an_error_nobody_foresaw_fails_the_append_and_not_the_store(tmp_path: Path) -> None:
    """The thread lives, the future tells, the log has the place."""
    said: list[str] = []
    with opened(tmp_path, log=Logger(said.append)) as store:
        right, store._state.next_row = store._state.next_row, "not a number"  # type: ignore[assignment]
        with pytest.raises(StoreError, match="TypeError"):
            store.append([frame(1, ONE, T0, [1])]).result(60)
        assert any("commit.py" in line for line in said)
        store._state.next_row = right
        store.append([frame(1, ONE, T0, [1])]).result(60)
        assert len(everything(store)) == 1


def test_the_order_of_one_sender_is_kept(tmp_path: Path) -> None:
    """An append of several frames for one time: the last of them wins."""
    with opened(tmp_path) as store:
        done = store.append([frame(1, ONE, T0, [n]) for n in range(5)]).result(60)
        assert done == (5, 4)
        assert list(everything(store).values()) == [bits_of(4.0)]
