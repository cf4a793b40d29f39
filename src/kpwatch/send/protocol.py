"""Which version of Remote Write a receiver speaks: found out by the first answers, then remembered.

Receivers of 1.0 take a request of 2.0 in three ways: 415 as the specification says, 400 because they decode it as
something else, or 2xx after decoding nothing at all (VictoriaMetrics, Nightingale): 2.0 therefore asks receivers to say
in headers what they wrote. So until an answer has those headers, all three mean 1.0. A receiver that has sent them once
speaks 2.0, and only its own 415 takes that back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.http import Answer
from kpwatch.remote_write.v2 import WRITTEN_HEADERS

if TYPE_CHECKING:
    from kpwatch.base.http import Failure
    from kpwatch.model.encoded import Protocol
    from kpwatch.send.options import ProtocolWish

_SAMPLES_WRITTEN = WRITTEN_HEADERS["samples"].lower()
_ANY_WRITTEN = frozenset(name.lower() for name in WRITTEN_HEADERS.values())


def says_what_it_wrote(outcome: Answer | Failure) -> bool:
    """Whether a receiver of 2.0 is speaking."""
    return isinstance(outcome, Answer) and not _ANY_WRITTEN.isdisjoint(outcome.headers)


def samples_written(outcome: Answer | Failure, sent: int) -> int:
    """How many of `sent` samples the answer to a request of 2.0 says are written; a header that is not there says 0."""
    text = outcome.headers.get(_SAMPLES_WRITTEN, "") if isinstance(outcome, Answer) else ""
    return min(int(text), sent) if text.isascii() and text.isdigit() else 0


class Negotiation:
    """What is known of one receiver."""

    def __init__(self, wish: ProtocolWish) -> None:
        self.version: Protocol = first_version(wish)
        self._open = wish == "auto"
        self._proven = False

    @property
    def settled(self) -> bool:
        """Whether the version is known, by an answer or because it is prescribed."""
        return self._proven or not self._open

    def learn(self, outcome: Answer | Failure) -> str:
        """Take in an answer to a request of `version`.

        Where it means that the receiver speaks 1.0, `version` is that from now on, what was sent is to be sent again,
        and the reason comes back, else "".
        """
        if not self._open or self.version == "1.0" or not isinstance(outcome, Answer):
            return ""
        if says_what_it_wrote(outcome) and outcome.status != 415:
            self._proven = True
            return ""
        if outcome.status == 415 or (not self._proven and (outcome.status == 400 or outcome.status // 100 == 2)):
            self.version, self._open = "1.0", False
            bare = " without the headers of 2.0" if outcome.status // 100 == 2 else ""
            return f"answered {outcome.status}{bare}"
        return ""


def first_version(wish: ProtocolWish) -> Protocol:
    """The version of the first request."""
    return "2.0" if wish == "auto" else wish
