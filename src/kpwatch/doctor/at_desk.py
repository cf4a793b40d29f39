"""A desk as somebody who answers the checks' queries."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from kpwatch.doctor.across import Across
from kpwatch.doctor.desk import NOW_MS, YOUNG_SECONDS, Wanted, lay_out
from kpwatch.doctor.judge import judge, standing_queries
from kpwatch.knowledge.expressions import Words, expand
from kpwatch.knowledge.load import queries_of
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.promql.needs import needs
from kpwatch.promql.parse import parse_ahead
from kpwatch.promql.side_by_side import SideBySide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.doctor.desk import Desk
    from kpwatch.doctor.documents import Node
    from kpwatch.doctor.judge import FleetVerdict
    from kpwatch.knowledge.rows import Check, Knowledge
    from kpwatch.model.labels import Labels

_FEW = 8
"""Nodes whose pages are read whole: finding out what of them is asked for would take longer."""
_ANY = Words("1s", "1s", "1s", desk=True)
_YOUNG_MS = round(YOUNG_SECONDS * 1000)


def examine_at_desk(nodes: Sequence[Node], knowledge: Knowledge) -> FleetVerdict:
    """Verdicts on nodes whose documents are at hand."""
    asked_for = needs(_queries(knowledge), 0).names.test if len(nodes) > _FEW else _anything
    times = frozenset(row.name for row in knowledge.metrics if row.unit == "unix_seconds")
    desk = lay_out(_told_apart(nodes), Wanted(asked_for, _counters(knowledge).__contains__, times))
    return judge(knowledge, AtDesk(desk, knowledge), desk.unreadable)


def _anything(_name: str) -> bool:
    return True


def _told_apart(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes of one name, such as two bundles of a node, have a number from the second on."""
    taken: set[str] = set()
    for node in nodes:
        names = chain([node.ident], (f"{node.ident} ({number})" for number in count(2)))
        ident = next(name for name in names if name not in taken)
        taken.add(ident)
        yield node._replace(ident=ident)


def _counters(knowledge: Knowledge) -> frozenset[str]:
    """Names of the series that are counters."""
    plain = [row.name for row in knowledge.metrics if row.type == "counter"]
    histograms = [row.name for row in knowledge.metrics if row.type == "histogram"]
    return frozenset(plain + [name + end for name in histograms for end in ("_bucket", "_sum", "_count")])


def _queries(knowledge: Knowledge) -> tuple[str, ...]:
    checks = [expand(query, knowledge.terms, _ANY) for check in knowledge.checks for query in queries_of(check)]
    columns = [answer.query for column in knowledge.fleet_columns for answer in column.answers]
    presence = [name for check in knowledge.checks for name in check.needs]
    return tuple(dict.fromkeys([*checks, *columns, *presence]))


class AtDesk:
    """See `judge.Examined`."""

    desk = True

    def __init__(self, desk: Desk, knowledge: Knowledge) -> None:
        self._desk = desk
        lookback_ms = max(_YOUNG_MS, desk.span_ms + 1)
        options = EngineOptions(lookback_ms=lookback_ms, extrapolates=False)
        self._side_by_side = SideBySide(desk.slices, desk.time_metrics, lambda source: Engine(source, options))
        self._across = Across(knowledge.terms, self._side_by_side.ask)
        self._words = Words(
            window=f"{desk.span_ms + 1}ms",
            before=f"{max(desk.least_span_ms, 1)}ms",
            recent=f"{max(_YOUNG_MS, desk.span_ms) + 1}ms",
            desk=True,
        )
        parse_ahead([*standing_queries(knowledge), *self._conditions(knowledge)])

    def _conditions(self, knowledge: Knowledge) -> Iterator[str]:
        """Of every check that is judged by it; what is shown besides is asked where one fires."""
        for check in knowledge.checks:
            for query in [query for level in check.levels for query in (level.when, level.desk) if query]:
                if not check.fleet_only and not check.across:
                    yield expand(query, knowledge.terms, self._words)

    def words(self, _check: Check) -> Words:
        """The same for all: what is at hand."""
        return self._words

    def ask(self, query: str, before_seconds: float = 0.0, *, is_time: bool = False) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        return self._side_by_side.ask(query, NOW_MS - round(before_seconds * 1000), is_time=is_time)

    def ask_across(self, _check: Check, query: str, before_seconds: float = 0.0) -> Sequence[tuple[Labels, float]]:
        """See `judge.Examined`; raises QueryError."""
        return self._across.ask(query, self._words, NOW_MS - round(before_seconds * 1000))

    def true_seconds(self, node: str, seconds: float) -> float:
        """As it was before the node's world was moved."""
        return seconds - self._desk.moved_seconds.get(node, 0.0)

    def scrapes(self, node: str) -> int:
        """How many of the node lie on the desk."""
        return self._desk.scrapes.get(node, 0)
