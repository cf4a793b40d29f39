"""Heads that come again: who sends the same kind of request all day writes the same head each time. Pure.

Its bytes decide what a parser makes of it, so those that were parsed once need not be parsed again, as long as nothing
but the number of the Content-Length is another. That is asked only of what arrived as one request, no byte more or
less; all else is the parser's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpwatch.base.asgi import Head

if TYPE_CHECKING:
    from typing import Self

_END = b"\r\n\r\n"
_LENGTH_NAME = b"content-length"
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})\r\n", re.IGNORECASE)
_DIGITS_MAX = 9
_HEAD_BYTES_MAX = 4 << 10
"""A longer head is parsed each time: each connection holds one."""


class RepeatedHead:
    """One head as it arrives, but for a number in it."""

    __slots__ = ("_after", "_before", "_head")

    def __init__(self, before: bytes, after: bytes, head: Head) -> None:
        self._before, self._after, self._head = before, after, head

    @classmethod
    def of(cls, request: bytes, head: Head) -> Self | None:
        """Of a request whose head the parser understood so; None where it is not one whole request with a length."""
        if _LENGTH_NAME not in head.headers:
            return None
        end = request.find(_END, 0, _HEAD_BYTES_MAX) + len(_END)
        raw = request[:end]
        found = _LENGTH.search(raw)
        if found is None or raw.lower().count(_LENGTH_NAME) != 1 or len(request) != end + int(found[1]):
            return None
        return cls(raw[: found.start(1)], raw[found.end(1) :], head)

    def split(self, request: bytes) -> tuple[Head, bytes] | None:
        """(head, body) where the request is one with this head."""
        if not request.startswith(self._before):
            return None
        begin = len(self._before)
        end = request.find(b"\r", begin, begin + _DIGITS_MAX + 1)
        length = request[begin:end]
        if end < 0 or not length.isdigit() or not request.startswith(self._after, end):
            return None
        body = request[end + len(self._after) :]
        if len(body) != int(length):
            return None
        known = self._head
        return Head(known.method, known.path, known.query, {**known.headers, _LENGTH_NAME: length}), body
