"""Answers that may be given again: a dashboard is looked at by several people, and reloaded by each of them.

Whoever asks for the same times again gets the same bytes, as long as nothing has happened to the samples that the
answer was made of: none came with a time in the stretch that was looked at, or before it, and none went. So an answer
for now is good until the next sample, one for yesterday until a late one; one that looks further back than samples are
kept is not given again.

Bounded by bytes; least recently used goes first. Thread-safe.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.recent import InOrder

if TYPE_CHECKING:
    from collections.abc import Hashable

    from kpwatch.base.asgi import Answer
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.source import ChangingSource

ENTRY_BYTES = 1000
"""What an answer costs beside its body: the question's text, objects."""
SHARE_MAX = 4
"""One answer may take the part of all room that this is the denominator of."""


class _Kept(NamedTuple):
    answer: Answer
    changes: int
    stretch_ms: tuple[int, int]


class KeptAnswers:
    """See the module."""

    def __init__(self, source: ChangingSource, bytes_max: int, telemetry: Registry) -> None:
        self._source = source
        self._bytes_max = bytes_max
        self._entries: InOrder[Hashable, _Kept] = InOrder(bytes_max, lambda _, kept: _size(kept.answer))
        self._lock = threading.Lock()
        self._found, self._missed, self._outdated = (
            telemetry.counter(
                "kpwatch_hub_kept_answers_total",
                "Questions that might have a kept answer.",
                answer=answer,
            )
            for answer in ("found", "missed", "outdated")
        )
        telemetry.gauge(
            "kpwatch_hub_kept_answers_bytes", "Answers kept for who asks the same.", lambda: self._entries.weight
        )

    def changes(self) -> int:
        """To be read before an answer is begun, see `put`."""
        return self._source.changes()

    def find(self, question: Hashable) -> Answer | None:
        """The answer, if it would be the same today."""
        with self._lock:
            kept = self._entries.get(question)
            if kept is None:
                self._missed.add()
                return None
            if not self._source.is_as_it_was(kept.changes, *kept.stretch_ms):
                self._entries.drop(question)
                self._outdated.add()
                return None
            self._found.add()
        return kept.answer

    def put(self, question: Hashable, answer: Answer, changes: int, stretch_ms: tuple[int, int]) -> None:
        """Keep an answer that was made of that stretch, begun when so much had happened."""
        if _size(answer) * SHARE_MAX > self._bytes_max or not self._source.is_as_it_was(changes, *stretch_ms):
            return
        with self._lock:
            self._entries.put(question, _Kept(answer, changes, stretch_ms))


def _size(answer: Answer) -> int:
    return len(answer.body) + ENTRY_BYTES
