"""Names lead to rows."""

from __future__ import annotations

import pytest

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.lookup import find_metric, find_prefix, nearest

SYNC = "kubeproxy_sync_proxy_rules_duration_seconds"

FOUND = [
    # asked, row, series
    (SYNC, SYNC, ""),
    (f"{SYNC}_bucket", SYNC, "_bucket"),
    (f"{SYNC}_sum", SYNC, "_sum"),
    (f"{SYNC}_count", SYNC, "_count"),
    (f'{SYNC}_bucket{{le="+Inf",job="kube-proxy"}}', SYNC, "_bucket"),
    ("go_gc_duration_seconds_count", "go_gc_duration_seconds", "_count"),
    ("up", "up", ""),
]


@pytest.mark.parametrize(("asked", "name", "series"), FOUND)
def test_found(asked: str, name: str, series: str) -> None:
    """Families, their series, selectors."""
    found = find_metric(knowledge(), asked)
    assert found is not None
    assert (found.metric.name, found.series) == (name, series)


@pytest.mark.parametrize(
    "asked", ["", "up_count", "go_gc_duration_seconds_bucket", "kubeproxy", "process_open_fds_sum"]
)
def test_not_found(asked: str) -> None:
    """A gauge has no count, a summary no buckets."""
    assert find_metric(knowledge(), asked) is None


def test_the_longest_prefix_explains() -> None:
    """go_memstats_* before go_*."""
    assert find_prefix(knowledge(), "go_memstats_heap_alloc_bytes").prefix == "go_memstats_"
    assert find_prefix(knowledge(), "go_sched_latencies_seconds").prefix == "go_"
    assert find_prefix(knowledge(), "kubeproxy_new_total") is None


def test_a_prefix_hides_no_row() -> None:
    """Nothing of kube-proxy's own, nor of ours, is explained by a prefix alone."""
    assert not [row.prefix for row in knowledge().metric_prefixes if row.prefix.startswith(("kube", "kpw"))]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("iptables_total", "kubeproxy_sync_proxy_rules_iptables_total"),
        ("kubeproxy_sync_proxy_rule_duration_seconds", SYNC),
        ("KUBEPROXY_SYNC_PROXY_RULES_IPTABLES_LAST", "kubeproxy_sync_proxy_rules_iptables_last"),
        ("proces_open_fd", "process_open_fds"),
    ],
)
def test_the_nearest(asked: str, first: str) -> None:
    """A part of the name, a slip, another case."""
    names = nearest(asked, [row.name for row in knowledge().metrics])
    assert names[0] == first
    assert len(names) <= 5


def test_nothing_is_near_to_nonsense() -> None:
    """No guess is better than a wild one."""
    assert nearest("qqqqqqqq", [row.name for row in knowledge().metrics]) == []
