"""Arrays of unsigned integers as bytes, and bytes as fewer bytes.

An array becomes *planes*: all lowest bytes, all second bytes, ... as many as its largest number needs (its width). The
compressor behind sees like beside like, and a reader can assemble some numbers without the others.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, cast

import cramjam
import numpy as np

from kpwatch.base.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Words = NDArray[np.uint64]


_FRAME = b"\x28\xb5\x2f\xfd\xa0"  # magic number; one segment, four bytes for its length
_ENCLOSED_BYTES_MAX = 4096


class Damaged(StoreError):
    """Stored bytes do not have the checksum, or not the form, they were written with."""


def width_of(numbers: Words) -> int:
    """Bytes the largest of `numbers` needs: 0-8."""
    return (int(numbers.max()).bit_length() + 7) // 8 if len(numbers) else 0


def planes(numbers: Words, width: int) -> bytes:
    """The lowest `width` bytes of each number, plane by plane."""
    by_byte = np.ascontiguousarray(numbers, "<u8").view(np.uint8).reshape(-1, 8)
    return by_byte[:, :width].T.tobytes()


def assemble(by_plane: NDArray[np.uint8]) -> Words:
    """Numbers (…) from planes (width, …)."""
    if len(by_plane) == 1:
        return cast("Words", by_plane[0].astype(np.uint64))
    by_byte = np.zeros((*by_plane.shape[1:], 8), np.uint8)
    for byte, plane in enumerate(by_plane):
        by_byte[..., byte] = plane
    return cast("Words", by_byte.view("<u8")[..., 0])


def compress(raw: bytes, level: int) -> bytes:
    """One zstd frame."""
    return bytes(cramjam.zstd.compress(raw, level=level))


def enclose(raw: bytes) -> bytes:
    """One zstd frame (RFC 8878, 3.1.1) that holds `raw` as it is: for little that is soon deleted."""
    length = len(raw)
    if length > _ENCLOSED_BYTES_MAX:
        return compress(raw, 1)
    return _FRAME + length.to_bytes(4, "little") + (length << 3 | 1).to_bytes(3, "little") + raw


def decompress(packed: bytes | memoryview, length: int) -> NDArray[np.uint8]:
    """The `length` bytes of one zstd frame; raises Damaged where there are more or fewer."""
    raw = np.empty(length, np.uint8)
    try:
        found = cramjam.zstd.decompress_into(packed, raw.data) if length else 0
    except cramjam.DecompressionError as error:
        raise Damaged(f"zstd: {error}") from error
    if found != length:
        raise Damaged(f"zstd: {found} bytes where {length} were written")
    return raw


def decompress_many(packed: Sequence[bytes | memoryview], lengths: Sequence[int]) -> list[NDArray[np.uint8]]:
    """What `decompress` gives for each, at the price of one call: frames one after the other are a frame's format too.

    Raises Damaged where any of them is not what it should be; which one it is, is not known then.
    """
    raw = decompress(b"".join(packed), sum(lengths))
    bounds = accumulate(lengths, initial=0)
    return [raw[begin:end] for begin, end in pairwise(bounds)]


def compress_fast(raw: bytes) -> bytes:
    """One LZ4 block: larger than zstd's, for what every reader has to read."""
    return bytes(cramjam.lz4.compress_block(raw, store_size=False))


def decompress_fast(packed: bytes | memoryview, length: int) -> NDArray[np.uint8]:
    """The `length` bytes of one LZ4 block; raises Damaged where there are more or fewer."""
    raw = np.empty(length, np.uint8)
    decompress_fast_into(packed, raw)
    return raw


def decompress_fast_into(packed: bytes | memoryview, raw: NDArray[np.uint8]) -> None:
    """The same into an array of bytes that has just that length."""
    length = len(raw)
    try:
        found = cramjam.lz4.decompress_block_into(packed, raw.data, output_len=length)
    except cramjam.DecompressionError as error:
        raise Damaged(f"lz4: {error}") from error
    if found != length:
        raise Damaged(f"lz4: {found} bytes where {length} were written")
