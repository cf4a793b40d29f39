"""Queries over a snapshot answer as over the store it was read from, and read no more than they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.knowledge.load import knowledge
from kpwatch.model.matchers import Matcher
from kpwatch.model.snapshot import Snapshot
from kpwatch.promql.needs import needs
from tests.unit.api.stored import Stored, taken_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOKBACK_MS = 300_000
QUERIES = [
    *(answer.query for column in knowledge().fleet_columns for answer in column.answers),
]


@pytest.fixture
def stored(tmp_path: Path, shared_dir: Path) -> Iterator[Stored]:
    """Twenty minutes of two nodes, one of them failing."""
    good = shared_dir / "captures" / "real-1.36.3-iptables-churn.txt"
    bad = shared_dir / "captures" / "real-1.36.3-iptables-restore-fail-70s.txt"
    filled = Stored(tmp_path, taken_ms(bad))
    for back in range(20, -1, -1):
        at_ms = filled.clock.ms - back * 60_000
        filled.scrape("good", good, at_ms)
        filled.scrape("bad", bad if back < 3 else good, at_ms - 7)
    yield filled
    filled.store.close()


def test_every_query_of_the_table_has_the_same_answer(stored: Stored) -> None:
    """NaN too, so compared as text."""
    needed = needs(QUERIES, LOOKBACK_MS)
    at_ms = stored.clock.ms
    snapshot = Snapshot(stored.store.select([needed.names], at_ms - needed.reach_ms, at_ms))
    for query in QUERIES:
        over_store, over_snapshot = (
            {labels: repr(value) for labels, value in stored.engine(30, source).instant(query, at_ms).value.samples}
            for source in (stored.store, snapshot)
        )
        assert over_snapshot == over_store, query


def test_names_are_those_of_the_slices(stored: Stored) -> None:
    """Series, label names and values, with every kind of matcher."""
    at_ms = stored.clock.ms
    names = Matcher("__name__", "=~", "up|process_.*")
    snapshot = Snapshot(stored.store.select([names], at_ms - LOOKBACK_MS, at_ms))
    for matchers in (
        (),
        (Matcher("__name__", "=", "up"),),
        (Matcher("__name__", "=", "nothing"),),
        (Matcher("__name__", "!=", "up"), Matcher("ident", "=~", "go.*")),
        (Matcher("__name__", "=~", "up|go_.*"), Matcher("__name__", "!~", "go.*"), Matcher("job", "!=", "")),
    ):
        asked = (matchers, at_ms - 90_000, at_ms)
        wanted = ([names, *matchers], *asked[1:])
        assert snapshot.series(*asked) == stored.store.series(*wanted)
        assert snapshot.label_names(*asked) == stored.store.label_names(*wanted)
        assert snapshot.label_values("ident", *asked) == stored.store.label_values("ident", *wanted)
    assert snapshot.series((), 0, 1000) == []


@pytest.mark.parametrize(
    ("queries", "names", "reach_ms"),
    [
        (["up"], "up", 300_000),
        (["rate(a[15m])", "b offset 1m"], "a|b", 900_000),
        (["rate(a[1m] offset 1h)"], "a", 3_660_000),
        (['max_over_time({__name__=~"a.*"}[1h:1m])'], "(?:a.*)", 3_900_000),
        (["a + on (x) sum by (x) (-b) and topk(1, c)"], "a|b|c", 300_000),
        (['{"a.b"}'], r"a\.b", 300_000),
    ],
)
def test_needs_follow_from_the_queries(queries: list[str], names: str, reach_ms: int) -> None:
    """Names as one pattern, reach of the farthest."""
    found = needs(queries, 300_000)
    assert (found.names.value, found.reach_ms) == (names, reach_ms)


def test_a_query_of_everything_is_a_mistake() -> None:
    """A row of the table must not read the whole store."""
    with pytest.raises(AssertionError, match="without a metric name"):
        needs(['{job="x"}'], 0)
