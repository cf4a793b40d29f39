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

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_EXPANSION = 64
"""No element of a block yields more than 64 bytes (a copy of three bytes does), so a block cannot hold more."""

_UINT32_MAX = 0xFFFFFFFF


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
    header = bytearray()
    while total > 0x7F:
        header.append(total & 0x7F | 0x80)
        total >>= 7
    header.append(total)
    return bytes(header) + b"".join(elements)
