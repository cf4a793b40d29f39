"""A hub's standing doctor: verdicts as a document, made when they are asked for and kept a while.

Many pages that ask cost as much as one, and judging takes at most a tenth of the time. Nothing that judges is loaded
before it is asked: a hub starts in half a second.
"""

from __future__ import annotations

import math
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

FRESH_SECONDS = 5.0


class OfStore:
    """Judges the nodes in a store."""

    def __init__(self, knowledge: Callable[[], Knowledge], source: SeriesSource, *, max_samples: int) -> None:
        self._knowledge = knowledge
        self._source = source
        self._max_samples = max_samples
        self._doctor: StoreDoctor | None = None

    def __call__(self, at_ms: int) -> FleetVerdict:
        """All nodes at a time in Unix milliseconds; raises QueryError, StoreError."""
        from kpwatch.doctor.at_store import StoreDoctor  # noqa: PLC0415 - see the module
        from kpwatch.promql.engine import EngineOptions  # noqa: PLC0415

        if self._doctor is None:
            self._doctor = StoreDoctor(self._knowledge(), self._source, EngineOptions(max_samples=self._max_samples))
        return self._doctor.verdict(at_ms)


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
        self._lock = threading.Lock()
        self._verdict: FleetVerdict | None = None
        self._fresh_until = -math.inf

    def document(self, language: str) -> Document:
        """As `kpwatch doctor --json` has it; raises QueryError, StoreError."""
        from kpwatch.doctor.report import as_document  # noqa: PLC0415 - asked for later than a hub starts

        with self._lock:
            now = self._clock.monotonic_seconds()
            if self._verdict is None or now > self._fresh_until:
                self._verdict = self._judge_at(self._clock.unix_ms())
                took_seconds = self._clock.monotonic_seconds() - now
                self._fresh_until = now + max(FRESH_SECONDS, 10 * took_seconds)
            known: Language = "zh" if language == "zh" else "en"
            return as_document(self._verdict, known)
