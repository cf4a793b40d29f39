"""Where a content repeats what came before, as zlib finds it.

snappy's library looks for repetition in a hurry: at one place for each hash, in 64 KiB at a time. A block that stands
from scrape to scrape deserves a better look, and zlib at its best level has one. What it found is read from what it
wrote (RFC 1951), which is easy where it must use the fixed Huffman codes; nobody ever sees the bytes.
"""

from __future__ import annotations

import zlib
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STORED, _LAST = 0, 1
_END_OF_BLOCK, _FIRST_LENGTH = 256, 257
_CODE_BITS, _DISTANCE_BITS = 9, 5
_REFILL_BITS = 64
"""At least what a length and a distance take."""

_LENGTH_EXTRA_BITS = (0,) * 8 + tuple(bits for bits in range(1, 6) for _ in range(4))
_DISTANCE_EXTRA_BITS = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_LONGEST = 258


def repeats(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(where, length, how far back) in order, none over another: lengths from 3 to 258, at most 32 KiB back."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_FIXED)
    packed = packer.compress(content) + packer.flush()
    symbols, lengths, distances, distance_codes = _tables()
    at = position = bits = count = 0
    """In the content; in what was packed; bits that were taken from there, and how many."""
    is_last = False
    while not is_last:
        if count < _REFILL_BITS:
            bits |= int.from_bytes(packed[position : position + 16], "little") << count
            position, count = position + 16, count + 128
        is_last, kind = bool(bits & _LAST), bits >> 1 & 3
        bits, count = bits >> 3, count - 3
        if kind == _STORED:  # a content without repetition
            position -= count // 8
            size = int.from_bytes(packed[position : position + 2], "little")
            at, position, bits, count = at + size, position + 4 + size, 0, 0
            continue
        while True:
            if count < _REFILL_BITS:
                bits |= int.from_bytes(packed[position : position + 16], "little") << count
                position, count = position + 16, count + 128
            symbol, code_bits = symbols[bits & 0x1FF]
            bits, count = bits >> code_bits, count - code_bits
            if symbol < _END_OF_BLOCK:
                at += 1
                continue
            if symbol == _END_OF_BLOCK:
                break
            length, extra_bits = lengths[symbol - _FIRST_LENGTH]
            length += bits & (1 << extra_bits) - 1
            bits, count = bits >> extra_bits, count - extra_bits
            distance, extra_bits = distances[distance_codes[bits & 0x1F]]
            bits >>= _DISTANCE_BITS
            distance += bits & (1 << extra_bits) - 1
            bits, count = bits >> extra_bits, count - extra_bits - _DISTANCE_BITS
            yield at, length, distance
            at += length


@cache
def _tables() -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]], Sequence[tuple[int, int]], bytes]:
    """RFC 1951, 3.2.5 and 3.2.6.

    By nine bits: symbol and length of its code; by symbol of a length, by that of a distance: least value and extra
    bits; by five bits the symbol of a distance.
    """
    symbols = [(0, 0)] * (1 << _CODE_BITS)
    for first, behind, code, bits in ((0, 144, 0x30, 8), (144, 256, 0x190, 9), (256, 280, 0, 7), (280, 288, 0xC0, 8)):
        for symbol in range(first, behind):
            begin = _reversed(code + symbol - first, bits)
            for rest in range(1 << _CODE_BITS - bits):
                symbols[begin | rest << bits] = symbol, bits
    lengths = [*_ranges(3, _LENGTH_EXTRA_BITS), (_LONGEST, 0)]
    distance_codes = bytes(_reversed(code, _DISTANCE_BITS) for code in range(1 << _DISTANCE_BITS))
    return symbols, lengths, _ranges(1, _DISTANCE_EXTRA_BITS), distance_codes


def _ranges(least: int, extra_bits: Sequence[int]) -> list[tuple[int, int]]:
    begins = accumulate((1 << bits for bits in extra_bits), initial=least)
    return list(zip(begins, extra_bits, strict=False))


def _reversed(code: int, bits: int) -> int:
    """Codes are packed beginning with their highest bit."""
    return int(f"{code:0{bits}b}"[::-1], 2)
