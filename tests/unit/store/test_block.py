"""The bytes of a block: they come back, they are what the drawing says, and no damaged byte goes unnoticed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.store import block as module
from kpwatch.store.block import MAGIC, BlockReader, encode_block, memory_source
from kpwatch.store.packing import Damaged, decompress, decompress_fast
from kpwatch.store.parts import Part
from tests.unit.store.test_streams import words

ids = st.sets(st.integers(1, 60_000), min_size=1, max_size=8)
times = st.sets(st.integers(-(1 << 53), 1 << 53), min_size=1, max_size=6)


@st.composite
def blocks(draw: st.DrawFn) -> list[Part]:
    made: list[Part] = []
    for _ in range(draw(st.integers(1, 3))):
        columns, at = sorted(draw(ids)), sorted(draw(times))
        line = st.lists(words, min_size=len(at), max_size=len(at))
        bits = draw(st.lists(line, min_size=len(columns), max_size=len(columns)))
        made.append(Part(np.array(columns, np.uint32), np.array(at, np.int64), np.array(bits, np.int64)))
    return made


def cells(parts: list[Part]) -> list[tuple[int, int, int]]:
    """(column, time, bits), sorted; parts may be cut otherwise than they were given."""
    found = [
        (column, at, int(part.bits[line, row]))
        for part in parts
        for line, column in enumerate(part.columns.tolist())
        for row, at in enumerate(part.timestamps_ms.tolist())
    ]
    return sorted(found)


@given(blocks(), st.sampled_from([1, 3]))
def test_what_goes_in_comes_out(parts: list[Part], level: int) -> None:
    """Every bit of every sample, every timestamp, every column."""
    assert cells(BlockReader(memory_source(encode_block(parts, level))).everything()) == cells(parts)


@given(blocks(), st.data())
def test_some_columns_without_the_others(parts: list[Part], data: st.DataObject) -> None:
    """A query gets the columns it asks for, in the order it asks."""
    reader = BlockReader(memory_source(encode_block(parts, 1)))
    whole = reader.everything()
    for stored, part in zip(reader.parts, whole, strict=True):
        places = np.array(data.draw(st.permutations(range(len(part.columns)))))[: data.draw(st.integers(1, 8))]
        assert reader.select(stored, places).tolist() == part.bits[places].tolist()


def steady(rows: int, columns: int) -> Part:
    bits = (np.arange(columns)[:, None] * 100.0 + np.arange(rows)).view(np.int64)
    return Part(np.arange(1, columns + 1, dtype=np.uint32), np.arange(rows, dtype=np.int64) * 15_000, bits)


def test_many_groups() -> None:
    """Streams that do not fit into one group are found in theirs."""
    rng = np.random.default_rng(5)
    bits = rng.integers(-(1 << 62), 1 << 62, (40, 300))
    part = Part(np.arange(1, 41, dtype=np.uint32), np.arange(300, dtype=np.int64), bits)
    reader = BlockReader(memory_source(encode_block([part], 1)))
    assert len(reader.parts[0].widths) > 5
    assert reader.everything()[0].bits.tolist() == bits.tolist()


def test_a_row_of_staleness_markers_costs_no_column_its_constancy() -> None:
    """It is noted once; the cells are filled with the value before, and come back as markers."""
    part = steady(20, 50)
    part.bits[:25] = part.bits[:25, :1]
    without = len(encode_block([part], 1))
    part.bits[:, 7] = STALE_NAN_BITS
    encoded = encode_block([part], 1)
    assert BlockReader(memory_source(encoded)).everything()[0].bits.tolist() == part.bits.tolist()
    assert len(encoded) < without + 20


def test_columns_stale_at_other_rows_stand_apart() -> None:
    """One part for each set of stale rows."""
    part = steady(5, 4)
    part.bits[0, :] = STALE_NAN_BITS
    part.bits[1, 0] = STALE_NAN_BITS
    reader = BlockReader(memory_source(encode_block([part], 1)))
    assert len(reader.parts) == 3
    assert cells(reader.everything()) == cells([part])


def test_equal_column_sets_are_one_array() -> None:
    """So that a query finds its columns once for all blocks that share them."""
    known: dict[bytes, np.ndarray] = {}
    readers = [BlockReader(memory_source(encode_block([steady(rows, 9)], 1)), known) for rows in (3, 8)]
    assert readers[0].parts[0].columns is readers[1].parts[0].columns


def test_every_flipped_byte_is_noticed() -> None:
    """Each piece a reader reads has a checksum; there is no byte outside all of them."""
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 1 << 40, (6, 40))
    part = Part(np.arange(1, 7, dtype=np.uint32), np.arange(40, dtype=np.int64) * 15_000, bits)
    body = encode_block([part], 1)
    for place in range(len(body)):
        damaged = bytearray(body)
        damaged[place] ^= 0x10
        with pytest.raises(Damaged):
            BlockReader(memory_source(bytes(damaged))).everything()
    for length in range(0, len(body), 7):
        with pytest.raises(Damaged):
            BlockReader(memory_source(body[:length])).everything()


def test_damage_in_one_group_leaves_the_others_readable() -> None:
    """The checksums are per group."""
    rng = np.random.default_rng(9)
    part = Part(np.arange(1, 41, dtype=np.uint32), np.arange(300, dtype=np.int64), rng.integers(0, 1 << 62, (40, 300)))
    body = bytearray(encode_block([part], 1))
    body[-1] ^= 1
    reader = BlockReader(memory_source(bytes(body)))
    readable = 0
    for place in range(40):
        try:
            assert reader.select(reader.parts[0], np.array([place])).tolist() == [part.bits[place].tolist()]
            readable += 1
        except Damaged:
            continue
    assert 0 < readable < 40


def test_the_bytes_are_those_of_the_drawing() -> None:
    """docs/formats/block.md, read by hand: two columns, three rows, one constant, one counter."""
    values = np.array([[7.0, 7.0, 7.0], [1.0, 2.0, 2.0]])
    part = Part(np.array([4, 9], np.uint32), np.array([1000, 2000, 3001]), values.view(np.int64))
    body = encode_block([part], 1)
    magic, packed, raw, checksum = struct.unpack_from("<4sIII", body)
    assert (magic, checksum) == (MAGIC, zlib.crc32(body[16 : 16 + packed]))
    head = decompress_fast(body[16 : 16 + packed], raw).tobytes()
    assert head[:4] == struct.pack("<I", 1)
    rows, columns, stale, groups, column, time, *widths = struct.unpack_from("<IIIIIq7B", head, 4)
    assert (rows, columns, stale, groups, column, time) == (3, 2, 0, 1, 4, 1000)
    assert widths == [1, 2, 0, 1, 8, 0, 0]
    at = 4 + struct.calcsize("<IIIIIq7B")
    end, width, size, group_crc = struct.unpack_from("<IIII", head, at)
    group = body[16 + packed :]
    assert (end, width, size, group_crc) == (1, 1, len(group), zlib.crc32(group))
    firsts = struct.pack("<dd", 7.0, 1.0)
    arrays = (
        bytes([5]),  # the second column is 4 + 5
        bytes([0xD0, 2, 0x07, 0]),  # second differences of time, zigzag: 2000 and 2, low bytes then high bytes
        bytes([0, 1]),  # kinds: constant, differences
        bytes(firsts[plane + 8 * place] for plane in range(8) for place in range(2)),
    )
    assert head[at + 16 :] == b"".join(arrays)
    assert decompress(group, 2).tolist() == [2, 0], "differences 1 and 0, zigzag"


def test_group_bounds_table() -> None:
    """Neighbours share a group while it has room; a stream larger than a group has one of its own."""
    full = module.GROUP_BYTES
    rows = (
        ([], [0]),
        ([1, 1, 1], [0, 3]),
        ([4, 4, 4], [0, 2, 3]),
        ([8, 8], [0, 1, 2]),
        ([1, 1, 8], [0, 2, 3]),
    )
    for widths, bounds in rows:
        assert module._group_bounds(widths, full // 8) == bounds, widths
