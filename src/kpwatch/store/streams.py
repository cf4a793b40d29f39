"""How numbers shrink: columns of float64 become a first value each and few distinct streams of small integers.

What a kube-proxy tells is mostly the same as last time, and what moves, moves together: the buckets of a histogram
above its largest observation all grow by the same steps. So a column is

    CONSTANT      its first value, nothing else
    integer       value = i / scale for a scale of 1, 1e3, 1e6 or 1e9 (durations are nanoseconds at heart): differences
                  of i, or differences of differences where these are smaller. At 1e9 the value may be a few units
                  in the last place off (a sum of many floats): the offs are a stream of their own, the *residual*
    XOR           anything else (NaN payloads, infinities, noise): each value's bits xor the bits before it

A stream is uint64 (rows - 1,): zigzag of the differences, or the xor. Equal streams are kept once, whatever columns
they belong to, and streams are sorted by how many bytes their numbers need, so that neighbours share their zero bytes.
Every transformation is checked bit by bit when encoding; what does not come back exactly falls to XOR, which always
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.store.packing import assemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Lines = NDArray[np.int64]

CONSTANT = 0
XOR = 255
SCALES = (1.0, 1e3, 1e6, 1e9)
"""Kind of an integer column: 1 + 2 * index of its scale + (1 if differences of differences)."""
RESIDUAL_LIMIT = 1 << 15
"""Units in the last place a value may be off its nanosecond; beyond that XOR is no worse."""

WHOLE_MAX = 2.0**53
"""Integers up to here are floats."""
PROBE_ROWS = 64
"""Rows that decide whether differences of differences are smaller."""

_WIDTH_LIMITS = np.array([1 << (8 * width) for width in range(8)], np.uint64)
_STEP_OF_BYTE = np.array([(byte >> 1) ^ -(byte & 1) for byte in range(256)], np.int64)
_HASH_STEP = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """Encoded columns.

    `kinds`: uint8 (c,). `firsts`: int64 (c,), bit patterns of the first row. `stream_of`: int64 (c,), index of the
    column's stream (0 where constant). `residual_of`: int64 (c,), 1 + index of the residual stream, or 0.
    `streams`: uint64 (s, rows - 1), sorted by width. `widths`: int64 (s,), bytes the largest number needs, 0-8.
    """

    kinds: NDArray[np.uint8]
    firsts: Bits
    stream_of: NDArray[np.int64]
    residual_of: NDArray[np.int64]
    streams: Words
    widths: NDArray[np.int64]


def zigzag(numbers: Bits) -> Words:
    """Small numbers of either sign become small unsigned ones."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unzigzag(words: Words) -> Bits:
    """Undo `zigzag`."""
    return (words >> np.uint64(1)).view(np.int64) ^ -(words & np.uint64(1)).view(np.int64)


def encode_columns(bits: Bits) -> Streams:
    """Encode bit patterns of shape (columns, rows), rows >= 1."""
    columns, rows = bits.shape
    kinds = np.zeros(columns, np.uint8)
    stream_of = np.zeros(columns, np.int64)
    residual_of = np.zeros(columns, np.int64)
    varying = np.flatnonzero((bits != bits[:, :1]).any(axis=1))
    moving = _Moving(bits[varying])
    for index in range(len(SCALES)):
        moving.try_scale(index)
    moving.xor_the_rest()
    streams, place, widths = _distinct(np.concatenate([moving.words, *moving.residuals]), rows - 1)
    kinds[varying] = moving.kinds
    stream_of[varying] = place[: len(varying)]
    residual_of[varying[moving.residual_owners()]] = place[len(varying) :] + 1
    return Streams(kinds, np.ascontiguousarray(bits[:, 0]), stream_of, residual_of, streams, widths)


