"""The append-only log: what is in it stays in it, whatever happened to its files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.recordlog import MAGIC, RecordLog, encode_record, read_records

if TYPE_CHECKING:
    from pathlib import Path


def contents(log: RecordLog) -> list[tuple[int, bytes]]:
    """(sequence, payload) of everything readable."""
    return [
        (record.sequence, record.payload)
        for segment in log.segments
        for record in segment.records()
        if record.kind is not None
    ]


def filled(directory: Path, payloads: list[bytes], segment_bytes: int = 1 << 20) -> RecordLog:
    """A log with one record per payload."""
    log = RecordLog(directory, segment_bytes)
    for payload in payloads:
        log.append(1, payload)
    return log


@given(payloads=st.lists(st.binary(max_size=200), max_size=30), segment_bytes=st.integers(1, 400))
def test_what_is_appended_is_read_back(tmp_path_factory, payloads: list[bytes], segment_bytes: int) -> None:
    """Every record, in order, over any number of segments and a reopening in the middle."""
    directory = tmp_path_factory.mktemp("log")
    half = len(payloads) // 2
    filled(directory, payloads[:half], segment_bytes).close()
    log = filled(directory, payloads[half:], segment_bytes)
    assert contents(log) == list(enumerate(payloads, start=1))
    assert log.size_bytes == sum(path.stat().st_size for path in directory.iterdir())
    log.close()


@given(payloads=st.lists(st.binary(max_size=60), min_size=1, max_size=6), data=st.data())
def test_a_torn_tail_costs_only_the_torn_record(tmp_path_factory, payloads: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere: the records before the cut stay, the next append follows them."""
    directory = tmp_path_factory.mktemp("log")
    filled(directory, payloads).close()
    path = next(directory.iterdir())
    cut = data.draw(st.integers(0, path.stat().st_size))
    sizes = [len(MAGIC)]
    for sequence, payload in enumerate(payloads, start=1):
        sizes.append(sizes[-1] + len(encode_record(sequence, 1, payload)))
    os.truncate(path, cut)
    log = RecordLog(directory, 1 << 20)
    kept = sum(1 for size in sizes[1:] if size <= cut)
    assert [payload for _, payload in contents(log)] == payloads[:kept]
    log.append(1, b"after")
    assert [payload for _, payload in contents(log)] == [*payloads[:kept], b"after"]
    log.close()


@given(payloads=st.lists(st.binary(max_size=60), min_size=3, max_size=8), data=st.data())
def test_a_flipped_bit_costs_only_its_record(payloads: list[bytes], data: st.DataObject) -> None:
    """One bit anywhere in the records: all records but the one it hit are read."""
    records = [encode_record(sequence, 1, payload) for sequence, payload in enumerate(payloads)]
    content = bytearray(b"".join(records))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    hit = next(index for index in range(len(records)) if bit // 8 < sum(map(len, records[: index + 1])))
    read = list(read_records(bytes(content)))
    assert [record.sequence for record in read if record.kind is not None] == [
        index for index in range(len(records)) if index != hit
    ]
    assert sum(len(record.payload) for record in read if record.kind is None) == len(records[hit])


def test_a_payload_that_looks_like_records_is_a_payload() -> None:
    """Sync marks inside a payload do not begin a record."""
    inner = encode_record(7, 1, b"inner")
    [record] = read_records(encode_record(1, 1, inner))
    assert (record.sequence, record.payload) == (1, inner)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """A file that is no segment is neither read nor removed."""
    (tmp_path / "notes.log").write_text("mine")
    log = filled(tmp_path, [b"a"])
    assert contents(log) == [(1, b"a")]
    log.close()
    assert (tmp_path / "notes.log").read_text() == "mine"


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write the system cuts short is undone and reported."""
    log = filled(tmp_path, [b"a"])
    monkeypatch.setattr(os, "writev", lambda file, pieces: os.write(file, b"".join(pieces)[:5]))
    with pytest.raises(OSError, match="part of a record"):
        log.append(1, b"b" * 100)
    monkeypatch.undo()
    assert log.append(1, b"c") == 2
    assert contents(log) == [(1, b"a"), (2, b"c")]
    log.close()
