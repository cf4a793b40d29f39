"""Where the fleet table's samples come from: a store here, or an engine elsewhere.

From a store, the samples that the queries need are read once into memory and all queries run over that (needs.py). An
engine is asked every query, which is its trade; when a silent node spoke last is a query too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.fleet import node_of
from kpwatch.model.matchers import Matcher
from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.model.results import Vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.api.metadata import NameSource
    from kpwatch.api.query import EngineMaker, QueryEngine
    from kpwatch.model.labels import Labels
    from kpwatch.model.source import SeriesSource
    from kpwatch.promql.needs import Needs

LOOKBACK_MS = 300_000
TIMEOUT_SECONDS = 30.0
"""For each of the table's queries."""
PRESENCE = (Matcher("__name__", "=", "up"), Matcher("job", "=", "kube-proxy"))
"""The series every watched node has."""
_PRESENT = 'up{job="kube-proxy"}'


class StoreReader:
    """Reads once, evaluates here."""

    def __init__(self, engine: EngineMaker, source: SeriesSource) -> None:
        self._engine = engine
        self._source = source
        self._needs: Needs | None = None

    def open(self, queries: Sequence[str], at_ms: int) -> tuple[QueryEngine, set[str]]:
        """See Reader."""
        from kpwatch.model.snapshot import Snapshot  # noqa: PLC0415 - loads numpy
        from kpwatch.promql.needs import needs  # noqa: PLC0415 - loads the parser, so not at the hub's start

        if self._needs is None:
            self._needs = needs(queries, LOOKBACK_MS)
        snapshot = Snapshot(self._source.select([self._needs.names], at_ms - self._needs.reach_ms, at_ms))
        speaking = {node_of(labels) for labels in snapshot.series((), at_ms - LOOKBACK_MS, at_ms)} - {""}
        return self._engine(TIMEOUT_SECONDS, snapshot), speaking

    def present(self, earliest_ms: int, at_ms: int) -> set[str]:
        """See Reader."""
        return {node_of(labels) for labels in self._source.series(PRESENCE, earliest_ms, at_ms)}

    def last_samples(self, earliest_ms: int, at_ms: int) -> Iterator[tuple[Labels, float]]:
        """See Reader."""
        for part in self._source.select(PRESENCE, earliest_ms, at_ms):
            for column, labels in enumerate(part.series):
                is_sample = part.values[:, column].view("u8") != STALE_NAN_BITS
                if is_sample.any():
                    yield labels, float(part.timestamps_ms[is_sample][-1]) / 1000


class EngineReader:
    """Asks an engine."""

    def __init__(self, engine: EngineMaker, names: NameSource) -> None:
        self._engine = engine
        self._names = names

    def open(self, queries: Sequence[str], at_ms: int) -> tuple[QueryEngine, set[str]]:
        """See Reader; every watched node has `up`."""
        assert queries, "a table has columns"
        engine = self._engine(TIMEOUT_SECONDS)
        return engine, {node_of(labels) for labels, _ in _samples(engine, _PRESENT, at_ms)} - {""}

    def present(self, earliest_ms: int, at_ms: int) -> set[str]:
        """See Reader."""
        return {node_of(labels) for labels in self._names.series(PRESENCE, earliest_ms, at_ms)}

    def last_samples(self, earliest_ms: int, at_ms: int) -> Iterator[tuple[Labels, float]]:
        """See Reader; the query's steps are a minute apart, the times it finds are the samples' own."""
        back = f"{(at_ms - earliest_ms) // 1000}s"
        query = f"max by (ident, instance) (max_over_time(timestamp({_PRESENT})[{back}:1m]))"
        yield from _samples(self._engine(TIMEOUT_SECONDS), query, at_ms)


def _samples(engine: QueryEngine, query: str, at_ms: int) -> Sequence[tuple[Labels, float]]:
    value = engine.instant(query, at_ms).value
    return value.samples if isinstance(value, Vector) else ()
