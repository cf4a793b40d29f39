"""What a number or a duration in a query is worth: Go's literals, Prometheus' durations.

The lexer takes whatever begins with a digit as one token; here it is a number (`1_000`, `0x1F`, `1e3`, `007` is octal),
a duration (`1h30m`), or refused with Prometheus' reason.
"""

from __future__ import annotations

import re

from kpwatch.base.errors import BadQuery

MAX_DURATION_SECONDS = 2**63 / 1e9
"""Prometheus keeps durations as int64 nanoseconds."""

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_DECIMAL = re.compile(rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEXADECIMAL = re.compile(r"0[xX](?:_?[0-9a-fA-F]+)+")
_OCTAL = re.compile(r"0(?:_?[0-7])+")
_DURATION = re.compile(
    r"(?:(?P<y>[0-9]+)y)?(?:(?P<w>[0-9]+)w)?(?:(?P<d>[0-9]+)d)?(?:(?P<h>[0-9]+)h)?"
    r"(?:(?P<m>[0-9]+)m)?(?:(?P<s>[0-9]+)s)?(?:(?P<ms>[0-9]+)ms)?"
)
_UNIT_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_INT64_MOST = 2**63 - 1


def literal_value(text: str) -> float:
    """A number, or a duration in seconds; raises BadQuery where the text is neither or too large."""
    if _DURATION.fullmatch(text):
        return duration_ms(text) / 1000
    value = _integer(text)
    if value is not None and value <= _INT64_MOST:
        return float(value)
    if not _DECIMAL.fullmatch(text):
        raise BadQuery(f'parse error: bad number or duration syntax: "{text}"')
    number = float(text.replace("_", ""))
    if number == float("inf"):
        raise BadQuery(f'parse error: error parsing number: "{text}" is out of range')
    return number


def is_duration(text: str) -> bool:
    """Whether `literal_value` reads it as a duration."""
    return _DURATION.fullmatch(text) is not None


def _integer(text: str) -> int | None:
    """What Go's ParseInt makes of it with base 0, where that is not what a decimal float would be."""
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:].replace("_", ""), 16)
    return int(text.replace("_", ""), 8) if _OCTAL.fullmatch(text) else None


def duration_ms(text: str) -> int:
    """`1h30m` in milliseconds: units from the largest to the smallest, each once."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise BadQuery(f'parse error: not a valid duration: "{text}"')
    whole = sum(int(match[unit] or 0) * factor for unit, factor in _UNIT_MS.items())
    if whole > MAX_DURATION_SECONDS * 1000:
        raise BadQuery("parse error: duration out of range")
    return whole
