"""What a receiver's answer means for the batch that was sent: one table.

Remote Write says 2xx is delivered, 5xx must be repeated, other 4xx must not, 429 may be. These rows are our own:
Nightingale answers 499 when its queue is full; 401, 403, 404 and redirects are held and asked again ever more slowly,
because somebody is about to mend a token or a URL and the samples are still good; 413 is answered by sending less at
once.
"""

from __future__ import annotations

import re
from enum import Enum

from kpwatch.base.http import Answer, Failure, excerpt


class Fate(Enum):
    """What becomes of the batch."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Again, with growing pauses."""
    HOLD = "hold"
    """Again, but only after a minute, and then ever more slowly."""
    SMALLER = "smaller"
    """Again at once, in pieces."""
    ELSEWHERE = "elsewhere"
    """Again at once, at the URL that the answer names, if we go there."""
    DROP = "drop"
    """The receiver will never take it."""


HOLD_MIN_SECONDS = 60.0
HOLD_MAX_SECONDS = 600.0

_BY_STATUS = {
    307: Fate.ELSEWHERE,
    308: Fate.ELSEWHERE,
    401: Fate.HOLD,
    403: Fate.HOLD,
    404: Fate.HOLD,
    408: Fate.RETRY,
    413: Fate.SMALLER,
    425: Fate.RETRY,
    429: Fate.RETRY,
    499: Fate.RETRY,
}
_BY_CLASS = {2: Fate.DELIVERED, 3: Fate.HOLD, 4: Fate.DROP, 5: Fate.RETRY}
"""301, 302 and 303 turn a POST into a GET (RFC 9110, 15.4), the rest answers no POST: the URL is to be mended."""

RETRY_AFTER_MAX_SECONDS = 600.0

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HTTP_DATES = (
    re.compile(r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<time>\d\d:\d\d:\d\d) GMT", re.ASCII),
    re.compile(r"\w+, (?P<day>\d\d)-(?P<month>\w{3})-(?P<year>\d\d) (?P<time>\d\d:\d\d:\d\d) GMT", re.ASCII),
    re.compile(r"\w{3} (?P<month>\w{3}) (?P<day>[ \d]\d) (?P<time>\d\d:\d\d:\d\d) (?P<year>\d{4})", re.ASCII),
)
"""The three forms that a recipient must accept (RFC 9110, 5.6.7)."""


def fate_of(outcome: Answer | Failure) -> Fate:
    """What an outcome means; no answer at all means again."""
    if isinstance(outcome, Failure):
        return Fate.RETRY
    return _BY_STATUS.get(outcome.status) or _BY_CLASS.get(outcome.status // 100, Fate.DROP)


def retry_after_seconds(outcome: Answer | Failure, now_unix_seconds: float) -> float:
    """What Retry-After asks for, in seconds or as a date; at most ten minutes, 0 where it asks for nothing."""
    if isinstance(outcome, Failure):
        return 0.0
    text = outcome.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX_SECONDS)
    at = http_date_unix_seconds(text)
    return min(max(at - now_unix_seconds, 0.0), RETRY_AFTER_MAX_SECONDS) if at is not None else 0.0


def http_date_unix_seconds(text: str) -> float | None:
    """A date as HTTP writes it, or None where it is none."""
    found = next((match for form in _HTTP_DATES if (match := form.fullmatch(text))), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    from datetime import UTC, datetime  # noqa: PLC0415 - few receivers send dates

    year = int(found["year"]) + (2000 if len(found["year"]) == 2 else 0)
    try:
        parts = (
            year,
            _MONTHS.index(found["month"].lower()) + 1,
            int(found["day"]),
            *map(int, found["time"].split(":")),
        )
        return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def describe(outcome: Answer | Failure) -> str:
    """For the log: why, in the receiver's words, at most 200 characters of them."""
    if isinstance(outcome, Failure):
        return f"{outcome.reason}: {outcome.detail}"
    return f"status code: {outcome.status}, response body: {excerpt(outcome.body)}"
