"""Prometheus' links to a query lead to the explorer."""

from __future__ import annotations

import pytest

from kpwatch.api.graph import explorer_url
from kpwatch.api.params import Form

LINKS = (
    ("", "table"),
    ("g0.expr=up+%3D%3D+0&g0.tab=1", "table?q=up+%3D%3D+0"),
    ("g0.expr=up&g0.tab=table&g1.expr=down", "table?q=up"),
    ("g0.expr=up", "table?q=up"),
    ("g0.expr=up&g0.tab=0&g0.stacked=0&g0.range_input=1h30m", "table?q=up&tab=graph&range=5400s"),
    ("g0.expr=up&g0.tab=graph&g0.stacked=1", "table?q=up&tab=graph&stacked=1"),
    (
        "g0.expr=up&g0.tab=0&g0.range_input=1h&g0.end_input=2026-01-31+12%3A00%3A00",
        "table?q=up&tab=graph&from=1769857200&to=1769860800",
    ),
    ("g0.expr=up&g0.tab=1&g0.moment_input=2026-01-31%2012:00:00", "table?q=up&time=1769860800"),
    ("g0.expr=up&g0.tab=1&g0.moment_input=yesterday", "table?q=up"),
    ("g0.expr=up&g0.tab=0&g0.range_input=long", "table?q=up&tab=graph"),
    ("g0.expr=%E8%8A%82%E7%82%B9%26x", "table?q=%E8%8A%82%E7%82%B9%26x"),
)


@pytest.mark.parametrize(("asked", "leads_to"), LINKS)
def test_a_link_to_a_query(asked: str, leads_to: str) -> None:
    """The first query, its tab and its time; what cannot be read is left out."""
    assert explorer_url(Form(asked.encode())) == leads_to
