"""Stores to test, samples to put in, and the plain dictionary they must agree with."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.model.frames import Frame, Layout
from kpwatch.store.database import Store, StoreOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from kpwatch.base.clock import Clock
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import Slice

T0 = 1_700_000_000_000
FOREVER = (-(1 << 53), 1 << 53)

Model = dict[tuple["Labels", int], int]
"""(labels, timestamp) -> bits of the value."""


def bits_of(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def target(number: int) -> Labels:
    return (("ident", f"node-{number}"), ("job", "kube-proxy"))


def column(number: int) -> Labels:
    return (("__name__", f"m{number % 3}"), ("le", str(number)))


def layout(*numbers: int) -> Layout:
    return Layout(tuple(column(number) for number in numbers))


def frame(node: int, shape: Layout, timestamp_ms: int, values: Iterable[float]) -> Frame:
    return Frame(target(node), shape, timestamp_ms, np.array(list(values), np.float64))


def remember(model: Model, frames: Iterable[Frame]) -> None:
    """What the store must know after these frames."""
    for where, shape, timestamp_ms, values in frames:
        for labels, bits in zip(shape.columns, values.view(np.int64).tolist(), strict=True):
            model[tuple(sorted(where + labels)), timestamp_ms] = bits


def told(slices: Iterable[Slice]) -> Model:
    """All samples of an answer; fails where a series comes twice or times do not increase."""
    samples: Model = {}
    seen: set[Labels] = set()
    for series, times, values in slices:
        assert values.shape == (len(times), len(series)), "dense"
        assert values.dtype == np.float64
        assert (np.diff(times) > 0).all(), "times increase"
        assert not seen & set(series), "a series is in one slice"
        seen.update(series)
        bits = np.ascontiguousarray(values).view(np.int64)
        for place, labels in enumerate(series):
            for row, at in enumerate(times.tolist()):
                samples[labels, at] = int(bits[row, place])
    return samples


def everything(store: Store, matchers: Sequence[Matcher] = ()) -> Model:
    return told(store.select(matchers, *FOREVER))


def between(model: Mapping[tuple[Labels, int], int], start_ms: int, end_ms: int) -> Model:
    return {key: bits for key, bits in model.items() if start_ms <= key[1] <= end_ms}


def sql(store: Store, statement: str, *values: object) -> list[tuple]:
    """What a statement finds, run where all writing is done."""
    return store._in_writer(lambda: store._state.connection.execute(statement, values).fetchall())


def silent() -> Logger:
    return Logger(lambda _: None)


@contextmanager
def opened(
    directory: Path,
    clock: Clock = SYSTEM_CLOCK,
    telemetry: Registry | None = None,
    log: Logger | None = None,
    **options,
) -> Iterator[Store]:
    """A store that keeps for ever and does not wait for company, closed at the end."""
    chosen = {"retention_seconds": 0, "commit_wait_seconds": 0, **options}
    store = Store.open(StoreOptions(directory, **chosen), telemetry or Registry(), clock, log or silent())
    try:
        yield store
    finally:
        store.close()
