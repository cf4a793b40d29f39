"""A server with Prometheus' HTTP API as an engine, by its own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.doctor.prometheus_api import ask_server
from kpwatch.model.labels import make_labels
from kpwatch.model.results import QueryResult, Vector

if TYPE_CHECKING:
    from typing import Any


class ServerEngine:
    """Asks `url`. See `at_engine.InstantEngine`."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds

    def now_ms(self) -> int:
        """The server's own time; raises UsageError, KpwatchError."""
        result = self._ask("time()", {})["result"]
        sample = result[0]["value"] if result and isinstance(result[0], dict) else result  # VictoriaMetrics: a vector
        return round(float(sample[1]) * 1000)

    def instant(self, query: str, at_ms: int) -> QueryResult:
        """A vector; raises QueryFailed where the server refuses the query, KpwatchError where it does not answer."""
        data = self._ask(query, {"time": f"{at_ms / 1000:.3f}"})
        samples = [(make_labels(series["metric"]), float(series["value"][1])) for series in data["result"]]
        return QueryResult(Vector(at_ms, samples))

    def _ask(self, query: str, more: dict[str, str]) -> dict[str, Any]:
        answer = ask_server(self._url, "/api/v1/query", {"query": query, **more}, self._timeout_seconds)
        data: dict[str, Any] = answer["data"]
        return data
