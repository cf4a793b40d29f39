"""What agents would have stored of simulated nodes until now, for whatever takes Remote Write."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

from kpwatch.agent import identity_of
from kpwatch.config.options import AgentOptions
from kpwatch.model.labels import join_target
from kpwatch.model.numbers import STALE_NAN
from kpwatch.remote_write.snappy import compress
from kpwatch.remote_write.v1 import encode_labels, encode_series
from kpwatch.scrape.options import TargetOptions
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import FleetOptions, make_specs
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import SimulatedNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpwatch.model.labels import Labels

STEP_SECONDS = 30
_SERIES_A_REQUEST = 2000

Series = dict["Labels", list[tuple[int, float]]]


def past_of(
    faults: Mapping[str, float], *, healthy: int, seconds: float, gone_seconds: float = 0.0, proxies: Sequence[str] = ()
) -> tuple[Series, dict[str, str]]:
    """(samples until now, fault -> ident) of a fleet: a node for each fault, which began so many seconds ago.

    `silent-node` is a node whose agent went away `gone_seconds` ago, with its series marked as ended.
    """
    now = int(time.time())
    written = [(str(number), name, ago) for number, (name, ago) in enumerate(faults.items(), start=1)]
    given = [(node, Fault(name, now - ago)) for node, name, ago in written if name != "silent-node"]
    options = FleetOptions(proxies=proxies, age_seconds=(2 * seconds, 4 * seconds))
    specs = make_specs(len(faults) + healthy, now, given, options)
    idents = {name: specs[int(node) - 1].ident for node, name, _ in written}
    past: Series = {}
    for spec in specs:
        is_gone = spec.ident == idents.get("silent-node")
        end = now - (gone_seconds if is_gone else 0)
        address = f"http://{spec.ident}:10249/metrics"
        target = TargetOptions(address, url_labels=(("instance", address),), labels=(("job", "kube-proxy"),))
        identity = identity_of(target, AgentOptions(spec.ident, (target,), ()))
        instants = range(int(now - seconds), int(end) + 1, STEP_SECONDS)
        seen: set[Labels] = set()
        for frame in frames(SimulatedNode(spec), identity, (at * 1000 for at in instants)):
            series = [join_target(frame.target, column) for column in frame.layout.columns]
            for labels, value in zip(series, frame.values.tolist(), strict=True):
                past.setdefault(labels, []).append((frame.timestamp_ms, value))
            for labels in seen - set(series):
                past[labels].append((frame.timestamp_ms, STALE_NAN))
            seen = set(series)
    return past, idents


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
