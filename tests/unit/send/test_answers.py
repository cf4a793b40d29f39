"""What an answer means for the batch: again, later, or never."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kpwatch.base.http import REASONS, Answer, Failure
from kpwatch.send.answers import Fate, describe, fate_of, retry_after_seconds

FATES = [
    (200, Fate.DELIVERED),
    (202, Fate.DELIVERED),
    (204, Fate.DELIVERED),
    (301, Fate.HOLD),
    (302, Fate.HOLD),
    (303, Fate.HOLD),
    (304, Fate.HOLD),
    (307, Fate.ELSEWHERE),
    (308, Fate.ELSEWHERE),
    (400, Fate.DROP),
    (401, Fate.HOLD),
    (403, Fate.HOLD),
    (404, Fate.HOLD),
    (405, Fate.DROP),
    (408, Fate.RETRY),
    (409, Fate.DROP),
    (413, Fate.SMALLER),
    (415, Fate.DROP),
    (422, Fate.DROP),
    (425, Fate.RETRY),
    (429, Fate.RETRY),
    (499, Fate.RETRY),
    (500, Fate.RETRY),
    (502, Fate.RETRY),
    (503, Fate.RETRY),
    (504, Fate.RETRY),
    (599, Fate.RETRY),
    (600, Fate.DROP),
]

NOW_SECONDS = datetime(2026, 10, 21, 7, 27, 30, tzinfo=UTC).timestamp()
RETRY_AFTER = [
    # the header, seconds
    (None, 0.0),
    ("7", 7.0),
    (" 7 ", 7.0),
    ("0", 0.0),
    ("599", 599.0),
    ("86400", 600.0),
    ("9" * 400, 600.0),
    ("-1", 0.0),
    ("1.5", 0.0),
    ("٣", 0.0),
    ("soon", 0.0),
    ("Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
    ("Wednesday, 21-Oct-26 07:28:00 GMT", 30.0),
    ("Wed Oct 21 07:28:00 2026", 30.0),
    ("Thu Oct  1 07:28:00 2026", 0.0),
    ("Wed, 21 Oct 2026 07:27:30 GMT", 0.0),
    ("Wed, 21 Oct 2026 09:28:00 GMT", 600.0),
    ("Wed, 41 Oct 2026 07:28:00 GMT", 0.0),
    ("Wed, 21 Okt 2026 07:28:00 GMT", 0.0),
    ("Wed, 21 Oct 2026 07:28:00 +0200", 0.0),
    ("", 0.0),
]


@pytest.mark.parametrize(("status", "fate"), FATES)
def test_status(status: int, fate: Fate) -> None:
    """2xx is delivered, 5xx is repeated, other 4xx are not; the exceptions stand in one table."""
    assert fate_of(Answer(status, {}, b"")) is fate


@pytest.mark.parametrize("reason", REASONS)
def test_no_answer_means_again(reason: str) -> None:
    """Whatever kept the answer away, the samples may not have arrived."""
    assert fate_of(Failure(reason, "")) is Fate.RETRY
    assert retry_after_seconds(Failure(reason, ""), NOW_SECONDS) == 0


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER)
def test_retry_after(header: str | None, seconds: float) -> None:
    """Whole seconds or a date in one of HTTP's three forms, at most ten minutes; anything else asks for nothing."""
    headers = {} if header is None else {"retry-after": header}
    assert retry_after_seconds(Answer(429, headers, b""), NOW_SECONDS) == seconds


DESCRIBED = [
    (Failure("refused", "127.0.0.1:1: ECONNREFUSED"), "refused: 127.0.0.1:1: ECONNREFUSED"),
    (Answer(500, {}, b""), "status code: 500, response body: "),
    (Answer(400, {}, b" out of\n  order \t"), "status code: 400, response body: out of order"),
    (Answer(400, {}, b"\xff"), "status code: 400, response body: \ufffd"),
    (Answer(400, {}, b"x y " * 5000), "status code: 400, response body: " + ("x y " * 50).rstrip()),
]


@pytest.mark.parametrize(("outcome", "text"), DESCRIBED)
def test_described(outcome: Answer | Failure, text: str) -> None:
    """One line, in the receiver's own words, not too many of them."""
    assert describe(outcome) == text
