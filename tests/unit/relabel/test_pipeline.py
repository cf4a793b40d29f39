"""Filters and rules work in Categraf's order; `up` and our own samples take part where they should."""

from __future__ import annotations

from typing import Any

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.model.labels import METRIC_NAME
from kpwatch.relabel.identity import Identity
from kpwatch.relabel.options import EnumRule, SampleRules
from kpwatch.relabel.pipeline import LEFT_OUT, Named, Pipeline
from kpwatch.relabel.rules import RelabelRule

FAMILIES = {"h": "histogram", "s": "summary", "c": "counter", "kube_h": "histogram"}

IDENTITY = {
    "url_labels": (("instance", "http://n:1/metrics"),),
    "labels": (("job", "kube-proxy"), ("gone", "-")),
    "global_labels": (("region", "eu"),),
    "hostname": "node-a",
}


def pipeline(identity: dict[str, Any] | None = None, **rules: Any) -> Pipeline:
    return Pipeline(Identity(**(identity or {}), rules=SampleRules(**rules)))


def shown(named: Named | str) -> str:
    """`name k=v …`, or why the sample is left out."""
    if isinstance(named, str):
        assert named in LEFT_OUT
        return f"! {named}"
    labels = dict(named.labels)
    return " ".join([labels.pop(METRIC_NAME), *(f"{name}={value}" for name, value in labels.items())])


def scraped(pipe: Pipeline, sample: str) -> str:
    """One sample of the body, given as `FAMILY[SUFFIX] k=v …`, its family before a dot: `h._bucket le=1`."""
    name, *labels = sample.split(" ")
    family, _, suffix = name.partition(".")
    pairs = tuple((label.partition("=")[0], label.partition("=")[2]) for label in labels)
    return shown(pipe.scraped(family + suffix, pairs, family, FAMILIES.get(family, "gauge")))


CASES = [
    # rules, sample, what becomes of it
    ({}, "m a=1", "m a=1"),
    ({"ignore_metrics": ("h",)}, "h._bucket le=1", "! ignore_metrics"),
    ({"ignore_metrics": ("h_bucket",)}, "h._bucket le=1", "h_bucket le=1"),
    ({"ignore_metrics": ("go_*", "c")}, "go_x", "! ignore_metrics"),
    ({"ignore_metrics": ("go_*", "c")}, "cc", "cc"),
    ({"ignore_label_keys": ("a", "b*")}, "m a=1 b2=2 c=3", "m c=3"),
    ({"ignore_label_keys": ("*",)}, "h._bucket le=1.0 x=1", "h_bucket le=1"),
    ({"ignore_label_keys": ("quantile",)}, "s quantile=0.50", "s quantile=0.5"),
    ({"ignore_label_keys": ("le",)}, "m le=1.0", "m"),
    ({"name_prefix": "kube"}, "c", "kube_c"),
    ({"name_prefix": "kube"}, "h._count", "kube_h_count"),
    ({"name_prefix": "kube"}, "kube_h._count", "kube_h_count"),
    ({"name_prefix": "kube"}, "kubelet", "kubelet"),
    ({"metrics_drop": ("h_bucket",)}, "h._bucket le=1", "! metrics_drop"),
    ({"metrics_drop": ("h",)}, "h._bucket le=1", "h_bucket le=1"),
    ({"metrics_pass": ("h_*", "c")}, "h._sum", "h_sum"),
    ({"metrics_pass": ("h_*", "c")}, "m", "! metrics_pass"),
    ({"metrics_drop": ("c",), "metrics_pass": ("c",)}, "c", "! metrics_drop"),
    ({"name_prefix": "p", "metrics_drop": ("p_c",)}, "c", "! metrics_drop"),
    ({"name_prefix": "p", "ignore_metrics": ("p_c",)}, "c", "p_c"),
    ({"metrics_name_prefix": "x.", "metrics_drop": ("x*",)}, "c", "x.c"),
    ({"metrics_name_prefix": "x_", "name_prefix": "p"}, "c", "x_p_c"),
]


@pytest.mark.parametrize(("rules", "sample", "expected"), CASES)
def test_filters_and_names(rules: dict[str, Any], sample: str, expected: str) -> None:
    """In the order of the table in the module."""
    assert scraped(pipeline(**rules), sample) == expected


