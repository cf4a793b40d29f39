"""Where rules' samples go: a store, or an engine by Remote Write."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.errors import StoreError
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import split_target
from kpwatch.remote_write.snappy import compress
from kpwatch.remote_write.v1 import encode_labels, encode_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.telemetry import Registry
    from kpwatch.model.labels import Labels
    from kpwatch.model.source import Appender
    from kpwatch.rules.evaluate import Sample

COMMIT_SECONDS = 60.0
LAYOUTS_KEPT = 4096
Push = Callable[[bytes], None]
"""Sends a Remote Write 1.0 body; raises KpwatchError."""


class StoreSink:
    """Into an Appender: a frame for each target among the samples."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender

    def write(self, at_ms: int, samples: Sequence[Sample]) -> None:
        """See Sink."""
        by_target: dict[Labels, tuple[list[Labels], list[float]]] = {}
        for labels, value in samples:
            target, column = split_target(labels)
            columns, values = by_target.setdefault(target, ([], []))
            columns.append(column)
            values.append(value)
        frames = [
            Frame(target, _layout(tuple(columns)), at_ms, np.asarray(values, np.float64))
            for target, (columns, values) in by_target.items()
        ]
        try:
            self._appender.append(frames).result(COMMIT_SECONDS)
        except TimeoutError as error:
            raise StoreError(f"the samples were not on disk within {COMMIT_SECONDS:g} s") from error


@lru_cache(maxsize=LAYOUTS_KEPT)
def _layout(columns: tuple[Labels, ...]) -> Layout:
    return Layout(columns)


class EngineSink:
    """To an engine, by Remote Write 1.0."""

    def __init__(self, push: Push) -> None:
        self._push = push

    def write(self, at_ms: int, samples: Sequence[Sample]) -> None:
        """See Sink."""
        body = b"".join(encode_series(encode_labels(labels), [(at_ms, value)]) for labels, value in samples)
        self._push(compress(body))


class NoSink:
    """Nowhere: an engine without a URL to write to."""

    def __init__(self, telemetry: Registry) -> None:
        self._unkept = telemetry.counter(
            "kpwatch_hub_rule_samples_unkept_total",
            "Samples of rules that are kept nowhere, for want of --engine-write.",
        )

    def write(self, at_ms: int, samples: Sequence[Sample]) -> None:
        """See Sink."""
        del at_ms
        self._unkept.add(len(samples))
