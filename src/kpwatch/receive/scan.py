"""Many series of a 2.0 body read at once: where their labels, values and times stand. Pure.

A series of the usual form is labels, one sample with a time of six bytes, perhaps with a start time, and perhaps
metadata before or behind it. Where each one ends is a matter of one addition; all else is looked up for some thousand
together. What is not of this form is left to who reads it field by field (walk_v2.py).

    2a len  0a len references  12 10 09 value 10 time            [2a len metadata]
                               12 07 10 time                     a zero that is omitted
                               12 17 18 start 09 value 10 time   or the start last
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

SERIES_AT_ONCE = 1 << 14
_SERIES_TAG, _LABELS_TAG, _SAMPLE_TAG, _METADATA_TAG = 0x2A, 0x0A, 0x12, 0x2A
_VALUE_TAG, _TIME_TAG, _START_TAG = 0x09, 0x10, 0x18
_VALUE_FORM, _ZERO_FORM, _STARTED_FORM = 0x10, 0x07, 0x17
_SIX_BYTES, _SIX_BYTES_MASK = np.uint64(0x0080_8080_8080_10), np.uint64(0x8080_8080_8080_FF)
"""Of a field timestamp as a word of seven bytes: its tag, and which bytes of its varint go on."""
_PADDING = 32
"""Room behind the body, so that no look behind a series has to be forbidden."""


class Scan(NamedTuple):
    """Consecutive series; all arrays of shape (series,) but `starts`."""

    content: NDArray[np.uint8]
    words: NDArray[np.uint64]
    """The word at each byte of the body, however it is aligned."""
    starts: Places
    """Where each series begins, and where the last one ends."""
    usual: NDArray[np.bool_]
    """Whether it is of the usual form; of others the following means nothing."""
    labels_at: Places
    """Where the packed references begin."""
    labels_end: Places
    values_at: Places
    """Where the value is; 0 where it is omitted."""
    times: NDArray[np.uint64]
    """The field timestamp as a word of seven bytes."""
    metadata_at: Places
    """Where the field metadata begins; 0 where there is none."""
    metadata_end: Places
    started: NDArray[np.bool_]
    """Whether it says when it began to count."""


def series_starts(body: bytes, position: int) -> list[int]:
    """Where series begin, from `position` on, and where the last one ends: as many as are whole."""
    end = len(body) - 2
    starts = [position]
    add = starts.append
    for _ in range(SERIES_AT_ONCE):
        if position >= end or body[position] != _SERIES_TAG:
            break
        length = body[position + 1]
        if length < 0x80:
            position += 2 + length
        elif body[position + 2] < 0x80:
            position += 3 + (length & 0x7F | body[position + 2] << 7)
        else:
            break
        add(position)
    if starts[-1] > len(body):
        starts.pop()
    return starts


def scan(body: bytes, positions: list[int]) -> Scan:
    """The series at these positions, which are from `series_starts`."""
    padded = body + bytes(_PADDING)
    content = np.frombuffer(padded, np.uint8)
    words = np.ndarray((len(padded) - 7,), "<u8", padded, 0, (1,))
    starts = np.array(positions, np.int64)
    begin, after = starts[:-1], starts[1:]
    begin = begin + 2 + (content[begin + 1] >= 0x80)
    labels_bytes = content[begin + 1].astype(np.int64)
    labels_end = begin + 2 + labels_bytes
    usual = (content[begin] == _LABELS_TAG) & (labels_bytes < 0x80) & (labels_end + 9 <= after)
    first = np.where(usual, labels_end, 0)
    first_end = first + 2 + content[first + 1]
    described_first = content[first] == _METADATA_TAG
    sample = np.where(described_first, first_end, first)
    usual &= sample + 9 <= after
    sample = np.where(usual, sample, 0)
    form = content[sample + 1]
    sample_end = sample + 2 + form
    usual &= (content[sample] == _SAMPLE_TAG) & (sample_end <= after)
    has_metadata = first_end < after
    metadata_at = np.where(described_first, first, first_end)
    metadata_end = np.where(described_first, first_end, after)
    # one of the two comes behind the other, and nothing behind both
    usual &= ~described_first | (sample_end == after)
    metadata_bytes = content[np.where(usual & has_metadata, metadata_at, 0) + 1]
    is_metadata = (content[np.where(usual, metadata_at, 0)] == _METADATA_TAG) & (metadata_bytes < 0x80)
    usual &= ~has_metadata | (is_metadata & (metadata_at + 2 + metadata_bytes == metadata_end))
    third = content[sample + 2]
    valued, zero, started = form == _VALUE_FORM, form == _ZERO_FORM, form == _STARTED_FORM
    start_first = started & (third == _START_TAG)
    value_tag = np.where(start_first, sample + 9, sample + 2)
    time_tag = np.where(zero, sample + 2, value_tag + 9)
    start_tag = np.where(start_first, sample + 2, sample + 18)
    usual &= zero | ((valued | started) & (content[value_tag] == _VALUE_TAG))
    times = words[np.maximum(time_tag, 1) - 1] >> np.uint64(8)
    usual &= times & _SIX_BYTES_MASK == _SIX_BYTES
    if started.any():
        field = words[np.maximum(start_tag, 1) - 1] >> np.uint64(8)
        good = field & _SIX_BYTES_MASK == _SIX_BYTES + np.uint64(_START_TAG - _TIME_TAG)
        usual &= ~started | good
    nowhere = np.int64(0)
    return Scan(
        content,
        words,
        starts,
        usual,
        begin + 2,
        labels_end,
        np.where(zero, nowhere, value_tag + 1),
        times,
        np.where(has_metadata, metadata_at, nowhere),
        metadata_end,
        started,
    )


def pieces(content: NDArray[np.uint8], begins: Places, ends: Places) -> tuple[NDArray[np.uint8], Places]:
    """(bytes of all stretches [begin, end) one after the other, where each one's end)."""
    lengths = ends - begins
    piece_ends = np.cumsum(lengths)
    places = np.repeat(begins - piece_ends + lengths, lengths)
    places += np.arange(len(places))
    return content[places], piece_ends
