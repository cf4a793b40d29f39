"""A store at hand as somebody who answers the checks' queries: a hub's own doctor.

Queries about each node by itself are evaluated side by side, over samples that are read once: the last minutes of all
metrics that are asked for, and the last hour of those few that are asked for so far back. The conditions that reach a
day back are evaluated together over some nodes after the other, so that a day of a thousand nodes is never in memory.
What else reaches far (the evidence of such a check) the engine evaluates over the store itself.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.doctor.across import Across
from kpwatch.doctor.judge import judge, standing_queries
from kpwatch.knowledge.expressions import each_terms, expand, in_cluster
from kpwatch.knowledge.load import queries_of
from kpwatch.model.results import Vector
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.promql.needs import needs
from kpwatch.promql.parse import parse_ahead
from kpwatch.promql.side_by_side import SideBySide, identity_of, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.doctor.judge import FleetVerdict
    from kpwatch.knowledge.expressions import Words
    from kpwatch.knowledge.rows import Check, Knowledge
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import SeriesSource, Slice
    from kpwatch.promql.needs import Needs

_MINUTE_MS = 60_000
_STRETCHES_MS = (6 * _MINUTE_MS, 12 * _MINUTE_MS, 70 * _MINUTE_MS)
"""A query is evaluated over the shortest that it does not reach beyond."""
_READ_TOGETHER = ((6 * _MINUTE_MS, 12 * _MINUTE_MS), (70 * _MINUTE_MS,))
"""Most of the cost of reading is there for each node, however little is read of it."""
_TARGETS_FAR = 50
"""So many are evaluated at once over a day."""
_ENOUGH_SCRAPES = 1000


class _Plan(NamedTuple):
    """What is read ahead; the same for every verdict."""

    stretch_ms: dict[str, int]
    """Query -> the stretch it is evaluated over; not in it: over the store."""
    reach_ms: dict[str, int]
    needs: dict[int, Needs]
    """Stretch -> what is kept of it."""
    read: dict[int, Matcher]
    """Longest of the stretches that are read together -> what is read."""
    far: tuple[str, ...]
    """Conditions that reach beyond all stretches."""
    far_needs: Needs


class StoreDoctor:
    """Judges the nodes in a store; made once, since what the checks need does not change."""

    def __init__(self, knowledge: Knowledge, source: SeriesSource, options: EngineOptions) -> None:
        self._knowledge = knowledge
        self._source = source
        self._options = options
        self._plan = _plan(knowledge, options.lookback_ms)

    def verdict(self, at_ms: int) -> FleetVerdict:
        """All nodes as they are at `at_ms`; raises QueryError, StoreError."""
        return judge(self._knowledge, _AtStore(self._knowledge, self._source, self._options, self._plan, at_ms), {})


def _each_of(queries: Iterable[str], knowledge: Knowledge) -> list[str]:
    """What `Across` asks."""
    return [knowledge.terms[name] for query in queries for name in each_terms(query)]


def _plan(knowledge: Knowledge, lookback_ms: int) -> _Plan:
    queries = [
        *standing_queries(knowledge),
        *(
            expand(query, knowledge.terms, in_cluster(check.window))
            for check in knowledge.checks
            for query in (queries_of(check) if not check.across else _each_of(queries_of(check), knowledge))
        ),
    ]
    parse_ahead(queries)
    reach_ms = {query: needs([query], lookback_ms).reach_ms for query in queries}
    far = {query: next((each for each in _STRETCHES_MS if reach <= each), 0) for query, reach in reach_ms.items()}
    stretches = {query: stretch for query, stretch in far.items() if stretch}

    def needs_of(*some: int) -> Needs:
        return needs([query for query, its in stretches.items() if its in some], lookback_ms)

    far_conditions = tuple(
        query
        for check in knowledge.checks
        for conditions in [[level.when for level in check.levels]]
        for condition in dict.fromkeys(_each_of(conditions, knowledge) if check.across else conditions)
        for query in [expand(condition, knowledge.terms, in_cluster(check.window))]
        if query not in stretches
    )
    return _Plan(
        stretches,
        reach_ms,
        {stretch: needs_of(stretch) for stretch in _STRETCHES_MS},
        {together[-1]: needs_of(*together).names for together in _READ_TOGETHER},
        far_conditions,
        needs(far_conditions, lookback_ms),
    )


def _some_targets(slices: Iterable[Slice]) -> Iterator[list[Slice]]:
    """Slices of some targets at a time; a target's follow each other."""
    some: list[Slice] = []
    targets = 0
    for _, parts in groupby(slices, lambda part: identity_of(part.series[0])):
        some += parts
        targets += 1
        if targets == _TARGETS_FAR:
            yield some
            some, targets = [], 0
    if some:
        yield some