def test_filters_see_legal_names() -> None:
    """The original replaces characters before it filters."""
    assert shown(pipeline(metrics_drop=("a_b",)).scraped("a-b", (), "a-b", "gauge")) == "! metrics_drop"


RELABEL = [
    # rules, what becomes of `m a=1` of a whole identity
    ([], "m a=1 agent_hostname=node-a instance=http://n:1/metrics job=kube-proxy region=eu"),
    ([RelabelRule(regex="__name__|agent_hostname", action="labelkeep")], "m agent_hostname=node-a"),
    ([RelabelRule(("agent_hostname", "a"), target_label="b"), RelabelRule(regex="b|__name__", action="labelkeep")],
     "m b=node-a;1"),
    ([RelabelRule(("__name__",), target_label="__name__", replacement="n_$1"),
      RelabelRule(regex="__name__", action="labelkeep")], "n_m"),
    ([RelabelRule(("job",), regex="kube-proxy", action="drop")], "! relabel"),
    ([RelabelRule(regex="__name__", action="labeldrop")], "! relabel_no_name"),
    ([RelabelRule(("a",), target_label="gone"), RelabelRule(regex="__name__|gone", action="labelkeep")], "m gone=1"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "expected"), RELABEL)
def test_relabel_comes_last(rules: list[RelabelRule], expected: str) -> None:
    """It sees the name and agent_hostname, and may rename."""
    assert scraped(pipeline(IDENTITY, relabel=tuple(rules)), "m a=1") == expected


OWN = [
    # rules, `up`, our own sample
    ({}, "up", "kpwatch_x"),
    ({"ignore_metrics": ("*",), "name_prefix": "p"}, "up", "kpwatch_x"),
    ({"metrics_drop": ("up",)}, "! metrics_drop", "kpwatch_x"),
    ({"metrics_drop": ("kpwatch_*",)}, "up", "! metrics_drop"),
    ({"metrics_pass": ("go_*",)}, "! metrics_pass", "kpwatch_x"),
    ({"metrics_name_prefix": "a_"}, "a_up", "a_kpwatch_x"),
    ({"relabel": (RelabelRule(("__name__",), regex="up", action="drop"),)}, "! relabel", "kpwatch_x"),
]


@pytest.mark.parametrize(("rules", "up", "own"), OWN)
def test_own_samples(rules: dict[str, Any], up: str, own: str) -> None:
    """`up` as in the original; metrics_pass, written for what the original has, lets our other samples through."""
    pipe = pipeline(**rules)
    assert (shown(pipe.own("up", ())), shown(pipe.own("kpwatch_x", ()))) == (up, own)


ENUMS = (
    EnumRule(("m*",), (("1", 5.0), ("NaN", -1.0), ("1e+06", 7.0))),
    EnumRule(("mm", "up"), (("5", 6.0), ("1", 8.0))),
)

VALUES = [
    ("m", 1.0, 5.0),
    ("m", 2.0, 2.0),
    ("m", float("nan"), -1.0),
    ("m", 1_000_000.0, 7.0),
    ("mm", 1.0, 6.0),
    ("mm", 5.0, 6.0),
    ("up", 1.0, 8.0),
]


@pytest.mark.parametrize(("name", "value", "expected"), VALUES)
def test_values_are_replaced_as_they_are_printed(name: str, value: float, expected: float) -> None:
    """By all mappings that concern the name, one after the other."""
    named = pipeline(enums=ENUMS).scraped(name, (), name, "gauge")
    assert isinstance(named, Named)
    assert named.value_of is not None
    assert named.value_of(value) == expected


def test_a_value_without_a_mapping_costs_nothing() -> None:
    """No function to call."""
    named = pipeline(enums=ENUMS, name_prefix="x").scraped("m", (), "m", "gauge")
    assert isinstance(named, Named)
    assert named.value_of is None


@pytest.mark.parametrize(
    "rules", [{"metrics_drop": ("[",)}, {"relabel": (RelabelRule(action="?"),)}, {"enums": (EnumRule(("[",), ()),)}]
)
def test_a_bad_rule_is_said_at_once(rules: dict[str, Any]) -> None:
    """When the pipeline is made, not when a sample comes."""
    with pytest.raises(ConfigError):
        pipeline(**rules)
