"""A hub, or any server with Prometheus' API, as somebody who answers the checks' queries.

All conditions are asked at one time of the server's own clock, several at once, before the first is looked at.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kpwatch.base.errors import QueryError, QueryFailed
from kpwatch.doctor.prometheus_api import ask_server
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.model.labels import make_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.knowledge.expressions import Words
    from kpwatch.knowledge.rows import Check, Knowledge
    from kpwatch.model.labels import Labels

Answers = list[tuple["Labels", float]]
_AT_ONCE = 4
_ENOUGH_SCRAPES = 1000


class AtServer:
    """See `judge.Examined`."""

    desk = False

    def __init__(self, url: str, knowledge: Knowledge, *, timeout_seconds: float) -> None:
        """Raises QueryError or KpwatchError where the server cannot be asked."""
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._known: dict[str, Answers | QueryError] = {}
        answer = ask_server(url, "/api/v1/query", {"query": "time()"}, timeout_seconds)
        self._now_seconds = float(answer["data"]["result"][1])
        self._ask_ahead(
            expand(level.when, knowledge.terms, in_cluster(check.window))
            for check in knowledge.checks
            for level in check.levels
        )

    def words(self, check: Check) -> Words:
        """The row's own window."""
        return in_cluster(check.window)

    def ask(self, query: str, before_seconds: float = 0.0, *, across: bool = False) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        del across  # to a server all queries are alike
        known = self._known.get(query) if not before_seconds else None
        answer = known if known is not None else self._ask(query, before_seconds)
        if isinstance(answer, QueryError):
            raise answer
        return answer

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

    def _ask(self, query: str, before_seconds: float = 0.0) -> Answers | QueryError:
        parameters = {"query": query, "time": f"{self._now_seconds - before_seconds:.3f}"}
        try:
            data = ask_server(self._url, "/api/v1/query", parameters, self._timeout_seconds)["data"]
        except QueryFailed as error:
            return error
        return [(make_labels(series["metric"]), float(series["value"][1])) for series in data["result"]]
