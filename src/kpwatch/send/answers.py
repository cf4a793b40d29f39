"""What a receiver's answer means for the batch that was sent: one table.

Remote Write says 2xx is delivered, 5xx must be repeated, other 4xx must not, 429 may be. Two rows are our own:
Nightingale answers 499 when its queue is full, and 401, 403 and 404 are held and asked again slowly, because somebody
is about to mend a token or a path and the samples are still good.
"""

from __future__ import annotations

from enum import Enum

from kpwatch.base.http import Answer, Failure


class Fate(Enum):
    """What becomes of the batch."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Again, with growing pauses."""
    HOLD = "hold"
    """Again, but only after HOLD_SECONDS."""
    DROP = "drop"
    """The receiver will never take it."""


HOLD_SECONDS = 60.0

_BY_STATUS = {
    401: Fate.HOLD,
    403: Fate.HOLD,
    404: Fate.HOLD,
    408: Fate.RETRY,
    425: Fate.RETRY,
    429: Fate.RETRY,
    499: Fate.RETRY,
}
_BY_CLASS = {2: Fate.DELIVERED, 3: Fate.DROP, 4: Fate.DROP, 5: Fate.RETRY}

_RETRY_AFTER_MAX_SECONDS = 600.0


def fate_of(outcome: Answer | Failure) -> Fate:
    """What an outcome means; no answer at all means again."""
    if isinstance(outcome, Failure):
        return Fate.RETRY
    return _BY_STATUS.get(outcome.status) or _BY_CLASS.get(outcome.status // 100, Fate.DROP)


def retry_after_seconds(outcome: Answer | Failure) -> float:
    """What the receiver asks for in Retry-After as whole seconds, at most ten minutes; 0 where it asks for nothing."""
    if isinstance(outcome, Failure):
        return 0.0
    text = outcome.headers.get("retry-after", "").strip()
    return min(float(text), _RETRY_AFTER_MAX_SECONDS) if text.isascii() and text.isdigit() else 0.0


def describe(outcome: Answer | Failure) -> str:
    """For the log: why, in the receiver's words, at most 200 characters of them."""
    if isinstance(outcome, Failure):
        return f"{outcome.reason}: {outcome.detail}"
    body = " ".join(outcome.body[:600].decode(errors="replace").split())
    return f"status code: {outcome.status}, response body: {body[:200]}"
