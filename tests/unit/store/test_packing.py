"""Planes and compressors: what went in comes out, and what is damaged says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.packing import (
    Damaged,
    assemble,
    compress,
    compress_fast,
    decompress,
    decompress_fast,
    enclose,
    planes,
    width_of,
)

numbers = st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 300), max_size=20)


@given(numbers)
def test_planes_and_back(values: list[int]) -> None:
    """Only as many bytes as the largest number needs."""
    array = np.array(values, np.uint64)
    width = width_of(array)
    assert width == (max(values, default=0).bit_length() + 7) // 8
    raw = np.frombuffer(planes(array, width), np.uint8).reshape(width, len(values))
    assert assemble(raw).tolist() == values


CODECS = (
    ("zstd", lambda raw: compress(raw, 3), decompress),
    ("zstd, as it is", enclose, decompress),
    ("lz4", compress_fast, decompress_fast),
)


@pytest.mark.parametrize(("name", "pack", "unpack"), CODECS)
def test_compressors(name: str, pack, unpack) -> None:
    """The length is part of the promise: one byte more or less is damage."""
    raw = b"kube-proxy " * 40
    packed = pack(raw)
    assert unpack(packed, len(raw)).tobytes() == raw, name
    for wrong in (len(raw) - 1, len(raw) + 1):
        with pytest.raises(Damaged):
            unpack(packed, wrong)
    with pytest.raises(Damaged):
        unpack(packed[: len(packed) // 2], len(raw))


@given(st.binary(max_size=6000))
def test_what_is_left_as_it_is(raw: bytes) -> None:
    """It is a zstd frame like any other, also where it was too long for that."""
    assert decompress(enclose(raw), len(raw)).tobytes() == raw
