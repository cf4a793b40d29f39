"""String literals of a query: Go's escapes, and bytes that are no UTF-8.

Such bytes are Python's lone surrogates in what `unquote` gives, and characters of private use in what the parser sees.
"""

from __future__ import annotations

import re

FIRST_BYTE_STAND_IN = "\U0010ff00"  # private use
_TO_STAND_IN = {0xDC00 + byte: ord(FIRST_BYTE_STAND_IN) + byte for byte in range(128, 256)}
_FROM_STAND_IN = {stand_in: surrogate for surrogate, stand_in in _TO_STAND_IN.items()}

_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9A-Fa-f]{2})|(?P<octal>[0-7]{3})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<one>.))",
    re.DOTALL,
)
_ONE_LETTER = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\\": "\\", "'": "'", '"': '"'}


def unquote(literal: str) -> str | None:
    """The value of a Go string literal, or None for an unknown escape; bytes that are no UTF-8 become surrogates."""
    inner = literal[1:-1]
    if literal.startswith("`"):
        return inner
    other_quote = "'" if literal[0] == '"' else '"'
    for match in _ESCAPE.finditer(inner):
        if match["one"] is not None and (match["one"] not in _ONE_LETTER or match["one"] == other_quote):
            return None
    try:
        escaped = _ESCAPE.sub(_unescape, inner).encode("utf-8", "surrogateescape")
    except (ValueError, OverflowError):  # \U above the last character, or half a surrogate pair
        return None
    return escaped.decode("utf-8", "surrogateescape")


def _unescape(match: re.Match[str]) -> str:
    """One escape; a byte above 127 as a surrogate for a moment, so that the whole string is decoded together."""
    if match["one"] is not None:
        return _ONE_LETTER[match["one"]]
    if code := match["u"] or match["U"]:
        return chr(int(code, 16))
    byte = _byte_of(match)
    if byte > 255:
        raise ValueError(match.group())
    return chr(byte) if byte < 128 else chr(0xDC00 + byte)


def _byte_of(match: re.Match[str]) -> int:
    """The byte that a hexadecimal or octal escape stands for; 0 for another."""
    return int(match["hex"], 16) if match["hex"] else int(match["octal"] or "0", 8)


def replace_bytes(text: str) -> str:
    """Text for the parser, which takes no lone surrogates."""
    return text.translate(_TO_STAND_IN)


def restore_bytes(text: str) -> str:
    """Text after parsing: bytes that are no UTF-8 as Python's lone surrogates, which match and name nothing stored."""
    return text.translate(_FROM_STAND_IN) if any(character >= FIRST_BYTE_STAND_IN for character in text) else text


def is_text(text: str) -> bool:
    """Whether `text` is valid Unicode, without bytes that `restore_bytes` could only keep as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
