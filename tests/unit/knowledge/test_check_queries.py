"""Every query of every check is one that engines take, in a cluster and at a desk."""

from __future__ import annotations

import pytest

from kpwatch.doctor.across import Across
from kpwatch.knowledge.expressions import Words, expand, in_cluster
from kpwatch.knowledge.load import knowledge, queries_of
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Vector
from kpwatch.promql.engine import Engine

DESK = Words("15001ms", "15000ms", "300001ms", desk=True)


@pytest.mark.parametrize("place", ["cluster", "desk"])
def test_every_query_is_evaluated_without_an_error(place: str) -> None:
    """Also those that look from node to node, whose terms are names there."""
    table, engine = knowledge(), Engine(MemorySource())

    def ask(query: str, at_ms: int, *, is_time: bool = False) -> list[object]:
        del is_time  # nothing was moved
        answer = engine.instant(query, at_ms).value
        assert isinstance(answer, Vector), query
        return list(answer.samples)

    for check in table.checks:
        words = DESK if place == "desk" else in_cluster(check.window)
        for query in queries_of(check):
            if check.across:
                assert list(Across(table.terms, ask).ask(query, words, 1000)) == []
            ask(expand(query, table.terms, words), 1000)