class _Moving:
    """Columns that vary, on their way from bits to words."""

    def __init__(self, bits: Bits) -> None:
        self.bits = bits
        self.kinds = np.full(len(bits), XOR, np.uint8)
        self.words = np.empty((len(bits), bits.shape[1] - 1), np.uint64)
        self.residuals: list[Words] = []
        self._owners: list[Lines] = []
        self._left: Lines = np.arange(len(bits))

    def try_scale(self, index: int) -> None:
        """Take the columns that are integers at this scale out of what is left."""
        scale, last = SCALES[index], index == len(SCALES) - 1
        fits = _near if last else _exact
        probe = self.bits[:, [0, self.bits.shape[1] // 2, -1]]
        lines = self._left[fits(_as_integers(probe[self._left], scale)[1])]
        numbers, off = _as_integers(self.bits[lines], scale)
        good = fits(off)
        if not good.all():
            lines, numbers, off = lines[good], numbers[good], off[good]
        if last:
            rough = ~_exact(off)
            self._owners.append(lines[rough])
            self.residuals.append(zigzag(off[rough, 1:] - off[rough, :-1]))
        steps, twice = _differences(numbers)
        self.words[lines] = zigzag(steps)
        self.kinds[lines] = 1 + 2 * index + twice
        self._left = self._left[self.kinds[self._left] == XOR]

    def xor_the_rest(self) -> None:
        """What no scale took."""
        rest = self.bits[self._left]
        self.words[self._left] = (rest[:, 1:] ^ rest[:, :-1]).view(np.uint64)

    def residual_owners(self) -> Lines:
        """The columns that `residuals` belong to, in their order."""
        return np.concatenate([np.zeros(0, np.int64), *self._owners])


def _exact(off: Bits) -> NDArray[np.bool_]:
    return np.asarray((off == 0).all(axis=1))


def _near(off: Bits) -> NDArray[np.bool_]:
    return np.asarray(((off < RESIDUAL_LIMIT) & (off > -RESIDUAL_LIMIT)).all(axis=1))


def _as_integers(bits: Bits, scale: float) -> tuple[Bits, Bits]:
    """(nearest integers of value * scale, by how many units in the last place integer / scale misses the value)."""
    with np.errstate(all="ignore"):
        numbers = _integers(bits, scale)
    return numbers, bits - _from_integers(numbers, scale)


def _integers(bits: Bits, scale: float) -> Bits:
    values = bits.view(np.float64)
    return (values if scale == 1.0 else np.rint(values * scale)).astype(np.int64)


def _from_integers(numbers: Bits, scale: float) -> Bits:
    floats = numbers.astype(np.float64)
    if scale != 1.0:
        floats /= scale
    return floats.view(np.int64)


def _differences(numbers: Bits) -> tuple[Bits, NDArray[np.bool_]]:
    """(differences, or differences of differences where these seem smaller; which lines are the latter)."""
    once = numbers[:, 1:] - numbers[:, :-1]
    first = once[:, :PROBE_ROWS]
    again = np.abs(first[:, 1:] - first[:, :-1]).sum(axis=1, dtype=np.float64)
    twice = again < np.abs(first[:, 1:]).sum(axis=1, dtype=np.float64)
    lines = twice.nonzero()[0]
    if len(lines):
        chosen = once[lines]
        once[lines, 1:] = chosen[:, 1:] - chosen[:, :-1]
    return once, twice


def _distinct(words: Words, length: int) -> tuple[Words, NDArray[np.int64], NDArray[np.int64]]:
    """(distinct lines sorted by width, for each given line its place among them, their widths)."""
    if not len(words):
        none = np.zeros(0, np.int64)
        return np.zeros((0, length), np.uint64), none, none
    odd = (np.arange(1, length + 1, dtype=np.uint64) * np.uint64(_HASH_STEP)) | np.uint64(1)
    _, chosen, place = np.unique((words * odd).sum(axis=1, dtype=np.uint64), return_index=True, return_inverse=True)
    if bool((words[chosen[place]] != words).any()):  # two streams with one hash: keep them all
        chosen = place = np.arange(len(words))
    widths = np.searchsorted(_WIDTH_LIMITS, words[chosen].max(axis=1), side="right")
    order = np.lexsort((chosen, widths))
    where = np.empty(len(order), np.int64)
    where[order] = np.arange(len(order))
    return words[chosen[order]], where[place], widths[order]


class Way(Enum):
    """How the numbers of a stream become what a column that begins with 0 is."""

    ONCE = 1
    """They are differences."""
    TWICE = 2
    """They are differences of differences."""
    BITS = 3
    """They are what changes of the bits."""


def way_of(kind: int) -> Way:
    """How the stream of a column of that kind is run."""
    if kind == XOR:
        return Way.BITS
    return Way.ONCE if kind % 2 else Way.TWICE


def run(planes: NDArray[np.uint8], way: Way) -> Bits:
    """What streams come to, row by row: (k, n + 1), beginning with 0. `planes`: (k, width, n), as `packing.planes`."""
    count, _, length = planes.shape
    numbers = np.empty((count, length + 1), np.int64)
    numbers[:, :1] = 0
    steps = numbers[:, 1:]
    if way is Way.BITS:
        np.bitwise_xor.accumulate(assemble(planes.swapaxes(0, 1)).view(np.int64), axis=1, out=steps)
        return numbers
    _write_steps(planes, steps)
    np.add.accumulate(steps, axis=1, out=steps)
    if way is Way.TWICE:
        np.add.accumulate(steps, axis=1, out=steps)
    return numbers


def _write_steps(planes: NDArray[np.uint8], steps: Bits) -> None:
    """The numbers that zigzag made planes of."""
    width = planes.shape[1]
    if width == 0:
        steps[:] = 0
    elif width == 1:
        steps[:] = _STEP_OF_BYTE.take(planes[:, 0])
    else:
        words = assemble(planes.swapaxes(0, 1))
        np.right_shift(words, np.uint64(1), out=steps.view(np.uint64))
        odd = (words & np.uint64(1)).view(np.int64)
        steps ^= np.negative(odd, out=odd)


def write_columns(kind: int, firsts: Bits, stream: Bits, residual: Bits | None, bits: Bits) -> None:
    """Write the bit patterns of k columns of one kind that move by the same stream into `bits`, (k, rows).

    `firsts`: (k,). `stream`, `residual`: (rows,), as `run` gives them; a residual only where the columns have one.
    """
    if kind == XOR:
        np.bitwise_xor(stream, firsts[:, None], out=bits)
        return
    scale = SCALES[(kind - 1) // 2]
    if scale == 1.0 and len(firsts) > 1 and _are_whole(firsts.view(np.float64), moved := stream.astype(np.float64)):
        np.add(moved, firsts.view(np.float64)[:, None], out=bits.view(np.float64))  # both whole: rounded once, as below
        return
    first = _integers(firsts[:, None], scale)
    _write_floats(stream + first, scale, bits)
    if residual is not None:
        bits += residual + (firsts[:, None] - _from_integers(first, scale))


def _are_whole(*arrays: NDArray[np.float64]) -> bool:
    """Whether nothing was lost when these integers became floats."""
    return all(max(float(one.max()), -float(one.min())) <= WHOLE_MAX for one in arrays)


def _write_floats(numbers: Bits, scale: float, bits: Bits) -> None:
    """`_from_integers`, written into `bits`."""
    floats = bits.view(np.float64)
    if scale == 1.0:
        floats[:] = numbers
    else:
        np.divide(numbers, scale, out=floats)
