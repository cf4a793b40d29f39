"""The bytes of one body where they may be changed: what is known of it is compared in place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.remote_write.snappy import decompress_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUFFER_BYTES_MIN = 256 << 10
BUFFER_BYTES_MAX = 4 << 20
"""Larger bodies have one of their own."""

_WORD = "<u8"
_WORD_BYTES = 8


class Buffer:
    """Room for one body; `words` are the words at each of its bytes, however they are aligned."""

    __slots__ = ("content", "length", "words")

    def __init__(self) -> None:
        self.length = 0
        self._make(0)

    def fill(self, block: bytes, length: int) -> bool:
        """Decompress a block of so many bytes into it; False where it is too large. Raises BadInput."""
        if length > len(self.content):
            if length > BUFFER_BYTES_MAX:
                return False
            self._make(length)
        self.length = length
        decompress_into(block, self.content, length)
        return True

    @classmethod
    def holding(cls, body: bytes) -> Buffer:
        """One of its own for this body."""
        buffer = cls()
        buffer.length = len(body)
        buffer._hold(bytearray(body.ljust(_WORD_BYTES)))
        return buffer

    def restore(self, body: bytes, begin: int, end: int) -> None:
        """Some of its bytes are the body's again."""
        memoryview(self.content)[begin:end] = memoryview(body)[begin:end]

    def piece(self, position: int, count: int) -> bytes:
        """Up to so many of its bytes."""
        return bytes(memoryview(self.content)[position : min(position + count, self.length)])

    def body(self) -> bytes:
        """What is in it."""
        return bytes(memoryview(self.content)[: self.length])

    def holds(self, known: bytes, position: int) -> bool:
        """Whether these bytes stand at `position`."""
        return position + len(known) <= self.length and self.content.startswith(known, position)

    def _make(self, length: int) -> None:
        self._hold(bytearray(max(BUFFER_BYTES_MIN, 1 << length.bit_length())))

    def _hold(self, content: bytearray) -> None:
        self.content = content
        self.words: NDArray[np.uint64] = np.ndarray((len(content) - 7,), _WORD, content, 0, (1,))