class _AtStore:
    """See `judge.Examined`."""

    desk = False

    def __init__(
        self,
        knowledge: Knowledge,
        source: SeriesSource,
        options: EngineOptions,
        plan: _Plan,
        at_ms: int,
    ) -> None:
        self._source = source
        self._options = options
        self._plan = plan
        self._at_ms = at_ms
        self._times = frozenset(row.name for row in knowledge.metrics if row.unit == "unix_seconds")
        self._read: dict[int, SideBySide] = {}
        self._far: dict[str, list[tuple[Labels, float]]] | None = None
        self._engine = Engine(source, options)
        self._across = Across(knowledge.terms, self._ask)

    def words(self, check: Check) -> Words:
        """The row's own window."""
        return in_cluster(check.window)

    def ask(self, query: str, before_seconds: float = 0.0, *, is_time: bool = False) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        return self._ask(query, self._at_ms - round(before_seconds * 1000), is_time=is_time)

    def ask_across(self, check: Check, query: str, before_seconds: float = 0.0) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        return self._across.ask(query, self.words(check), self._at_ms - round(before_seconds * 1000))

    def _ask(self, query: str, at_ms: int, *, is_time: bool = False) -> Sequence[tuple[Labels, float]]:
        stretch_ms = self._plan.stretch_ms.get(query, 0)
        if stretch_ms and self._plan.reach_ms[query] + self._at_ms - at_ms <= stretch_ms:
            return self._read_ahead(stretch_ms).ask(query, at_ms, is_time=is_time)
        if at_ms == self._at_ms and query in self._plan.far:
            return self._ask_far()[query]
        value = self._engine.instant(query, at_ms).value
        assert isinstance(value, Vector), f"a row of the knowledge table is no instant vector: {query}"
        return value.samples

    def _ask_far(self) -> dict[str, list[tuple[Labels, float]]]:
        """What all conditions that reach far say now."""
        if self._far is None:
            answers: dict[str, list[tuple[Labels, float]]] = {query: [] for query in self._plan.far}
            names, reach_ms, selectors = self._plan.far_needs
            slices = self._source.select([names], self._at_ms - reach_ms, self._at_ms)
            for some in _some_targets(narrowed(slices, selectors, self._at_ms - reach_ms)):
                together = SideBySide(some, self._times, lambda source: Engine(source, self._options))
                for query in self._plan.far:
                    answers[query] += together.ask(query, self._at_ms)
            self._far = answers
        return self._far

    def _read_ahead(self, stretch_ms: int) -> SideBySide:
        if stretch_ms not in self._read:
            together = next(each for each in _READ_TOGETHER if stretch_ms in each)
            slices = list(self._source.select([self._plan.read[together[-1]]], self._at_ms - together[-1], self._at_ms))
            for each in together:
                kept = narrowed(slices, self._plan.needs[each].selectors, self._at_ms - each)
                self._read[each] = SideBySide(kept, self._times, lambda source: Engine(source, self._options))
        return self._read[stretch_ms]

    def true_seconds(self, _node: str, seconds: float) -> float:
        """Nothing was moved."""
        return seconds

    def scrapes(self, _node: str) -> int:
        """Enough."""
        return _ENOUGH_SCRAPES
