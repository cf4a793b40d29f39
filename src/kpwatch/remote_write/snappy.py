"""Snappy's raw block format, as far as Remote Write needs more than a call to the library.

A block is a varint with the decompressed length and then elements (literals and back references); see
google/snappy's format_description.txt. Two things follow that we use: the length can be checked before anything is
allocated, and since back references are relative, the elements of two blocks one after the other under the summed
length are again a block, so compressed scrapes are merged into one request without compressing them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cramjam

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.remote_write.protobuf import encode_varint

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_EXPANSION = 64
"""No element of a block yields more than 64 bytes (a copy of three bytes does), so a block cannot hold more."""

_UINT32_MAX = 0xFFFFFFFF

_COPY_1, _COPY_2 = 1, 2
"""Kinds of elements beside literals (0): a copy has its offset in eleven bits or in two bytes."""
_SHORT_LITERAL = 60
"""The longest whose length is in its tag."""


def compress(body: bytes) -> bytes:
    """One block."""
    return bytes(cramjam.snappy.compress_raw(body))


def promised_length(block: bytes) -> tuple[int, int]:
    """(decompressed length, where the elements begin); raises BadInput where the header is no uint32 varint."""
    length = 0
    for position in range(min(5, len(block))):
        byte = block[position]
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if length > _UINT32_MAX:
                break
            return length, position + 1
    raise BadInput("snappy: the body does not begin with a length (a varint of at most 32 bits); send a snappy block")


def content_length(block: bytes, limit_bytes: int) -> int:
    """Of the block's content, as its header promises it.

    Raises TooLarge where it would exceed `limit_bytes`, BadInput where the block is too short to hold that much.
    """
    length, begin = promised_length(block)
    if length > limit_bytes:
        raise TooLarge(
            f"snappy: the body decompresses to {length} bytes, the limit is {limit_bytes}; send less at once"
        )
    if length > (len(block) - begin) * MAX_EXPANSION:
        raise BadInput(f"snappy: the header promises {length} bytes, {len(block)} bytes cannot hold that many")
    return length


def decompress(block: bytes, limit_bytes: int) -> bytes:
    """The block's content; nothing is allocated for a header that promises too much.

    Raises TooLarge where the content would exceed `limit_bytes`, BadInput where the block is corrupt.
    """
    length = content_length(block, limit_bytes)
    try:
        content = bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise _corrupt(block, error) from error
    _check_length(len(content), length)
    return content


def decompress_into(block: bytes, buffer: bytearray, length: int) -> None:
    """Write the block's content, which is `length` bytes by `content_length`, to the beginning of a buffer.

    The buffer must have room for it. Raises BadInput where the block is corrupt.
    """
    try:
        found = cramjam.snappy.decompress_raw_into(block, buffer)
    except cramjam.DecompressionError as error:
        raise _corrupt(block, error) from error
    _check_length(found, length)


def _corrupt(block: bytes, error: Exception) -> BadInput:
    return BadInput(f"snappy: corrupt block of {len(block)} bytes ({error}); send snappy's block format")


def _check_length(found: int, promised: int) -> None:
    if found != promised:
        raise BadInput(f"snappy: the header promises {promised} bytes, the block holds {found}")


def join_blocks(blocks: Iterable[bytes]) -> bytes:
    """One block whose content is the contents one after the other."""
    total = 0
    elements = []
    for block in blocks:
        length, begin = promised_length(block)
        total += length
        elements.append(block[begin:])
    return block_of(total, elements)


def block_of(length: int, elements: Iterable[bytes | bytearray]) -> bytes:
    """The block whose content has this length and these elements."""
    return b"".join([encode_varint(length), *elements])


def elements_of(block: bytes) -> bytes:
    """A block without its header."""
    return block[promised_length(block)[1] :]


def literal_head(length: int) -> bytes:
    """What comes before a literal of so many bytes."""
    if length <= _SHORT_LITERAL:
        return bytes(((length - 1) << 2,))
    length_bytes = ((length - 1).bit_length() + 7) // 8
    return bytes(((_SHORT_LITERAL - 1 + length_bytes) << 2,)) + (length - 1).to_bytes(length_bytes, "little")


def copy(length: int, offset: int) -> bytes:
    """A copy of 4 to 64 bytes from up to 65,535 bytes back."""
    if length <= 11 and offset < 2048:
        return bytes((_COPY_1 | (length - 4) << 2 | offset >> 8 << 5, offset & 0xFF))
    return bytes((_COPY_2 | (length - 1) << 2, offset & 0xFF, offset >> 8))
