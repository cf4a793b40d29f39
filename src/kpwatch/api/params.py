"""Parameters as Prometheus reads them, with its sentences for those that cannot be read. Pure.

Times are Unix seconds (a float) or RFC 3339; durations are seconds (a float) or `1h30m`. See web/api/v1/api.go of
prometheus/prometheus (parseTime, parseDuration, parseLimitParam). A form is the URL's query and, for a POST, the
body's fields; where a name comes twice, the body's first one counts (Go's Request.FormValue).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EARLIEST_MS = 0
LATEST_MS = 253_402_300_799_999
"""What "no start" and "no end" mean: 1970-01-01 and 9999-12-31, the bounds of what is kept."""

DECODED_KEPT, DECODED_CHARACTERS_MAX = 1024, 2048
"""Queries that were decoded, for who asks the same again; longer ones are decoded anew."""
_MAX_FIELDS = 1000
_DIGITS = r"\d(?:_?\d)*"
_NUMBER = re.compile(rf"[+-]?({_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})([eE][+-]?{_DIGITS})?", re.ASCII)
_NO_DURATION = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
"""Numbers to Go, of no length."""
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INT64 = 2**63
_SPECIAL_TIMES_MS = {
    # Prometheus' own minTime and maxTime, which clients send back.
    "-292273086-05-16T16:47:06Z": EARLIEST_MS,
    "292277025-08-18T07:12:54.999999999Z": LATEST_MS,
}


class Form:
    """The parameters of one request; every reader raises BadQuery naming the parameter."""

    def __init__(self, query: bytes, body: bytes = b"") -> None:
        self._fields: dict[str, list[str]] = {}
        for text in filter(None, (body, query)):
            for name, value in _fields(text):
                self._fields.setdefault(name, []).append(value)

    def all(self, name: str) -> Sequence[str]:
        """Every value of `name`."""
        return self._fields.get(name, ())

    def text(self, name: str) -> str:
        """The value of `name`, or ""."""
        values = self._fields.get(name)
        return values[0] if values else ""

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """A time in Unix milliseconds; `default_ms` where it is absent."""
        said = "" if default_ms is None else f"invalid time value for '{name}': "  # as Prometheus says it of these
        return self._read(name, parse_time_ms, default_ms, said)

    def duration_ns(self, name: str, default_ns: int | None = None) -> int:
        """A duration in nanoseconds; `default_ns` where it is absent."""
        return self._read(name, parse_duration_ns, default_ns)

    def limit(self, name: str = "limit") -> int:
        """How many results at most; 0 means all of them."""
        return self._read(name, parse_limit, 0)

    def whole(self, name: str) -> int | None:
        """A whole number that may be negative; None where it is absent."""
        text = self.text(name)
        if not text:
            return None
        if not _is_whole(text):
            raise BadQuery(f"{name} must be a number")
        return int(text)

    def _read(self, name: str, parse: Callable[[str], int], default: int | None, said: str = "") -> int:
        values = self._fields.get(name)
        text = values[0] if values else ""
        if not text and default is not None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise BadQuery(f'invalid parameter "{name}": {said}{error}') from error


def _fields(text: bytes) -> list[tuple[str, str]]:
    """Names and values of `a=1&b=x%20y`, as urllib.parse reads them, with less ado."""
    count = text.count(b"&") + 1
    if count > _MAX_FIELDS:
        raise BadQuery(f"error parsing form values: {count} fields are more than {_MAX_FIELDS}")
    try:
        pairs = [pair.partition("=") for pair in text.decode().split("&") if pair]
        return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]
    except UnicodeDecodeError as error:
        raise BadQuery(f"error parsing form values: {error}") from error


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ") if "+" in text else text
    return _decoded(text) if len(text) <= DECODED_CHARACTERS_MAX else _decoded.__wrapped__(text)


@lru_cache(maxsize=DECODED_KEPT)
def _decoded(text: str) -> str:
    return unquote(text.replace("+", " "), errors="strict")


def parse_time_ms(text: str) -> int:
    """Unix milliseconds of Unix seconds or RFC 3339; raises ValueError."""
    if text in _SPECIAL_TIMES_MS:
        return _SPECIAL_TIMES_MS[text]
    seconds = _number(text)
    if seconds is None and _RFC3339.fullmatch(text):
        try:
            seconds = datetime.fromisoformat(text.replace(",", ".")).timestamp()
        except ValueError:
            seconds = None  # a month 13: told below
    if seconds is None or abs(seconds) * 1000 > LATEST_MS:
        raise ValueError(f'cannot parse "{text}" to a valid timestamp')
    return round(seconds * 1000)


def parse_duration_ns(text: str) -> int:
    """Nanoseconds of a number of seconds or of a Prometheus duration; raises ValueError."""
    seconds = _number(text)
    if seconds is not None and abs(seconds) * 1e9 < _INT64:
        return int(seconds * 1e9)
    if seconds is not None or _NO_DURATION.fullmatch(text):
        raise ValueError(f'cannot parse "{text}" to a valid duration. It overflows int64')
    try:
        nanoseconds = round(parse_prometheus(text) * 1000) * 1_000_000
    except ValueError as error:
        raise ValueError(f'cannot parse "{text}" to a valid duration') from error
    if nanoseconds >= _INT64:
        raise ValueError(f'cannot parse "{text}" to a valid duration')
    return nanoseconds


def parse_limit(text: str) -> int:
    """A whole number >= 0; raises ValueError in the words of Go's strconv, which Prometheus passes on."""
    if not _is_whole(text):
        why = "value out of range" if _WHOLE.fullmatch(text) else "invalid syntax"
        raise ValueError(f'strconv.Atoi: parsing "{text}": {why}')
    if int(text) < 0:
        raise ValueError("limit must be non-negative")
    return int(text)


def _is_whole(text: str) -> bool:
    return _WHOLE.fullmatch(text) is not None and len(text) < 500 and -_INT64 <= int(text) < _INT64


def _number(text: str) -> float | None:
    whole, point, fraction = text.partition(".")
    if whole.isdecimal() and (fraction.isdecimal() or not point) and text.isascii():  # what clients send
        return float(text)
    return float(text) if _NUMBER.fullmatch(text) else None
