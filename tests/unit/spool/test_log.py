"""The spool: one copy of every scrape, a way through it per writer, every loss counted."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.recordlog import RecordLog
from kpwatch.model.encoded import FORMS, SOURCES, EncodedScrape, Form
from kpwatch.spool.log import Reader, Spool
from kpwatch.spool.options import SpoolOptions

if TYPE_CHECKING:
    from collections.abc import Callable

V1 = Form("off", "1.0")
OTHER = Form("rename", "2.0")


def scrape(number: int, samples: int = 1, size: int = 10) -> EncodedScrape:
    """A scrape that can be told from every other."""
    return EncodedScrape(f"{number:0{size}d}".encode(), samples, number)


def converted(given: EncodedScrape, _written: Form, form: Form) -> EncodedScrape:
    """A conversion that shows."""
    return given._replace(block=given.block + f" as {form.ident} {form.protocol}".encode())


def opened(directory: Path | None, **options: int) -> Spool:
    """A spool on disk, or in memory for None."""
    chosen = SpoolOptions(directory=directory, **options)
    log = RecordLog(directory, chosen.segment_bytes) if directory is not None else None
    return Spool(chosen, log, converted, SYSTEM_CLOCK)


def drained(reader: Reader, batch_samples: int = 1) -> list[int]:
    """Take and settle everything; the numbers of the scrapes."""
    numbers = []
    while batch := reader.take(batch_samples):
        numbers += [int(item.block.split()[0]) for item in batch]
        reader.settle()
    return numbers


@pytest.mark.parametrize("recent_bytes", [0, 1 << 20], ids=["read back from disk", "kept in memory"])
def test_every_writer_gets_every_scrape_once_and_in_order(tmp_path: Path, recent_bytes: int) -> None:
    """Two readers at their own pace."""
    spool = opened(tmp_path, recent_bytes=recent_bytes, segment_bytes=200)
    fast, slow = spool.reader("fast", V1), spool.reader("slow", V1)
    seen = []
    for number in range(50):
        spool.append({V1: scrape(number)})
        seen += drained(fast)
    assert seen == list(range(50))
    assert slow.samples == 50
    assert drained(slow, batch_samples=7) == list(range(50))
    assert spool.counts.lost == {"fast": 0, "slow": 0}
    spool.close()


def test_a_restart_goes_on_at_the_cursor(tmp_path: Path) -> None:
    """What was settled does not come again, what was only taken does."""
    spool = opened(tmp_path)
    reader = spool.reader("w", V1)
    for number in range(5):
        spool.append({V1: scrape(number)})
    reader.take(2)
    reader.settle()
    reader.take(2)
    del spool  # as a kill would: nothing is closed
    again = opened(tmp_path).reader("w", V1)
    assert again.samples == 3
    assert drained(again) == [2, 3, 4]


def test_a_new_writer_begins_now_and_a_removed_one_is_named(tmp_path: Path) -> None:
    """A writer the log does not know has no claim on the past."""
    spool = opened(tmp_path)
    spool.reader("old", V1)
    spool.append({V1: scrape(1, samples=3)})
    spool.close()
    spool = opened(tmp_path)
    new = spool.reader("new", V1)
    assert drained(new) == []
    assert spool.forgotten() == {"old": 3}


def test_damaged_cursors_mean_from_the_beginning(tmp_path: Path) -> None:
    """Twice is better than never."""
    spool = opened(tmp_path)
    reader = spool.reader("w", V1)
    spool.append({V1: scrape(1)})
    reader.take(1)
    reader.settle()
    spool.append({V1: scrape(2)})
    spool.close()
    path = next(tmp_path.glob("*.log"))
    path.write_bytes(path.read_bytes().replace(b" w", b"#w"))
    again = opened(tmp_path)
    assert drained(again.reader("w", V1)) == [1, 2]
    assert again.counts.damaged_bytes > 0


def test_a_damaged_record_is_a_counted_loss(tmp_path: Path) -> None:
    """Its neighbours arrive; the reader knows how many samples are missing."""
    spool = opened(tmp_path)
    spool.reader("w", V1)
    for number in range(3):
        spool.append({V1: scrape(number, samples=4)})
    spool.close()
    path = next(tmp_path.glob("*.log"))
    path.write_bytes(path.read_bytes().replace(b"0000000001", b"000000000X"))
    spool = opened(tmp_path)
    assert drained(spool.reader("w", V1)) == [0, 2]
    assert spool.counts.lost["w"] == 4


def test_the_byte_bound_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    """A writer that is never up costs a bounded disk."""
    spool = opened(tmp_path, max_bytes=2000, segment_bytes=300, recent_bytes=0)
    dead = spool.reader("dead", V1)
    for number in range(200):
        spool.append({V1: scrape(number)})
    assert spool.size_bytes <= 2000 + 300
    rest = drained(dead)
    assert rest == list(range(200 - len(rest), 200))
    assert spool.counts.lost["dead"] == 200 - len(rest)


def test_the_age_bound_drops_what_nobody_will_miss(tmp_path: Path) -> None:
    """Segments older than the bound go at the next tick."""
    spool = opened(tmp_path, segment_bytes=100, recent_bytes=0)
    dead = spool.reader("dead", V1)
    for number in range(20):
        spool.append({V1: scrape(number)})
    oldest = min(tmp_path.glob("*.log"))
    os.utime(oldest, (0, 0))
    spool.tick()
    assert not oldest.exists()
    assert spool.counts.lost["dead"] == 20 - len(drained(dead)) > 0


def test_delivered_segments_go(tmp_path: Path) -> None:
    """A writer that keeps up leaves one segment behind."""
    spool = opened(tmp_path, segment_bytes=100)
    reader = spool.reader("w", V1)
    for number in range(100):
        spool.append({V1: scrape(number)})
        drained(reader)
    assert len(list(tmp_path.glob("*.log"))) <= 2


class FullDisk:
    """Makes every write fail while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        for name in ("write", "writev"):
            monkeypatch.setattr(os, name, partial(self._write, getattr(os, name)))

    def _write(self, write: Callable[[int, object], int], file: int, data: object) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)


