"""What a real Prometheus takes for PromQL, we take for PromQL, and the other way round.

Random queries (`grammar`) are asked of a server without samples: all that counts is whether it refuses them as bad
data. Version 2, which Debian has, knows less than version 3: of it only what it accepts is held against us.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.promql.parse import parse
from tests.parts import prometheus_3
from tests.real.grammar import Grammar
from tests.real.prometheus import running_prometheus

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real("prometheus"), pytest.mark.slow]

QUERIES = 4000

WE_REFUSE = [
    (
        r"(?i)\b(info|integral|histogram_\w+|start|end|step|range|min_of|max_of)\s*(#.*\s*)?\(",
        "not supported, and said so",
    ),
    (r"(?i)fill(_left|_right)?\s*\(", "experimental, and said so"),
    (r"\\xff|\\ud800", "no label has a name or value that is not valid UTF-8"),
    (r"@\s*(#.*\s*)?[-+]?\s*(1e1[68]|9223372036854775)", "times that no clock shows are refused, not wrapped around"),
    (r"(?i)offset\s+[-+]?\s*(NaN|inf)", "an offset of NaN is refused, not made a number"),
    (r"\[[^]]*0\.0004", "a range below a millisecond is refused, not made empty"),
    (r"(?i)offset\s+[-+]?\s*0\s*\[", "version 3 forgets an offset of zero before it looks whether one may be there"),
    (r"holt_winters", "renamed to double_exponential_smoothing in version 3"),
]
"""What of Prometheus' we do not take: the query's look, and why."""

WE_ACCEPT = [
    (r"\+\s*(#.*\s*)?[(\w:{\"'`]", "promql-parser drops a plus sign without a look at what follows"),
    (r"(?i)offset\s*[-+]?\s*\(", "after an offset in brackets version 3 reads on in the duration"),
]
"""What we take though Prometheus 3 does not."""


def _reasons(table: list[tuple[str, str]], query: str) -> bool:
    return any(re.search(pattern, query) for pattern, _ in table)


def _is_ours(query: str) -> bool:
    try:
        parse(query)
    except BadQuery:
        return False
    return True


@pytest.mark.parametrize("major", [2, 3])
def test_the_same_queries_are_promql(major: int, tmp_path: Path) -> None:
    """But for what the tables name."""
    path = prometheus_3() if major == 3 else None
    if major == 3 and path is None:
        pytest.skip("no Prometheus 3 here: KPWATCH_PROMETHEUS_3 may name one")
    grammar = Grammar(random.Random(major))
    flags = ["--enable-feature=promql-experimental-functions"] if major == 3 else []
    found = []
    with running_prometheus(tmp_path, *flags, path=path) as real:
        for query in dict.fromkeys(grammar.query() for _ in range(QUERIES)):
            refusal, is_ours = real.refusal(query), _is_ours(query)
            if refusal is None and not is_ours and not _reasons(WE_REFUSE, query):
                found.append(f"we refuse {query!r}")
            if refusal is not None and is_ours and major == 3 and not _reasons(WE_ACCEPT, query):
                found.append(f"we accept {query!r}: {refusal}")
    assert found == []
