"""The server as what the hub's own rooms ask: PromQL in, results in our types out.

Each question is one request from the thread that asks it. Numbers are what the server says; nothing is evaluated here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import BadQuery, QueryFailed, UpstreamDown
from kpwatch.model.labels import make_labels
from kpwatch.model.matchers import Matcher
from kpwatch.model.results import Matrix, MatrixSeries, QueryResult, Scalar, String, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.source import Slice
    from kpwatch.upstream.client import Upstream

_ERRORS: dict[int, type[Exception]] = {400: BadQuery, 422: QueryFailed}


class UpstreamEngine:
    """Evaluates PromQL on the server."""

    def __init__(self, upstream: Upstream, timeout_seconds: float) -> None:
        self._upstream = upstream
        self._timeout_seconds = timeout_seconds

    def instant(self, query: str, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        """The value of `query` at one time; raises QueryError."""
        return self._result("/query", {"query": query, "time": f"{at_ms / 1000:.3f}"}, lookback_ms)

    def range(
        self, query: str, start_ms: int, end_ms: int, step_ms: int, *, lookback_ms: int | None = None
    ) -> QueryResult:
        """The value of `query` at every step; raises QueryError."""
        times = {"start": start_ms, "end": end_ms, "step": step_ms}
        form = {"query": query, **{name: f"{ms / 1000:.3f}" for name, ms in times.items()}}
        return self._result("/query_range", form, lookback_ms)

    def _result(self, path: str, form: dict[str, str], lookback_ms: int | None) -> QueryResult:
        if lookback_ms is not None:
            form["lookback_delta"] = f"{lookback_ms / 1000:.3f}s"
        document = asked(self._upstream, path, form, self._timeout_seconds)
        data = document["data"]
        value = _RESULTS[data["resultType"]](data["result"])
        return QueryResult(value, document.get("warnings") or [], document.get("infos") or [])


class UpstreamSource:
    """The server's samples and names; see `kpwatch.model.source.SeriesSource`. Times are such as PromQL can say."""

    def __init__(self, upstream: Upstream, timeout_seconds: float) -> None:
        self._upstream = upstream
        self._timeout_seconds = timeout_seconds

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Slice]:
        """Slices of all matching series with a sample in [start_ms, end_ms]; a server keeps its markers to itself."""
        from kpwatch.model.memory_source import MemorySource  # noqa: PLC0415 - it loads numpy

        window = f"{selector(matchers)}[{end_ms - start_ms + 1}ms]"  # a window does not have its left end
        found = UpstreamEngine(self._upstream, self._timeout_seconds).instant(window, end_ms).value
        assert isinstance(found, Matrix), "a window's samples"
        samples = MemorySource()
        for series in found.series:
            samples.add(series.labels, series.timestamps_ms.tolist(), series.values.tolist())
        return samples.select((), start_ms, end_ms)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Sorted label sets."""
        return sorted(make_labels(one) for one in self._ask("/series", matchers, start_ms, end_ms))

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted label names."""
        return sorted({name for labels in self.series(matchers, start_ms, end_ms) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted values of a label."""
        found = self.series(matchers, start_ms, end_ms)
        return sorted({value for labels in found for label, value in labels if label == name})

    def _ask(self, path: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[dict[str, str]]:
        form = {"match[]": selector(matchers), "start": f"{start_ms / 1000:.3f}", "end": f"{end_ms / 1000:.3f}"}
        data: list[dict[str, str]] = asked(self._upstream, path, form, self._timeout_seconds)["data"]
        return data


def selector(matchers: Sequence[Matcher]) -> str:
    """The selector that a set of matchers is; everything with a name where there are none."""
    matchers = matchers or (Matcher("__name__", "!=", ""),)
    return "{" + ",".join(f"{one.name}{one.op}{json.dumps(one.value, ensure_ascii=False)}" for one in matchers) + "}"


def asked(upstream: Upstream, path: str, form: dict[str, str], timeout_seconds: float) -> Any:
    """The document that answers a question; raises BadQuery, QueryFailed, UpstreamDown, UpstreamSlow."""
    status, body = upstream.ask(path, form, timeout_seconds)
    try:
        document = json.loads(body)
        if status == 200 and document["status"] == "success":
            return document
        said = str(document["error"])
    except (ValueError, KeyError, TypeError):
        said = body[:200].decode("utf-8", "replace")
    raise _ERRORS.get(status, UpstreamDown)(f"the engine answers {status}: {said}")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _vector(result: list[dict[str, Any]]) -> Vector:
    samples = [(make_labels(one["metric"]), float(one["value"][1])) for one in result]
    return Vector(_ms(result[0]["value"][0]) if result else 0, samples)


def _matrix(result: list[dict[str, Any]]) -> Matrix:
    import numpy as np  # noqa: PLC0415 - loaded with the first query

    series = []
    for one in result:
        times = np.asarray([_ms(at) for at, _ in one["values"]], np.int64)
        series.append(MatrixSeries(make_labels(one["metric"]), times, np.asarray([float(v) for _, v in one["values"]])))
    return Matrix(sorted(series, key=lambda one: one.labels))


_RESULTS: dict[str, Callable[[Any], Scalar | String | Vector | Matrix]] = {
    "scalar": lambda result: Scalar(_ms(result[0]), float(result[1])),
    "string": lambda result: String(_ms(result[0]), str(result[1])),
    "vector": _vector,
    "matrix": _matrix,
}