@pytest.mark.parametrize("segment_bytes", [100, 1 << 20])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment_bytes: int) -> None:
    """Scrapes wait in memory, go out in order, and reach the log when there is room again."""
    disk = FullDisk(monkeypatch)
    spool = opened(tmp_path, recent_bytes=0, segment_bytes=segment_bytes)
    reader = spool.reader("w", V1)
    spool.append({V1: scrape(0)})
    disk.full = True
    for number in range(1, 6):
        spool.append({V1: scrape(number)})
    assert "No space left" in spool.problem
    assert spool.unwritten == 5
    assert [int(item.block) for item in reader.take(3)] == [0, 1, 2]
    reader.settle()
    disk.full = False
    spool.tick()
    assert (spool.problem, spool.unwritten) == ("", 0)
    spool.close()
    assert drained(opened(tmp_path).reader("w", V1)) == [3, 4, 5]


def test_memory_only_is_bounded_in_samples_and_bytes() -> None:
    """Without a directory the oldest go first, counted; a scrape beyond the bound is still kept alone."""
    spool = opened(None, memory_samples=10, memory_bytes=1 << 20)
    reader = spool.reader("w", V1)
    for number in range(30):
        spool.append({V1: scrape(number)})
    assert drained(reader) == list(range(20, 30))
    assert spool.counts.lost["w"] == 20
    spool.append({V1: scrape(99, samples=1000)})
    assert drained(reader) == [99]


def test_what_is_dropped_while_it_is_under_way_is_lost_only_if_it_does_not_arrive() -> None:
    """Counted when the batch is taken again, not when it is settled."""
    for arrives, lost in ((True, 0), (False, 2)):
        spool = opened(None, memory_samples=3)
        reader = spool.reader("w", V1)
        for number in range(3):
            spool.append({V1: scrape(number)})
        assert len(reader.take(2)) == 2
        for number in range(3, 5):
            spool.append({V1: scrape(number)})
        if arrives:
            reader.settle()
        assert drained(reader) == [2, 3, 4]
        assert reader.lost == lost


def test_a_reader_gets_its_form(tmp_path: Path) -> None:
    """At hand while it is recent, converted from what is on disk afterwards."""
    spool = opened(tmp_path)
    first, second = spool.reader("first", V1), spool.reader("second", OTHER)
    spool.append({V1: scrape(1), OTHER: scrape(2)})
    assert [item.block for item in first.take(1)] == [scrape(1).block]
    assert [item.block for item in second.take(1)] == [scrape(2).block]
    spool.close()
    spool = opened(tmp_path)
    spool.reader("first", V1)
    assert [item.block for item in spool.reader("second", OTHER).take(1)] == [scrape(1).block + b" as rename 2.0"]


def test_forms_never_change_their_number() -> None:
    """The numbers stand in logs on disk."""
    assert [(form.ident, form.protocol) for form in FORMS] == [
        ("off", "1.0"),
        ("add", "1.0"),
        ("rename", "1.0"),
        ("off", "2.0"),
        ("add", "2.0"),
        ("rename", "2.0"),
    ]


