"""An engine elsewhere as somebody who answers the checks' queries: a hub's, or any server with Prometheus' API.

All conditions are asked at one time, several at once, before the first is looked at. One that is refused or too slow
leaves its check not judged; an engine that does not answer several of them is asked no more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from kpwatch.base.errors import QueryError, UpstreamDown, UpstreamSlow
from kpwatch.doctor.judge import standing_queries
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.model.results import Vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.knowledge.expressions import Words
    from kpwatch.knowledge.rows import Check, Knowledge
    from kpwatch.model.labels import Labels
    from kpwatch.model.results import QueryResult

Answers = list[tuple["Labels", float]]
_AT_ONCE = 4
_MOST_UNANSWERED = 4
_ENOUGH_SCRAPES = 1000


class InstantEngine(Protocol):
    """Evaluates instant queries; used by several threads."""

    def instant(self, query: str, at_ms: int) -> QueryResult:
        """The value of `query` at one time; raises QueryError."""
        ...


class AtEngine:
    """See `judge.Examined`."""

    desk = False

    def __init__(self, engine: InstantEngine, knowledge: Knowledge, at_ms: int) -> None:
        """Asks for all conditions; raises UpstreamDown or UpstreamSlow where the engine does not answer."""
        self._engine = engine
        self._unanswered: list[QueryError] = []
        self._terms = knowledge.terms
        self._at_ms = at_ms
        self._known: dict[str, Answers | QueryError] = {}
        conditions = (
            expand(level.when, knowledge.terms, in_cluster(check.window))
            for check in knowledge.checks
            for level in check.levels
        )
        self._ask_ahead([*standing_queries(knowledge), *conditions])

    def words(self, check: Check) -> Words:
        """The row's own window."""
        return in_cluster(check.window)

    def ask(self, query: str, before_seconds: float = 0.0, *, is_time: bool = False) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        del is_time  # nothing was moved
        known = self._known.get(query) if not before_seconds else None
        answer = known if known is not None else self._ask(query, before_seconds)
        if isinstance(answer, QueryError):
            raise answer
        return answer

    def ask_across(self, check: Check, query: str, before_seconds: float = 0.0) -> Sequence[tuple[Labels, float]]:
        """To an engine all queries are alike."""
        return self.ask(expand(query, self._terms, self.words(check)), before_seconds)

    def true_seconds(self, _node: str, seconds: float) -> float:
        """Nothing was moved."""
        return seconds

    def scrapes(self, _node: str) -> int:
        """Enough."""
        return _ENOUGH_SCRAPES

    def _ask_ahead(self, queries: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(queries))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self._known = dict(zip(wanted, pool.map(self._ask, wanted), strict=True))
        if len(self._unanswered) >= _MOST_UNANSWERED:
            raise self._unanswered[0]

    def _ask(self, query: str, before_seconds: float = 0.0) -> Answers | QueryError:
        if len(self._unanswered) >= _MOST_UNANSWERED:
            return self._unanswered[0]
        try:
            value = self._engine.instant(query, self._at_ms - round(before_seconds * 1000)).value
        except (UpstreamDown, UpstreamSlow) as error:
            self._unanswered.append(error)
            return error
        except QueryError as error:
            return error
        return list(value.samples) if isinstance(value, Vector) else []
