"""What agents would have stored of simulated nodes until now: for whatever takes Remote Write, or in a hub's folder."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.agent import identity_of
from kpwatch.base.telemetry import Registry
from kpwatch.config.options import AgentOptions
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import join_target
from kpwatch.model.numbers import STALE_NAN
from kpwatch.remote_write.snappy import compress
from kpwatch.remote_write.v1 import encode_labels, encode_series
from kpwatch.scrape.options import TargetOptions
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import FleetOptions, make_specs
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import SimulatedNode
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels
    from kpwatch.simulate.node import NodeSpec

STEP_SECONDS = 30
_SERIES_A_REQUEST = 2000

Series = dict["Labels", list[tuple[int, float]]]


def past_of(
    faults: Mapping[str, float], *, healthy: int, seconds: float, gone_seconds: float = 0.0, proxies: Sequence[str] = ()
) -> tuple[Series, dict[str, str]]:
    """(samples until now, fault -> ident) of a fleet: a node for each fault, which began so many seconds ago.

    `silent-node` is a node whose agent went away `gone_seconds` ago.
    """
    past: Series = {}
    fleet, idents = _fleet(faults, healthy, seconds, gone_seconds, proxies)
    for frame in _frames(fleet, STEP_SECONDS):
        for column, value in zip(frame.layout.columns, frame.values.tolist(), strict=True):
            past.setdefault(join_target(frame.target, column), []).append((frame.timestamp_ms, value))
    return past, idents


def store_past(
    folder: Path,
    faults: Mapping[str, float],
    *,
    healthy: int,
    seconds: float,
    gone_seconds: float = 0.0,
    proxies: Sequence[str] = (),
    step_seconds: int = STEP_SECONDS,
) -> dict[str, str]:
    """The same straight into a hub's data folder, before the hub starts: fault -> ident."""
    fleet, idents = _fleet(faults, healthy, seconds, gone_seconds, proxies)
    store = Store.open(StoreOptions(folder, commit_wait_seconds=0), Registry())
    try:
        store.append(_frames(fleet, step_seconds)).result()
    finally:
        store.close()
    return idents


def _fleet(
    faults: Mapping[str, float], healthy: int, seconds: float, gone_seconds: float, proxies: Sequence[str]
) -> tuple[list[tuple[NodeSpec, range]], dict[str, str]]:
    """(each node with the seconds of its past, fault -> ident)."""
    now = int(time.time())
    written = [(str(number), name, ago) for number, (name, ago) in enumerate(faults.items(), start=1)]
    given = [(node, Fault(name, now - ago)) for node, name, ago in written if name != "silent-node"]
    options = FleetOptions(proxies=proxies, age_seconds=(2 * seconds, 4 * seconds))
    specs = make_specs(len(faults) + healthy, now, given, options)
    idents = {name: specs[int(node) - 1].ident for node, name, _ in written}
    ends = {idents.get("silent-node"): int(now - gone_seconds)}
    return [(spec, range(int(now - seconds), ends.get(spec.ident, now) + 1)) for spec in specs], idents


def _frames(fleet: Sequence[tuple[NodeSpec, range]], step_seconds: int) -> Iterator[Frame]:
    """What agents store of each node, with a marker for each series that ends while its target goes on."""
    for spec, alive in fleet:
        address = f"http://{spec.ident}:10249/metrics"
        target = TargetOptions(address, url_labels=(("instance", address),), labels=(("job", "kube-proxy"),))
        identity = identity_of(target, AgentOptions(spec.ident, (target,), ()))
        before: Frame | None = None
        for frame in frames(SimulatedNode(spec), identity, (at * 1000 for at in alive[::step_seconds])):
            yield frame
            if before is not None and before.layout is not frame.layout:
                yield from _ended(before, frame)
            before = frame


def _ended(before: Frame, after: Frame) -> Iterator[Frame]:
    """Staleness markers for what `after` no longer has."""
    there = {join_target(after.target, column) for column in after.layout.columns}
    gone = tuple(column for column in before.layout.columns if join_target(before.target, column) not in there)
    if gone:
        yield Frame(before.target, Layout(gone), after.timestamp_ms, np.full(len(gone), STALE_NAN))


def write(url: str, past: Series) -> None:
    """By Remote Write 1.0 to `url`."""
    items = list(past.items())
    for first in range(0, len(items), _SERIES_A_REQUEST):
        portion = items[first : first + _SERIES_A_REQUEST]
        body = b"".join(encode_series(encode_labels(labels), samples) for labels, samples in portion)
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        request = urllib.request.Request(f"{url}/api/v1/write", data=compress(body), headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 204
