"""The dictionary against what real kube-proxies answered: types, labels, releases and modes, both ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kpwatch.exposition.text import parse
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.lookup import find_metric, find_prefix
from kpwatch.knowledge.rows import Metric, Version, read_version

if TYPE_CHECKING:
    from pathlib import Path

RUNS_ELSEWHERE = ("ipvs", "kernelspace")
"""Modes of which no capture exists."""
MODE_DECIDES_FROM = (1, 31)


class Seen(NamedTuple):
    """One family in one capture."""

    capture: str
    version: Version
    mode: str
    name: str
    type: str
    labels: frozenset[str]
    """Of all its samples, without a histogram's `le`; empty too where it has no samples."""
    samples: int


@pytest.fixture(scope="module")
def seen(captures: list[Path]) -> list[Seen]:
    """Every family of every capture."""
    return [family for capture in captures for family in families_of(capture)]


def families_of(capture: Path) -> list[Seen]:
    version, mode = re.fullmatch(r"real-(1\.\d+)\.\d+-([a-z]+)-.*", capture.name).groups()
    parsed = parse(capture.read_bytes())
    labels: dict[str, set[str]] = {name: set() for name in parsed.types}
    samples = dict.fromkeys(parsed.types, 0)
    for sample in parsed.samples:
        stems = (sample.name.removesuffix(suffix) for suffix in ("", "_bucket", "_sum", "_count"))
        family = next(stem for stem in stems if stem in parsed.types)
        labels[family] |= {name for name, _ in sample.labels} - {"le"}
        samples[family] += 1
    return [
        Seen(capture.name, read_version(version), mode, name, kind, frozenset(labels[name]), samples[name])
        for name, kind in parsed.types.items()
    ]


def explained_by(family: Seen) -> Metric | None:
    found = find_metric(knowledge(), family.name)
    return found.metric if found else None


def test_every_family_is_explained(seen: list[Seen]) -> None:
    """kube-proxy's own by a row each, the others at least by how their names begin."""
    without_row = {family.name for family in seen if not explained_by(family)}
    assert [name for name in without_row if find_prefix(knowledge(), name) is None] == []
    assert [name for name in without_row if name.startswith("kubeproxy_")] == []


def test_types_are_those_of_the_type_line(seen: list[Seen]) -> None:
    """As `# TYPE` has them."""
    rows = [(family, explained_by(family)) for family in seen]
    assert [(family.capture, family.name) for family, row in rows if row and row.type != family.type] == []


def test_labels_are_those_seen(seen: list[Seen]) -> None:
    """Exactly, release by release."""
    wrong = []
    for family in seen:
        row = explained_by(family)
        if row and family.samples:
            stated = {label.name for label in row.labels if label.is_in(family.version)}
            if stated != family.labels:
                wrong.append((family.capture, family.name, sorted(stated), sorted(family.labels)))
    assert wrong == []


def test_nothing_is_seen_before_it_is_there_or_after_it_is_gone(seen: list[Seen]) -> None:
    """`since` and `removed`; and from 1.31 `modes`."""
    rows = [(family, explained_by(family)) for family in seen]
    assert [(family.capture, family.name) for family, row in rows if row and not row.is_in(family.version)] == []
    assert [
        (family.capture, family.name)
        for family, row in rows
        if row and family.version >= MODE_DECIDES_FROM and family.mode not in row.modes
    ] == []


def kube_proxy_rows() -> list[Metric]:
    groups = {group.id for group in knowledge().metric_groups if group.exposed_by == "kube-proxy"}
    return [row for row in knowledge().metrics if row.group in groups]


def test_every_metric_is_seen_in_its_modes_or_says_why_not(seen: list[Seen]) -> None:
    """kube-proxy's own in a capture of each mode it has, shared ones in any; `unseen` only where there is none."""
    modes_captured = {family.mode for family in seen}
    assert modes_captured.isdisjoint(RUNS_ELSEWHERE)
    modes_seen: dict[str, set[str]] = {}
    for family in seen:
        modes_seen.setdefault(family.name, set()).add(family.mode)
    for row in kube_proxy_rows():
        found = modes_seen.get(row.name, set())
        missing = (modes_captured & set(row.modes)) - found if row.name.startswith("kubeproxy_") else not found
        assert row.unseen or not missing, (row.name, missing)
        assert not (row.unseen and found), f"{row.name} is seen: {found}"


def test_what_begins_with_a_release_is_not_in_captures_of_it_by_chance(seen: list[Seen]) -> None:
    """A family of kube-proxy without `since` is in every release captured."""
    for row in kube_proxy_rows():
        if row.name.startswith("kubeproxy_") and not row.since and not row.removed:
            versions = {family.version for family in seen if family.name == row.name}
            assert versions == {family.version for family in seen} or row.absent, row.name


def test_the_articles_metrics_mean_what_the_article_says(shared_dir: Path) -> None:
    """All 19: its words, or those that replace a loose one, are in our Chinese."""
    text = (shared_dir / "article" / "metric-meanings.zh.txt").read_text(encoding="utf-8")
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert types.keys() == ARTICLE.keys()
    rows = {row.name: row for row in knowledge().metrics}
    for name, words in ARTICLE.items():
        row = rows[name]
        ours = row.title.zh + row.means.zh + (row.bad.zh if row.bad else "")
        assert row.type == types[name]
        assert [word for word in words if word not in ours] == [], name


ARTICLE = {
    "go_gc_duration_seconds": ["GC", "时间"],
    "go_goroutines": ["goroutine", "数量"],
    "go_threads": ["线程数量"],
    "kubeproxy_network_programming_duration_seconds": ["Service", "Pod", "发生变化", "规则同步完成", "时间"],
    "kubeproxy_sync_proxy_rules_duration_seconds": ["规则同步耗时"],
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending": ["endpoint", "发生变化", "待同步"],
    "kubeproxy_sync_proxy_rules_endpoint_changes_total": ["endpoint", "变更", "规则同步", "总数"],
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total": ["本机", "iptables-restore 失败", "总次数"],
    "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds": [
        "最近一次",
        "规则同步",
        "请求",
        "时间戳",
        "大很多",
        "hung 住",
    ],
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds": ["最近一次规则同步", "完成", "时间戳"],
    "kubeproxy_sync_proxy_rules_service_changes_pending": ["Service", "变化", "待同步"],
    "kubeproxy_sync_proxy_rules_service_changes_total": ["Service", "变更", "规则同步", "总数"],
    "process_cpu_seconds_total": ["CPU 使用率"],
    "process_max_fds": ["可以打开的最大", "描述符"],
    "process_open_fds": ["当前打开的", "描述符"],
    "process_resident_memory_bytes": ["内存使用大小"],
    "process_start_time_seconds": ["进程启动时间戳"],
    "rest_client_request_duration_seconds": ["请求 apiserver 的耗时", "url", "verb", "统计"],
    "rest_client_requests_total": ["请求 apiserver 的总数", "code", "method", "host", "统计"],
}
