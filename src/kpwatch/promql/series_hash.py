"""The hash of a label set that limit_ratio samples by: xxHash64 over Prometheus' default encoding of labels.

Prometheus' default build (model/labels/labels_stringlabels.go) keeps labels as one string: for each name and value its
size, one byte below 255, else 255 and three bytes little-endian, then its bytes. xxHash64 is specified at
github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md; seed 0. Pure Python is enough: one hash per series of a query.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels

_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_MASK = (1 << 64) - 1


def hash_labels(labels: Labels) -> int:
    """The label set as a number below 2**64."""
    return xxhash64(b"".join(_sized(text) for pair in labels for text in pair))


def _sized(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    size = bytes((len(data),)) if len(data) < 255 else b"\xff" + len(data).to_bytes(3, "little")
    return size + data


def xxhash64(data: bytes) -> int:
    """xxHash64 with seed 0."""
    stripes = len(data) // 32 * 32
    if stripes:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        for start in range(0, stripes, 32):
            words = struct.unpack_from("<4Q", data, start)
            lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
        state = sum(_rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            state = ((state ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        state = _P5
    return _avalanche(_tail((state + len(data)) & _MASK, data, stripes))


def _tail(state: int, data: bytes, position: int) -> int:
    while position + 8 <= len(data):
        word = int.from_bytes(data[position : position + 8], "little")
        state = (_rotate(state ^ _round(0, word), 27) * _P1 + _P4) & _MASK
        position += 8
    if position + 4 <= len(data):
        word = int.from_bytes(data[position : position + 4], "little")
        state = (_rotate(state ^ (word * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        position += 4
    for byte in data[position:]:
        state = _rotate(state ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    return state


def _avalanche(state: int) -> int:
    state = (state ^ (state >> 33)) * _P2 & _MASK
    state = (state ^ (state >> 29)) * _P3 & _MASK
    return state ^ (state >> 32)


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK
