"""What each recording rule makes of a small fleet: a unit test for promtool. Pure.

The fleet has a healthy node of each kind and one that fails; what is expected is what our own engine makes of the same
samples, so promtool says whether Prometheus' engine gives the same numbers to the last digit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kpwatch.model.gofloat import format_plain
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Vector
from kpwatch.promql.engine import Engine
from kpwatch.publish.documents import Document, yaml_document
from kpwatch.publish.prometheus import recordings
from kpwatch.publish.scenes import IPTABLES, NFTABLES, OLD, Scene, input_series, series_for, written_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kpwatch.knowledge.panels import Panels
    from kpwatch.model.labels import Labels

_FLEET = Scene("partial-restore-failing", (), nodes=4, proxies=(*IPTABLES, *NFTABLES, *OLD))
_EVERY, _END = 50, 850
"""How often rules are evaluated, and when they are looked at, in seconds: so that no window begins at a sample, which
would be in it for Prometheus 2 and not for Prometheus 3."""


def record_test_document(table: Panels) -> Document:
    """`prometheus/tests/kube-proxy-records.yml`."""
    rules = list(recordings(table))
    series = series_for(_FLEET, [query for _, query in rules])
    engine = Engine(_source(series))
    asked = [
        {"expr": name, "eval_time": f"{_END}s", "exp_samples": list(_expected(engine, name, query))}
        for name, query in rules
    ]
    test = {
        "name": "recording rules of four nodes, one of which fails",
        "interval": f"{_FLEET.step}s",
        "input_series": input_series(series, _END, _FLEET.step),
        "promql_expr_test": asked,
    }
    return yaml_document(
        "prometheus/tests/kube-proxy-records.yml",
        "promtool test rules FILE: what each recording rule gives, on simulated kube-proxies.",
        {"rule_files": ["../rules/kube-proxy-records.yml"], "evaluation_interval": f"{_EVERY}s", "tests": [test]},
    )


def _source(series: Mapping[Labels, Mapping[int, float]]) -> MemorySource:
    source = MemorySource()
    for labels, values in series.items():
        source.add(labels, [at * 1000 for at in values], values.values())
    return source


def _expected(engine: Engine, name: str, query: str) -> Iterator[dict[str, Any]]:
    """The samples of a rule; promtool cannot be told of NaN, which equals nothing."""
    found = engine.instant(query, _END * 1000).value
    assert isinstance(found, Vector)
    for labels, value in sorted(found.samples):
        assert not math.isnan(value), f"{name} is NaN for {dict(labels)}: choose another fleet"
        yield {"labels": written_series((("__name__", name), *labels)), "value": float(format_plain(value))}
