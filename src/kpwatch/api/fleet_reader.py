"""Where the fleet table's samples come from: a store here, or an engine elsewhere.

From a store, the samples that the queries need are read once into memory (needs.py), and every query runs over all
nodes at once (side_by_side.py). An engine is asked every query, which is its trade; when a silent node spoke last is a
query too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.fleet import WATCHED, node_of
from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.model.results import Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.api.fleet import InstantEngine, Presence
    from kpwatch.api.metadata import NameSource
    from kpwatch.api.query import EngineMaker, QueryEngine
    from kpwatch.model.labels import Labels
    from kpwatch.model.results import QueryResult
    from kpwatch.model.source import SeriesSource
    from kpwatch.promql.needs import Needs

LOOKBACK_MS = 300_000
TIMEOUT_SECONDS = 30.0
"""For each of the table's queries."""


class StoreReader:
    """Reads once, evaluates here."""

    def __init__(self, engine: EngineMaker, source: SeriesSource, time_metrics: Callable[[], frozenset[str]]) -> None:
        """`time_metrics`: names of those whose value is a time, in unix seconds."""
        self._engine = engine
        self._source = source
        self._time_metrics = time_metrics
        self._needs: Needs | None = None

    def open(self, queries: Sequence[str], at_ms: int) -> tuple[InstantEngine, set[str]]:
        """See Reader."""
        from kpwatch.promql.needs import needs  # noqa: PLC0415 - loads the parser, so not at the hub's start
        from kpwatch.promql.side_by_side import SideBySide  # noqa: PLC0415 - loads numpy

        if self._needs is None:
            self._needs = needs(queries, LOOKBACK_MS)
        slices = list(self._source.select([self._needs.names], at_ms - self._needs.reach_ms, at_ms))
        speaking = {
            node_of(part.series[0]) for part in slices if part.timestamps_ms[-1] > at_ms - LOOKBACK_MS and part.series
        }
        table = SideBySide(slices, self._time_metrics(), lambda source: self._engine(TIMEOUT_SECONDS, source))
        return table, speaking - {""}

    def speaking(self, presence: Presence, at_ms: int) -> set[str]:
        """See Reader."""
        return {
            node_of(labels)
            for part in self._source.select(presence, at_ms - LOOKBACK_MS + 1, at_ms)
            for labels, last in zip(part.series, part.values[-1].view("u8").tolist(), strict=True)
            if last != STALE_NAN_BITS
        } - {""}

    def present(self, presence: Presence, earliest_ms: int, at_ms: int) -> set[str]:
        """See Reader."""
        return {node_of(labels) for labels in self._source.series(presence, earliest_ms, at_ms)}

    def last_samples(self, earliest_ms: int, at_ms: int) -> Iterator[tuple[Labels, float]]:
        """See Reader."""
        for part in self._source.select(WATCHED, earliest_ms, at_ms):
            for column, labels in enumerate(part.series):
                is_sample = part.values[:, column].view("u8") != STALE_NAN_BITS
                if is_sample.any():
                    yield labels, float(part.timestamps_ms[is_sample][-1]) / 1000


class _Unmoved:
    """An engine that answers with times as they are."""

    def __init__(self, engine: QueryEngine) -> None:
        self._engine = engine

    def instant(self, query: str, at_ms: int, *, is_time: bool = False) -> QueryResult:
        """See InstantEngine."""
        del is_time
        return self._engine.instant(query, at_ms)


class EngineReader:
    """Asks an engine."""

    def __init__(self, engine: EngineMaker, names: NameSource) -> None:
        self._engine = engine
        self._names = names

    def open(self, queries: Sequence[str], at_ms: int) -> tuple[InstantEngine, set[str]]:
        """See Reader; every watched node has `up`."""
        assert queries, "a table has columns"
        return _Unmoved(self._engine(TIMEOUT_SECONDS)), self.speaking(WATCHED, at_ms)

    def speaking(self, presence: Presence, at_ms: int) -> set[str]:
        """See Reader."""
        engine = _Unmoved(self._engine(TIMEOUT_SECONDS))
        return {node_of(labels) for labels, _ in _samples(engine, _selector(presence), at_ms)} - {""}

    def present(self, presence: Presence, earliest_ms: int, at_ms: int) -> set[str]:
        """See Reader."""
        return {node_of(labels) for labels in self._names.series(presence, earliest_ms, at_ms)}

    def last_samples(self, earliest_ms: int, at_ms: int) -> Iterator[tuple[Labels, float]]:
        """See Reader; the query's steps are a minute apart, the times it finds are the samples' own."""
        back = f"{(at_ms - earliest_ms) // 1000}s"
        query = f"max by (ident, instance) (max_over_time(timestamp({_selector(WATCHED)})[{back}:1m]))"
        yield from _samples(_Unmoved(self._engine(TIMEOUT_SECONDS)), query, at_ms)


def _selector(presence: Presence) -> str:
    return "{" + ",".join(f'{one.name}{one.op}"{one.value}"' for one in presence) + "}"


def _samples(engine: InstantEngine, query: str, at_ms: int) -> Sequence[tuple[Labels, float]]:
    value = engine.instant(query, at_ms).value
    return value.samples if isinstance(value, Vector) else ()
