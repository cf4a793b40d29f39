"""Varints in both directions, at every length they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.remote_write.protobuf import decode_varint, encode_varint, signed, skip_field

VARINTS = [
    (0, b"\x00"),
    (1, b"\x01"),
    (127, b"\x7f"),
    (128, b"\x80\x01"),
    (300, b"\xac\x02"),
    ((1 << 63) - 1, b"\xff" * 8 + b"\x7f"),
    ((1 << 64) - 1, b"\xff" * 9 + b"\x01"),
]

FIELDS = [
    # tag, bytes behind it, how many of them are the value
    (0x08, b"\x96\x01rest", 2),
    (0x09, b"12345678rest", 8),
    (0x0A, b"\x03abcrest", 4),
    (0x0D, b"1234rest", 4),
]


@pytest.mark.parametrize(("number", "encoded"), VARINTS)
def test_varint(number: int, encoded: bytes) -> None:
    """A number and its bytes."""
    assert encode_varint(number) == encoded
    assert decode_varint(b"?" + encoded + b"?", 1) == (number, 1 + len(encoded))


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_int64_takes_the_way_through_uint64(number: int) -> None:
    """A negative number takes ten bytes and comes back."""
    encoded = encode_varint(number)
    assert len(encoded) == 10 or number >= 0
    assert signed(decode_varint(encoded, 0)[0]) == number


@pytest.mark.parametrize("encoded", [b"", b"\x80", b"\xff" * 9])
def test_a_cut_varint(encoded: bytes) -> None:
    """A varint that the body cuts is refused by the byte where it begins."""
    with pytest.raises(BadInput, match="inside a varint at byte 0"):
        decode_varint(encoded, 0)


def test_an_endless_varint() -> None:
    """Eleven bytes are no varint, however many follow."""
    with pytest.raises(BadInput, match="longer than ten bytes"):
        decode_varint(b"\x80" * 1000, 0)


@pytest.mark.parametrize(("tag", "behind", "length"), FIELDS)
def test_a_field_is_skipped(tag: int, behind: bytes, length: int) -> None:
    """Every wire type knows its length, and says so when the message ends before it."""
    assert skip_field(behind, tag, 0, len(behind)) == length
    with pytest.raises(BadInput, match=f"field 1 at byte 0 reaches byte {length}"):
        skip_field(behind, tag, 0, length - 1)


@pytest.mark.parametrize("tag", [0x0B, 0x0C, 0x0E, 0x0F])
def test_groups_are_refused(tag: int) -> None:
    """Wire types 3, 4, 6 and 7 are not ours."""
    with pytest.raises(BadInput, match=f"wire type {tag & 7} of field 1"):
        skip_field(b"1234", tag, 0, 4)
