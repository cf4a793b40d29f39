"""What the first question would have to wait for, done before it comes: modules are loaded, numpy looks around.

One question of a dashboard's kind is asked of a handful of samples, and its answer written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.api.answers import query_answer
from kpwatch.model.snapshot import Snapshot
from kpwatch.model.source import Slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.api.query import QueryEngine
    from kpwatch.model.source import SeriesSource

QUERY = 'histogram_quantile(0.9, sum by (le) (rate({__name__=~"some_(bucket|count)"}[1m])))'
STEP_MS, END_MS = 15_000, 300_000


def warm_up(engine: Callable[[SeriesSource], QueryEngine]) -> None:
    """Ask once; raises QueryTimeout where there is no time."""
    times_ms = np.arange(0, END_MS, STEP_MS)
    labels = (("__name__", "some_bucket"), ("le", "1"))
    source = Snapshot([Slice([labels], times_ms, np.ones((len(times_ms), 1)))])
    query_answer(engine(source).range(QUERY, 0, END_MS, STEP_MS))
