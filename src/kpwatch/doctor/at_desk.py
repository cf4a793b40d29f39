"""A desk as somebody who answers the checks' queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.doctor.desk import NOW_MS, YOUNG_SECONDS
from kpwatch.knowledge.expressions import Words
from kpwatch.model.results import Vector
from kpwatch.promql.engine import Engine, EngineOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.doctor.desk import Desk
    from kpwatch.knowledge.rows import Check
    from kpwatch.model.labels import Labels

_YOUNG_MS = round(YOUNG_SECONDS * 1000)


class AtDesk:
    """See `judge.Examined`."""

    desk = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        lookback_ms = max(_YOUNG_MS, desk.span_ms + 1)
        self._engine = Engine(desk.source, EngineOptions(lookback_ms=lookback_ms, extrapolates=False))
        self._words = Words(
            window=f"{desk.span_ms + 1}ms",
            before=f"{max(desk.least_span_ms, 1)}ms",
            recent=f"{max(_YOUNG_MS, desk.span_ms) + 1}ms",
            desk=True,
        )

    def words(self, _check: Check) -> Words:
        """The same for all: what is at hand."""
        return self._words

    def ask(self, query: str, before_seconds: float = 0.0) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        value = self._engine.instant(query, NOW_MS - round(before_seconds * 1000)).value
        assert isinstance(value, Vector), f"a row of the knowledge table is no instant vector: {query}"
        return value.samples

    def true_seconds(self, node: str, seconds: float) -> float:
        """As it was before the node's world was moved."""
        return seconds - self._desk.moved_seconds.get(node, 0.0)

    def scrapes(self, node: str) -> int:
        """How many of the node lie on the desk."""
        return self._desk.scrapes.get(node, 0)
