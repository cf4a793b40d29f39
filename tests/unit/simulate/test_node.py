"""A simulated kube-proxy answers what a real one could have answered, at any instant, in any order of asking."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.exposition.text import Parsed, family_of, parse
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.node import NodeSpec, SimulatedNode

if TYPE_CHECKING:
    from pathlib import Path

STARTED = 1_795_000_000.0
HEALTHY = sorted(name for name in captures() if name.endswith("-churn"))
K = "kubeproxy_sync_proxy_rules_"

few = settings(max_examples=settings.default.max_examples // 5, deadline=None)
"""An example renders and parses bodies of a thousand lines."""

ages = st.floats(0, 3 * 3600)
names = st.sampled_from(HEALTHY)
seeds = st.text("abcdef", min_size=1, max_size=4)


def make(capture: str, seed: str = "", *faults: Fault) -> SimulatedNode:
    return SimulatedNode(NodeSpec("10.206.0.7", capture, STARTED, seed=seed, faults=faults))


class Body(NamedTuple):
    """A rendered body: head -> value in order, and the types of its families."""

    values: dict[str, float]
    types: dict[str, str]


def read(body: bytes) -> Body:
    parsed = parse(body)
    assert parsed.errors == []
    return Body({sample.head.decode(): sample.value for sample in parsed.samples}, sample_types(parsed))


def sample_types(parsed: Parsed) -> dict[str, str]:
    return {s.head.decode(): parsed.types[family_of(s.name, parsed.types)] for s in parsed.samples}


def never_falls(head: str, kind: str) -> bool:
    quantile = kind == "summary" and "quantile=" in head
    return kind in ("counter", "histogram", "summary") and not quantile


@few
@given(names, seeds, ages, ages)
def test_counters_never_fall_and_no_series_goes_away(capture: str, seed: str, one: float, other: float):
    node = make(capture, seed, Fault("sync-failing", STARTED + 3600, STARTED + 7200))
    before, after = (read(node.metrics(STARTED + age)) for age in sorted((one, other)))
    fallen = [
        head
        for head, value in before.values.items()
        if never_falls(head, before.types[head]) and after.values[head] < value
    ]
    assert fallen == []


@few
@given(names, seeds, ages)
def test_histograms_are_cumulative_and_end_in_their_count(capture: str, seed: str, age: float):
    body = read(make(capture, seed).metrics(STARTED + age)).values
    heads = [head for head in body if "_bucket{" in head]
    for head, following in pairwise(heads):
        if 'le="+Inf"' in head:
            count = head.replace("_bucket", "_count").replace(',le="+Inf"', "").replace('{le="+Inf"}', "")
            assert body[head] == body[count], head
        else:
            assert body[head] <= body[following], head


@few
@given(names, seeds, ages, ages)
def test_a_sum_grows_by_what_its_buckets_allow(capture: str, seed: str, one: float, other: float):
    node = make(capture, seed)
    before, after = (read(node.metrics(STARTED + age)).values for age in sorted((one, other)))
    for count in (head for head in before if head.startswith(K + "duration_seconds_count")):
        buckets = [head for head in before if head.startswith(count.replace("_count", "_bucket").rstrip("}"))]
        grown = [after[head] - before[head] for head in buckets]
        bounds = [0.0, *(float(head.split('le="')[1].split('"')[0]) for head in buckets)]
        each = [more - less for less, more in pairwise([0.0, *grown])]
        total = after[count.replace("_count", "_sum")] - before[count.replace("_count", "_sum")]
        least = sum(low * n for low, n in zip(bounds, each, strict=False))
        most = sum(high * n for high, n in zip(bounds[1:-1], each, strict=False))
        assert each[-1] == 0
        assert least - 1e-6 <= total <= most + 1e-6


@few
@given(names, seeds, ages)
def test_a_healthy_node_has_exactly_the_series_and_comments_of_its_capture(capture: str, seed: str, age: float):
    assert skeleton(make(capture, seed).metrics(STARTED + age)) == skeleton(captures()[capture].metrics)


def skeleton(body: bytes) -> list[bytes]:
    """A body without its values."""
    return [line if line.startswith(b"#") else line.rsplit(b" ", 1)[0] for line in body.splitlines()]


@few
@given(names, st.lists(ages, min_size=2, max_size=4))
def test_the_answer_depends_on_the_instant_only(capture: str, asked: list[float]):
    """Whatever was asked before, forward or backward."""
    fault = Fault("sync-failing", STARTED + 3600)
    wanderer = make(capture, "", fault)
    for age in asked:
        fresh = make(capture, "", fault)
        assert wanderer.metrics(STARTED + age) == fresh.metrics(STARTED + age)
        assert wanderer.healthz(STARTED + age) == fresh.healthz(STARTED + age)


@few
@given(names, seeds, ages)
def test_values_without_text_are_the_values_in_the_text(capture: str, seed: str, age: float):
    node = make(capture, seed, Fault("sync-failing", STARTED + 3600))
    _, values = node.sample(STARTED + age)
    assert values == list(read(node.metrics(STARTED + age)).values.values())


@few
@given(names, seeds, ages, ages)
def test_equal_layouts_mean_equal_names(capture: str, seed: str, one: float, other: float):
    node = make(capture, seed, Fault("sync-failing", STARTED + 3600))
    layouts = [node.sample(STARTED + age)[0] for age in (one, other)]
    heads = [skeleton(node.metrics(STARTED + age)) for age in (one, other)]
    assert (layouts[0] == layouts[1]) == (heads[0] == heads[1])


@few
@given(names, seeds, st.floats(120, 3 * 3600))
def test_a_healthy_node_syncs_soon_and_says_so(capture: str, seed: str, age: float):
    now = STARTED + age
    node = make(capture, seed)
    body = read(node.metrics(now)).values
    last, queued = (first(body, K + f"{which}_timestamp_seconds") for which in ("last", "last_queued"))
    assert STARTED <= last <= now
    assert now - last < 60
    assert queued - last < 60
    assert node.healthz(now)[0] == 200


def first(body: dict[str, float], name: str) -> float:
    return next(value for head, value in body.items() if head.partition("{")[0] == name)


@few
@given(names, seeds, ages)
def test_go_agrees_with_itself(capture: str, seed: str, age: float):
    """Allocated less freed is in use, whichever family says it."""
    body = read(make(capture, seed).metrics(STARTED + age)).values
    in_use = body["go_memstats_heap_alloc_bytes"]
    assert in_use == body["go_memstats_alloc_bytes"]
    assert 0 < in_use <= body["go_memstats_heap_inuse_bytes"]
    assert body["go_memstats_mallocs_total"] - body["go_memstats_frees_total"] == body["go_memstats_heap_objects"]
    if "go_gc_heap_frees_bytes_total" in body:
        assert body["go_gc_heap_allocs_bytes_total"] - body["go_gc_heap_frees_bytes_total"] == in_use
        parts = [value for head, value in body.items() if head.startswith("go_cpu_classes_")]
        assert min(parts) >= 0


def test_the_idle_address_family_stands_still():
    """Its timestamps are those of the start, and nothing of it moves."""
    node = make("1.36.3-iptables-churn")
    before, after = (read(node.metrics(STARTED + age)).values for age in (100, 7200))
    idle = [head for head in before if 'ip_family="IPv6"' in head]
    assert len(idle) > 20
    assert [head for head in idle if before[head] != after[head]] == []
    assert 0 < before[K + 'last_timestamp_seconds{ip_family="IPv6"}'] - STARTED < 5


def test_nodes_of_one_cluster_see_the_same_changes():
    """However differently they work: every kube-proxy watches the same API."""
    grown = set()
    for capture, seed in (
        ("1.36.3-iptables-churn", "a"),
        ("1.26.0-iptables-churn", "b"),
        ("1.34.9-nftables-churn", "c"),
    ):
        node = make(capture, seed)
        before, after = (read(node.metrics(STARTED + age)).values for age in (600, 3600))
        grown.add(after[K + "endpoint_changes_total"] - before[K + "endpoint_changes_total"])
    assert len(grown) == 1
    assert grown.pop() > 500


def recording(shared_dir: Path, tmp_path: Path) -> list[bytes]:
    """140 bodies of the recorded real proxy, while it was healthy."""
    import tarfile

    with tarfile.open(shared_dir / "captures/recording-1.36.3-iptables.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return [path.read_bytes() for path in sorted(tmp_path.rglob("*.metrics"))[5:145]]


def moving(bodies: list[bytes]) -> tuple[list[int], dict[str, int]]:
    """Lines that change from one body to the next, and how often each metric does."""
    counts, metrics = [], {}
    for before, after in pairwise([dict(line.rsplit(b" ", 1) for line in body.splitlines()) for body in bodies]):
        changed = [head for head, value in after.items() if before.get(head) != value]
        counts.append(len(changed))
        for name in {head.decode().partition("{")[0] for head in changed}:
            metrics[name] = metrics.get(name, 0) + 1
    return counts, metrics


@pytest.mark.slow
def test_what_moves_is_what_moves_in_a_recorded_proxy(shared_dir: Path, tmp_path: Path):
    """As many lines a scrape; no metric moves that did not, and most that did move here."""
    node = make("1.36.3-iptables-churn")
    real_lines, real = moving(recording(shared_dir, tmp_path))
    ours_lines, ours = moving([node.metrics(STARTED + 3600 + 5 * scrape) for scrape in range(140)])
    median = sorted(real_lines)[70]
    assert 0.6 * median < sorted(ours_lines)[70] < 1.4 * median
    assert set(ours) - set(real) == {"kubeproxy_proxy_livez_total"}  # nobody asked for /livez in the lab
    often = {name for name, times in real.items() if times > 70}
    assert len(often & set(ours)) > 2 / 3 * len(often)  # the rest is the allocator's bookkeeping


FAILURES = (
    # version and mode, situation before, situation 70 s into the failure
    ("1.36.3-iptables", "churn", "restore-fail-70s"),
    ("1.36.3-nftables", "churn", "sync-fail-70s"),
    ("1.30.3-iptables", "churn", "sync-fail-70s"),
    ("1.26.0-iptables", "churn", "sync-fail-70s"),
    ("1.23.4-iptables", "churn", "sync-fail-70s"),
    ("1.20.2-iptables", "churn", "sync-fail-70s"),
)
INCIDENTAL = ("process_", "go_", "rest_client_", "workqueue_", K + "iptables_total")
"""Moves in the captures for reasons of its own."""


@pytest.mark.parametrize(("proxy", "before", "after"), FAILURES)
def test_a_failing_sync_looks_like_the_real_one(shared_dir: Path, proxy: str, before: str, after: str):
    """The same series appear, the same metrics grow, the same stand still."""
    folder = shared_dir / "captures"
    real = [read((folder / f"real-{proxy}-{situation}.txt").read_bytes()) for situation in (before, after)]
    node, broken_at = failing(f"{proxy}-{before}")
    ours = [read(node.metrics(at)) for at in (broken_at, broken_at + 65)]
    assert directions(*ours) == directions(*real)


@pytest.mark.parametrize(("proxy", "before", "after"), [row for row in FAILURES if row[0] > "1.25"])
def test_its_health_answers_have_the_form_of_the_real_ones(shared_dir: Path, proxy: str, before: str, after: str):
    """Status, fields, their order and which of them are healthy. (Up to 1.24 steady change hides it: test_syncloop.)"""
    real = (shared_dir / f"captures/real-{proxy}-{after}.endpoints.txt").read_text()
    node, broken_at = failing(f"{proxy}-{before}")
    status, body = node.healthz(broken_at + 90)
    assert status == 503
    assert shape(body) == shape(section(real, ":10256/healthz"))
    alive = node.livez(broken_at + 90)
    assert (alive is None) == ("404 page not found" in section(real, ":10256/livez"))
    if alive is not None:
        assert alive[0] == 503
        assert shape(alive[1]) == shape(section(real, ":10256/livez"))


def failing(capture: str) -> tuple[SimulatedNode, float]:
    """A node whose sync breaks just after one succeeded, and when."""
    healthy = make(capture)
    at = STARTED + 3600
    while True:
        body = read(healthy.metrics(at)).values
        last, queued = (first(body, K + f"{which}_timestamp_seconds") for which in ("last", "last_queued"))
        if last > queued and not first(body, K + "endpoint_changes_pending"):
            return make(capture, "", Fault("sync-failing", at)), at
        at += 0.5


def directions(before: Body, after: Body) -> dict[str, int | None]:
    """Of every sample that is no bucket: whether it grew (1), fell (-1), stood still (0) or is new (None)."""
    found: dict[str, int | None] = {}
    for head, value in after.values.items():
        if "_bucket" in head or head.startswith(INCIDENTAL) or 'code="503"' in head:
            continue
        old = before.values.get(head)
        found[head] = None if old is None else (value > old) - (value < old)
    return found


def section(endpoints: str, address: str) -> str:
    """The body after `### GET …address` in a capture of endpoints."""
    part = endpoints.split(f"{address}\n")[1].split("\n### ", maxsplit=1)[0]
    return part.split("\n\n", 1)[1].strip()


def shape(document: str) -> object:
    """A health document with its times replaced by their form."""
    return json.loads(document, object_pairs_hook=lambda pairs: [(key, form(value)) for key, value in pairs])


def form(value: object) -> object:
    if not isinstance(value, str):
        return value
    return "go time" if " m=+" in value else "RFC 3339" if value.endswith("Z") else value


def test_a_repaired_sync_is_full_once_and_then_healthy_again():
    """The retry succeeds within 30 s, last_timestamp jumps forward, /healthz is 200."""
    node = make("1.36.3-iptables-churn", "", Fault("sync-failing", STARTED + 3600, STARTED + 3900))
    assert node.healthz(STARTED + 3895)[0] == 503
    broken, repaired = (read(node.metrics(STARTED + age)).values for age in (3895, 3940))
    full = "kubeproxy_sync_full_proxy_rules_duration_seconds_count"
    assert first(repaired, full) >= first(broken, full) + 1
    assert first(repaired, K + "last_timestamp_seconds") > STARTED + 3900
    assert node.healthz(STARTED + 3940)[0] == 200
