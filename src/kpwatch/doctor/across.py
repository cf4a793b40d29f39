"""Queries that look from node to node: what they compare is had for each node first, as a recording rule would have it.

Their terms `$each_…` are evaluated side by side and written down as series of that name; the query is evaluated over
those. So its cost is a number or two of each node, not the hundreds of series they are made from. A term that is a time
is named `…_unix_seconds`: who evaluates side by side has moved times, and moves them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.knowledge.expressions import each_terms, expand
from kpwatch.model.labels import make_labels
from kpwatch.model.results import Vector
from kpwatch.model.snapshot import Snapshot
from kpwatch.model.source import Slice
from kpwatch.promql.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from kpwatch.knowledge.expressions import Words
    from kpwatch.model.labels import Labels

    class AskEach(Protocol):
        """How each node is asked about by itself."""

        def __call__(self, query: str, at_ms: int, *, is_time: bool) -> Sequence[tuple[Labels, float]]:
            """Value of an instant query; `is_time`: unix seconds. Raises QueryError."""
            ...


class Across:
    """Evaluates such queries; keeps what was written down for as long as it lives."""

    def __init__(self, terms: Mapping[str, str], ask_each: AskEach) -> None:
        self._terms = terms
        self._bare = {**terms, **{name: name for name in terms if name.startswith("each_")}}
        self._ask_each = ask_each
        self._written: dict[tuple[str, str, int], Slice] = {}

    def ask(self, query: str, words: Words, at_ms: int) -> Sequence[tuple[Labels, float]]:
        """Value of an instant query whose words are not expanded yet; raises QueryError."""
        source = Snapshot([
            self._slice(name, expand(self._terms[name], self._terms, words), at_ms) for name in each_terms(query)
        ])  # fmt: skip
        answer = Engine(source).instant(expand(query, self._bare, words), at_ms).value
        assert isinstance(answer, Vector), f"a row of the knowledge table is no instant vector: {query}"
        return answer.samples

    def _slice(self, name: str, query: str, at_ms: int) -> Slice:
        key = (name, query, at_ms)
        if key not in self._written:
            samples = self._ask_each(query, at_ms, is_time=name.endswith("_unix_seconds"))
            series = [make_labels([*labels, ("__name__", name)]) for labels, _ in samples]
            values = np.asarray([[value for _, value in samples]], np.float64)
            self._written[key] = Slice(series, np.asarray([at_ms], np.int64), values)
        return self._written[key]
