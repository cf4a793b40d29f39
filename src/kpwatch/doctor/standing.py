"""A hub's standing doctor: verdicts as a document, made when they are asked for and kept a while.

Many pages that ask cost as much as one, and judging takes a tenth of the time, where that is soon enough. Whoever finds
the verdict too old judges anew; whoever asks meanwhile is given the old one, unless it is far too old. Nothing that
judges is loaded before it is asked: a hub starts in half a second.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.clock import Clock
    from kpwatch.doctor.at_engine import InstantEngine
    from kpwatch.doctor.at_store import StoreDoctor
    from kpwatch.doctor.judge import FleetVerdict
    from kpwatch.doctor.report import Document
    from kpwatch.doctor.words import Language
    from kpwatch.knowledge.rows import Knowledge
    from kpwatch.model.source import SeriesSource

    Writer = Callable[[FleetVerdict, Language], Document]

FRESH_SECONDS = 5.0
FRESH_AT_MOST_SECONDS = 15.0
"""However long judging took: on a busy machine a node that has just come would wait for minutes."""
OLD_SECONDS = 60.0
"""An older verdict is given to nobody."""


class OfStore:
    """Judges the nodes in a store."""

    def __init__(self, knowledge: Callable[[], Knowledge], source: SeriesSource, *, max_samples: int) -> None:
        self._knowledge = knowledge
        self._source = source
        self._max_samples = max_samples
        self._doctor: StoreDoctor | None = None

    def __call__(self, at_ms: int) -> FleetVerdict:
        """All nodes at a time in Unix milliseconds; raises QueryError, StoreError."""
        return self.doctor().verdict(at_ms)

    def doctor(self) -> StoreDoctor:
        """Made by the first who asks, in half a second."""
        from kpwatch.doctor.at_store import StoreDoctor  # noqa: PLC0415 - see the module
        from kpwatch.promql.engine import EngineOptions  # noqa: PLC0415

        if self._doctor is None:
            self._doctor = StoreDoctor(self._knowledge(), self._source, EngineOptions(max_samples=self._max_samples))
        return self._doctor


class OfEngine:
    """Judges the nodes that an engine elsewhere has samples of."""

    def __init__(self, knowledge: Callable[[], Knowledge], engine: InstantEngine) -> None:
        self._knowledge = knowledge
        self._engine = engine

    def __call__(self, at_ms: int) -> FleetVerdict:
        """All nodes at a time in Unix milliseconds; raises QueryError."""
        from kpwatch.doctor.at_engine import AtEngine  # noqa: PLC0415 - see the module
        from kpwatch.doctor.judge import judge  # noqa: PLC0415

        return judge(self._knowledge(), AtEngine(self._engine, self._knowledge(), at_ms), {})


class StandingDoctor:
    """Safe to ask from several threads."""

    def __init__(self, judge_at: Callable[[int], FleetVerdict], clock: Clock) -> None:
        """`judge_at`: all nodes' verdicts at a time in Unix milliseconds."""
        self._judge_at = judge_at
        self._clock = clock
        self._judging = threading.Lock()
        self._known: _Known | None = None

    def document(self, language: str) -> Document:
        """As `kpwatch doctor --json` has it, not to be changed; raises QueryError, StoreError."""
        from kpwatch.doctor.report import as_document  # noqa: PLC0415 - asked for later than a hub starts

        return self._current().written(as_document, language)

    def brief(self, language: str) -> Document:
        """As `report.in_brief` has it, not to be changed; raises QueryError, StoreError."""
        from kpwatch.doctor.report import in_brief  # noqa: PLC0415 - asked for later than a hub starts

        return self._current().written(in_brief, language)

    def _current(self) -> _Known:
        known, now = self._known, self._clock.monotonic_seconds()
        if known is not None and now <= known.fresh_until:
            return known
        may_wait = known is None or now > known.fresh_until + OLD_SECONDS
        if not self._judging.acquire(blocking=may_wait):
            assert known is not None, "who has no verdict waits"
            return known
        try:
            return self._judge()
        finally:
            self._judging.release()

    def _judge(self) -> _Known:
        """Anew, unless somebody else has done so meanwhile."""
        began = self._clock.monotonic_seconds()
        if self._known is None or began > self._known.fresh_until:
            verdict = self._judge_at(self._clock.unix_ms())
            took_seconds = self._clock.monotonic_seconds() - began
            self._known = _Known(
                verdict, began + min(max(FRESH_SECONDS, 10 * took_seconds), FRESH_AT_MOST_SECONDS + took_seconds)
            )
        return self._known


class _Known:
    """A verdict, and what is written of it."""

    def __init__(self, verdict: FleetVerdict, fresh_until: float) -> None:
        self._verdict = verdict
        self._documents: dict[tuple[Writer, Language], Document] = {}
        self.fresh_until = fresh_until

    def written(self, write: Writer, language: str) -> Document:
        """What `write` makes of it, made once."""
        key: tuple[Writer, Language] = (write, "zh" if language == "zh" else "en")
        if key not in self._documents:
            self._documents[key] = write(self._verdict, key[1])
        return self._documents[key]
