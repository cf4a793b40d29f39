"""Pieces of many blocks, decoded together: each as if it were alone."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store import decoding
from kpwatch.store.block import BlockReader, encode_block, memory_source
from kpwatch.store.decoding import Piece, decode
from kpwatch.store.parts import Part
from tests.unit.store.test_streams import matrices


def part_of(bits: np.ndarray) -> Part:
    return Part(np.arange(len(bits), dtype=np.uint32), np.arange(bits.shape[1]) * 15_000, bits)


def pieces_of(bits: np.ndarray, places: list[int]) -> list[Piece]:
    """Of each part of the block that has some of these columns."""
    reader = BlockReader(memory_source(encode_block([part_of(bits)], 1)))
    pieces = []
    for part in reader.parts:
        here = np.searchsorted(part.columns, places)
        here = here[part.columns[here % len(part.columns)] == places]
        pieces.append(Piece(reader, part, here, np.empty((len(here), part.rows), np.int64)))
    return pieces


@pytest.mark.parametrize("at_once", [1, 1 << 16])
@given(blocks=st.lists(matrices(), min_size=1, max_size=4), data=st.data())
def test_each_piece_is_what_it_is_alone(at_once: int, blocks: list[np.ndarray], data: st.DataObject) -> None:
    """Whatever stands beside it, and however many are decoded at once."""
    pieces: list[Piece] = []
    expected: list[np.ndarray] = []
    for bits in blocks:
        places = data.draw(st.lists(st.sampled_from(range(len(bits))), unique=True).map(sorted))
        for piece in pieces_of(bits, places):
            pieces.append(piece)
            expected.append(bits[piece.part.columns[piece.places]])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoding, "UNPACKED_BYTES", at_once)
        patched.setattr(decoding, "RUN_NUMBERS", at_once)
        assert decode(pieces) == [""] * len(pieces)
    assert [piece.bits.tolist() for piece in pieces] == [bits.tolist() for bits in expected]


def test_what_does_not_decompress_is_told_of_its_own_piece() -> None:
    """Though its checksum is right; what is decompressed together with it is there."""
    pieces = [pieces_of(np.arange(40, dtype=np.float64).reshape(1, 40).view(np.int64) ** 2, [0])[0] for _ in range(3)]
    body = bytearray(encode_block([part_of(np.array([[1.0, 5.0, 2.0]]).view(np.int64))], 1))
    part = BlockReader(memory_source(bytes(body))).parts[0]
    body[part.offsets[0]] ^= 1  # no frame begins so
    part = replace(part, checksums=[zlib.crc32(body[part.offsets[0] :])])
    reader = BlockReader(memory_source(bytes(body)), parts=[part])
    pieces.insert(1, Piece(reader, part, np.array([0]), np.empty((1, 3), np.int64)))
    assert [bool(outcome) for outcome in decode(pieces)] == [False, True, False, False]
    assert pieces[0].bits.tolist() == pieces[2].bits.tolist() == pieces[3].bits.tolist()