class SpoolModel(RuleBasedStateMachine):
    """Random appends, deliveries, failing disks and kills: every reader sees all scrapes, in order, none invented."""

    readers = Bundle("readers")

    @initialize(segment_bytes=st.integers(80, 500), recent_bytes=st.integers(0, 200))
    def open(self, segment_bytes: int, recent_bytes: int) -> None:
        """Begin."""
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.options = {"segment_bytes": segment_bytes, "recent_bytes": recent_bytes}
        self.appended: list[int] = []
        self.delivered: dict[str, list[int]] = {"a": [], "b": []}
        self._reopen()

    def _reopen(self) -> None:
        self.spool = opened(Path(self.directory.name), **self.options)
        self.reader = {key: self.spool.reader(key, V1) for key in self.delivered}

    @rule(samples=st.integers(1, 5))
    def append(self, samples: int) -> None:
        """One scrape."""
        self.spool.append({V1: scrape(len(self.appended), samples)})
        self.appended.append(samples)

    @rule(key=st.sampled_from("ab"), batch=st.integers(1, 12), acknowledged=st.booleans())
    def deliver(self, key: str, batch: int, acknowledged: bool) -> None:
        """One request, answered or not."""
        numbers = [int(item.block) for item in self.reader[key].take(batch)]
        assert numbers == list(range(len(self.delivered[key]), len(self.delivered[key]) + len(numbers)))
        if acknowledged:
            self.reader[key].settle()
            self.delivered[key] += numbers

    @rule()
    def kill(self) -> None:
        """Nothing is closed; a new process opens the directory."""
        self._reopen()

    @rule()
    def tick(self) -> None:
        """A second passes."""
        self.spool.tick()

    @invariant()
    def what_waits_is_what_was_not_delivered(self) -> None:
        """Counted in samples."""
        if hasattr(self, "appended"):
            for key, reader in self.reader.items():
                assert reader.samples == sum(self.appended[len(self.delivered[key]) :])

    def teardown(self) -> None:
        """Clean up."""
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("recent_bytes", [0, 1 << 20], ids=["read back from disk", "kept in memory"])
def test_what_is_too_old_is_given_up_from_the_front(tmp_path: Path, recent_bytes: int) -> None:
    """Up to the first scrape that is young enough; what lies behind that is looked at when it is its turn."""
    spool = opened(tmp_path, recent_bytes=recent_bytes, segment_bytes=200)
    reader, other = spool.reader("a", V1), spool.reader("b", V1)
    for number in (1, 2, 3, 10, 4, 11):
        spool.append({V1: scrape(number, samples=5)})
    assert reader.drop_older(4, 1000) == 15
    assert reader.drop_older(4, 1000) == 0
    assert reader.samples == 15
    assert [int(item.block) for item in reader.take(1)] == [10]
    reader.settle()
    assert reader.drop_older(5, 1000) == 5
    assert drained(reader) == [11]
    assert drained(other) == [1, 2, 3, 10, 4, 11]
    assert (reader.lost, other.lost) == (0, 0)


def test_giving_up_is_bounded_and_remembered(tmp_path: Path) -> None:
    """A long backlog goes in portions, and a restart does not bring it back."""
    spool = opened(tmp_path)
    reader = spool.reader("a", V1)
    for number in range(10):
        spool.append({V1: scrape(number, samples=5)})
    assert reader.drop_older(100, 12) == 15
    spool.close()
    again = opened(tmp_path).reader("a", V1)
    assert again.samples == 35
    assert again.drop_older(100, 1000) == 35


def test_a_scrape_knows_its_source_over_a_restart(tmp_path: Path) -> None:
    """The number is written with it."""
    spool = opened(tmp_path)
    spool.reader("a", V1)
    for source in (0, 1, SOURCES - 1):
        spool.append({V1: scrape(source)._replace(source=source)})
    spool.close()
    assert [item.source for item in opened(tmp_path).reader("a", V1).take(1000)] == [0, 1, SOURCES - 1]


def test_a_form_that_is_not_at_hand_comes_from_the_nearest() -> None:
    """The other version with the same `ident`, where there is one."""
    spool = opened(None)
    reader = spool.reader("a", Form("rename", "1.0"))
    spool.append({Form("off", "1.0"): scrape(1), Form("rename", "2.0"): scrape(2)})
    assert reader.take(1)[0].block.endswith(b"2 as rename 1.0")
