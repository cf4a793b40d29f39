"""SQLite's write-ahead log, read without SQLite: which pages it holds, and whether a frame in its middle is damaged.

A log is a header and frames of one page each; a frame's checksum goes on from the one before it. SQLite takes a frame
that fails for the torn end of the last write and leaves out everything behind it, acknowledged or not, without a word.
But behind a torn end nothing was ever committed: where frames further on fit together again and one of them commits,
a frame was damaged later. The checksum is linear (mod 2^32), so all frames are summed at once and then chained.

Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.store.schema import PAGE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HEADER = struct.Struct(">8I")  # magic, format, page bytes, number of the log, two salts, two checksums
MAGIC = 0x377F0682  # one more where the words of checksums are big-endian
FRAME = struct.Struct(">6I")  # page, pages of the database after a commit or 0, two salts, two checksums
FRAME_BYTES = FRAME.size + PAGE_BYTES
PAIRS = (8 + PAGE_BYTES) // 8
"""Pairs of words under a frame's checksum: page and commit, then the page."""
FRAMES_AT_ONCE = 1024
WORD = 0xFFFFFFFF

Sums = tuple[int, int]


class Log(NamedTuple):
    """What a log holds."""

    pages: dict[int, int]
    """Page -> where its newest undamaged version begins in the file, as of the last commit."""
    page_count: int
    """Pages of the database after the last commit; 0 where nothing was committed."""
    damage: str
    """What SQLite would pass over in silence; "" where there is nothing."""
    damaged: tuple[int, ...] = ()
    """Where pages of damaged frames begin that no later frame replaced, newest first: some rows in them may be true."""


EMPTY = Log({}, 0, "")


class _Weights(NamedTuple):
    """What word pair i of n adds to the sums at the end: M^(n-1-i), M = ((1, 1), (1, 2)), which is symmetric."""

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    d: NDArray[np.uint32]
    whole: tuple[int, int, int]
    """M^n: what becomes of the sums before."""


def _weights(pairs: int) -> _Weights:
    a, b, d = 1, 0, 1
    powers = []
    for _ in range(pairs):
        powers.append((a, b, d))
        a, b, d = (a + b) & WORD, (a + 2 * b) & WORD, (b + 2 * d) & WORD
    columns = np.array(powers[::-1], np.uint32).T
    return _Weights(columns[0], columns[1], columns[2], (a, b, d))


def _add(weights: _Weights, words: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """What each line of word pairs (n, pairs, 2) adds to the sums."""
    first = words[:, :, 0]
    both = first + words[:, :, 1]
    s0 = (weights.a * first + weights.b * both).sum(axis=1, dtype=np.uint32)
    s1 = (weights.b * first + weights.d * both).sum(axis=1, dtype=np.uint32)
    return s0, s1


def _go_on(weights: _Weights, before: Sums, added: Sums) -> Sums:
    a, b, d = weights.whole
    return (
        (a * before[0] + b * before[1] + added[0]) & WORD,
        (b * before[0] + d * before[1] + added[1]) & WORD,
    )


class _Frame(NamedTuple):
    page: int
    commit: int
    salts: tuple[int, int]
    stored: Sums
    added: Sums
    offset: int
    """Of the page in the file."""


def read_log(path: Path) -> Log:
    """What the log at `path` holds; EMPTY where there is none."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return EMPTY
    count = (len(raw) - HEADER.size) // FRAME_BYTES
    if count < 1:
        return EMPTY
    big_endian = HEADER.unpack_from(raw)[0] == MAGIC + 1
    log = _read(raw, count, big_endian=big_endian)
    return log if log.page_count else _read(raw, count, big_endian=not big_endian)  # that bit, too, can be damaged


def times_begun(path: Path) -> int:
    """How often SQLite began the log anew after a checkpoint, which the log counts itself; 0 where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
    except FileNotFoundError:
        return 0
    return int(HEADER.unpack(head)[3]) if len(head) == HEADER.size else 0


def _read(raw: bytes, count: int, *, big_endian: bool) -> Log:
    magic, _, _, _, *salts, sum0, sum1 = HEADER.unpack_from(raw)
    head_added = _add(_HEAD, np.frombuffer(raw[:24], ">u4" if big_endian else "<u4").astype(np.uint32).reshape(1, 3, 2))
    computed = (int(head_added[0][0]), int(head_added[1][0]))
    header_fits = computed == (sum0, sum1) and magic == MAGIC + big_endian
    frames = _frames(raw, count, big_endian=big_endian)
    if not header_fits and frames[0].salts != tuple(salts) and not _chained(frames, 1):
        return EMPTY  # a log that was being begun: nothing of it was committed
    return _chain(frames, [(sum0, sum1), computed], frames[0].salts, header_fits=header_fits)


_HEAD, _FRAME = _weights(3), _weights(PAIRS)


def _frames(raw: bytes, count: int, *, big_endian: bool) -> list[_Frame]:
    table = np.frombuffer(raw, np.uint8, count * FRAME_BYTES, HEADER.size).reshape(count, FRAME_BYTES)
    frames: list[_Frame] = []
    for first in range(0, count, FRAMES_AT_ONCE):
        some = table[first : first + FRAMES_AT_ONCE]
        summed = np.ascontiguousarray(np.concatenate([some[:, :8], some[:, FRAME.size :]], axis=1))
        words = summed.view(">u4" if big_endian else "<u4").astype(np.uint32).reshape(len(some), PAIRS, 2)
        for index, added in enumerate(zip(*(sums.tolist() for sums in _add(_FRAME, words)), strict=True), first):
            at = HEADER.size + index * FRAME_BYTES
            page, commit, salt0, salt1, sum0, sum1 = FRAME.unpack_from(raw, at)
            frames.append(_Frame(page, commit, (salt0, salt1), (sum0, sum1), added, at + FRAME.size))
    return frames


def _chained(frames: list[_Frame], index: int) -> bool:
    """Whether frame `index` fits the checksum that stands in the one before it."""
    return index < len(frames) and _go_on(_FRAME, frames[index - 1].stored, frames[index].added) == frames[index].stored


def _chain(frames: list[_Frame], before: list[Sums], salts: tuple[int, int], *, header_fits: bool) -> Log:
    """Follow the frames; `before`: what the checksum may go on from, as it stands there and as it should."""
    kept: list[_Frame] = []
    damaged: list[tuple[int, _Frame]] = []
    problems: list[tuple[int, str]] = [] if header_fits else [(0, "its header has a wrong checksum")]
    for index, frame in enumerate(frames):
        should_be = [_go_on(_FRAME, sums, frame.added) for sums in before]
        fits = frame.stored in should_be
        if not fits and frame.salts != salts and not (_chained(frames, index + 1) and frames[index + 1].salts == salts):
            break  # what an earlier log left here
        if not fits or frame.salts != salts:
            problems.append((len(kept) + fits, f"frame {index + 1} has a wrong checksum"))
        if fits:
            kept.append(frame)
        else:
            damaged.append((len(kept), frame))
        before = [frame.stored] if fits else [frame.stored, should_be[0]]
    last = max((number for number, frame in enumerate(kept, 1) if frame.commit), default=0)
    told = [text for number, text in problems if number < last or (number == last and "header" in text)]
    if not last:
        return EMPTY
    pages = {frame.page: frame.offset for frame in kept[:last]}
    damage = f"{told[0]}, committed pages stand behind it" if told else ""
    alone = [f.offset for at, f in damaged if at < last and f.offset > pages.get(f.page, 0)]
    return Log(pages, kept[last - 1].commit, damage, tuple(alone[::-1]))
