"""Whatever is wrong with a simulated node, its answers hold together; and each fault shows what it is."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.exposition.text import family_of, parse
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.faults import EFFECTS, Fault
from kpwatch.simulate.fleet import FleetOptions, make_specs
from kpwatch.simulate.node import NodeSpec, SimulatedNode
from tests.conftest import REPOSITORY

NOW = 1_795_003_600.0
K = "kubeproxy_sync_proxy_rules_"

few = settings(max_examples=max(10, settings.default.max_examples // 5), deadline=None)
"""An example renders and parses bodies of a thousand lines."""

instants = st.floats(-1800, 1800)


@st.composite
def faulty_specs(draw: st.DrawFn) -> NodeSpec:
    """A node with one or two faults that it can show."""
    names = st.sampled_from(sorted(EFFECTS))
    faults = []
    for name in draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        start = draw(st.sampled_from([-math.inf, -7200.0]) | instants)
        end = draw(st.just(math.inf) | instants)
        faults.append(Fault(name, NOW + start, NOW + max(start + 1, end)))
    fits = [
        name
        for name, capture in captures().items()
        if name.endswith("-churn") and all(fault.row.needs.fit(capture.minor, capture.mode) for fault in faults)
    ]
    if not fits:
        fits, faults = ["1.36.3-iptables-churn"], []
    age = draw(st.floats(60, 3600))
    return NodeSpec(
        "n", draw(st.sampled_from(fits)), NOW - age, seed=draw(st.text("ab", max_size=3)), faults=tuple(faults)
    )


def read(body: bytes) -> dict[str, float]:
    return {sample.head.decode(): sample.value for sample in parse(body).samples}


def heads(body: bytes) -> list[bytes]:
    return [line if line.startswith(b"#") else line.rsplit(b" ", 1)[0] for line in body.splitlines()]


@few
@given(faulty_specs(), st.lists(instants, min_size=2, max_size=4))
def test_the_answer_depends_on_the_instant_only(spec: NodeSpec, asked: list[float]):
    """Whatever was asked before, forward or backward, through restarts."""
    wanderer = SimulatedNode(spec)
    for age in [*asked, *reversed(asked)]:
        fresh, at = SimulatedNode(spec), NOW + age
        assert wanderer.ports(at) == fresh.ports(at)
        assert wanderer.metrics(at) == fresh.metrics(at)
        assert wanderer.healthz(at) == fresh.healthz(at)
        assert wanderer.livez(at) == fresh.livez(at)


@few
@given(faulty_specs(), instants, instants)
def test_counters_fall_only_where_a_process_began_anew(spec: NodeSpec, one: float, other: float):
    """And the sum of negative latencies under a skewed clock."""
    node = SimulatedNode(spec)
    earlier, later = sorted((NOW + one, NOW + other))
    bodies = [node.metrics(at) for at in (earlier, later)]
    if node._life_at(earlier) != node._life_at(later):
        return
    before, after = (read(body) for body in bodies)
    types = parse(bodies[1]).types
    fallen = [
        head
        for head, value in after.items()
        if types[family_of(head.partition("{")[0], types)] in ("counter", "histogram") and value < before.get(head, 0.0)
    ]
    skewed = any(fault.name == "clock-skew" for fault in spec.faults)
    assert [head for head in fallen if not (skewed and "network_programming_duration_seconds_sum" in head)] == []


@few
@given(faulty_specs(), instants)
def test_a_body_is_whole(spec: NodeSpec, age: float):
    """It parses, families are sorted and each has its comments and a sample, histograms end in their count."""
    body = SimulatedNode(spec).metrics(NOW + age)
    parsed = parse(body)
    assert parsed.errors == []
    assert list(parsed.types) == sorted(parsed.types)
    assert set(parsed.types) == set(parsed.helps) == {family_of(s.name, parsed.types) for s in parsed.samples}
    values = read(body)
    buckets = [head for head in values if "_bucket{" in head]
    for head, following in pairwise(buckets):
        if 'le="+Inf"' in head:
            count = head.replace("_bucket", "_count").replace(',le="+Inf"', "").replace('{le="+Inf"}', "")
            assert values[head] == values[count.replace('le="+Inf",', "")], head
        else:
            assert values[head] <= values[following], head


@few
@given(faulty_specs(), instants, instants)
def test_values_without_text_are_those_in_the_text_and_layouts_tell_names(spec: NodeSpec, one: float, other: float):
    node = SimulatedNode(spec)
    samples = [node.sample(NOW + age) for age in (one, other)]
    bodies = [node.metrics(NOW + age) for age in (one, other)]
    for (_, values), body in zip(samples, bodies, strict=True):
        assert values == list(read(body).values())
    assert (samples[0][0] == samples[1][0]) == (heads(bodies[0]) == heads(bodies[1]))


@few
@given(faulty_specs(), instants)
def test_health_documents_are_json_and_agree_with_their_status(spec: NodeSpec, age: float):
    node = SimulatedNode(spec)
    for status, body in filter(None, (node.healthz(NOW + age), node.livez(NOW + age))):
        document = json.loads(body)
        good = document.get("healthy", status == 200) and document.get("nodeEligible", True)
        assert status == (200 if good else 503)
        assert all(family["healthy"] in (True, False) for family in document.get("status", {}).values())


@few
@given(faulty_specs(), instants)
def test_the_next_turn_is_later_and_nothing_opens_or_closes_before(spec: NodeSpec, age: float):
    node, at = SimulatedNode(spec), NOW + age
    turn = node.next_turn(at)
    assert turn > at
    for part in (0.01, 0.5, 0.99):
        if math.isfinite(turn):
            assert node.ports(at + part * (turn - at)) == node.ports(at)


def broken(name: str, after: float) -> tuple[SimulatedNode, dict[str, float], dict[str, float]]:
    """(a node that shows `name`, its metrics just before, `after` seconds later)."""
    start = -math.inf if EFFECTS[name].from_start else NOW
    options = FleetOptions(proxies=["1.36.3-iptables"], age_seconds=(3600, 3601))
    node = SimulatedNode(make_specs(2, NOW, [("2", Fault(name, start))], options)[1])
    return node, read(node.metrics(NOW - 1)), read(node.metrics(NOW + after))


def total(body: dict[str, float], name: str) -> float:
    """Sum of all series of a metric."""
    return sum(value for head, value in body.items() if head.partition("{")[0] == name)


SHOWS = (
    # fault, seconds of it, metric, how it must have moved: at least, at most
    ("restore-failing", 300, K + "iptables_restore_failures_total", 6, 40),
    ("restore-failing", 300, K + "iptables_partial_restore_failures_total", 3, 20),
    ("partial-restore-failing", 300, K + "iptables_partial_restore_failures_total", 3, 40),
    ("nft-failing", 300, K + "nftables_sync_failures_total", 8, 60),
    ("nft-cleanup-failing", 300, K + "nftables_cleanup_failures_total", 8, 60),
    ("backlog-stuck", 300, K + "endpoint_changes_pending", 50, 400),
    ("sync-hung", 300, K + "duration_seconds_count", 0, 0),
    ("outlier-node", 900, K + "endpoint_changes_total", 0, 0),
    ("api-forbidden", 60, "rest_client_requests_total", 20, 70),
    ("api-overloaded", 300, "rest_client_request_retries_total", 30, 2000),
    ("api-slow", 300, "rest_client_request_duration_seconds_sum", 200, 1000),
    ("client-throttled", 300, "rest_client_rate_limiter_duration_seconds_sum", 30, 400),
    ("invalid-drops", 300, "kubeproxy_iptables_ct_state_invalid_dropped_packets_total", 5900, 6100),
    ("localhost-nodeports", 300, "kubeproxy_iptables_localhost_nodeports_accepted_packets_total", 149, 151),
    ("no-local-endpoints", 1, K + "no_local_endpoints_total", 20, 20),
    ("memory-growing", 1000, "process_resident_memory_bytes", 9.9e8, 1.01e9),
    ("memory-growing", 1000, "go_memstats_heap_inuse_bytes", 9.9e8, 1.01e9),
    ("goroutines-growing", 600, "go_goroutines", 590, 610),
    ("cpu-busy", 100, "process_cpu_seconds_total", 90, 100),
    ("fds-exhausted", 100, "process_open_fds", 19_000, 20_000),
    ("fds-exhausted", 100, K + "iptables_restore_failures_total", 0, 0),
    ("conntrack-slow", 300, "kubeproxy_conntrack_reconciler_sync_duration_seconds_sum", 50, 300),
    ("programming-slow", 300, "kubeproxy_network_programming_duration_seconds_sum", 1000, 30_000),
    ("clock-skew", 300, "kubeproxy_network_programming_duration_seconds_sum", -30_000, -1000),
    ("full-sync-slow", 900, "kubeproxy_sync_full_proxy_rules_duration_seconds_sum", 100, 900),
)


@pytest.mark.parametrize(("name", "seconds", "metric", "least", "most"), SHOWS)
def test_a_fault_moves_its_metric(name: str, seconds: float, metric: str, least: float, most: float):
    _, before, after = broken(name, seconds)
    assert least <= total(after, metric) - total(before, metric) <= most


SYNCS_ALL_THE_SAME = (
    "restore-failing",
    "partial-restore-failing",
    "nft-cleanup-failing",
    "conntrack-slow",
    "full-sync-slow",
    "programming-slow",
    "sync-slow",
    "api-overloaded",
    "api-slow",
    "client-throttled",
)


@pytest.mark.parametrize("name", SYNCS_ALL_THE_SAME)
def test_what_only_slows_or_stumbles_stays_healthy(name: str):
    """At every instant of half an hour `last` is less than a minute old while changes come, and /healthz is 200."""
    node, _, _ = broken(name, 0)
    for age in range(60, 1800, 20):
        body = read(node.metrics(NOW + age))
        assert NOW + age - max(v for h, v in body.items() if h.startswith(K + "last_timestamp")) < 90
        assert node.healthz(NOW + age)[0] == 200


def test_negative_latencies_are_in_the_lowest_bucket():
    _, before, after = broken("clock-skew", 300)
    bucket = 'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="0"}'
    assert after[bucket] - before[bucket] > 20


def test_a_process_without_descriptors_knows_only_how_many_it_has():
    node, before, after = broken("fds-exhausted", 100)
    assert "process_max_fds" in before
    assert [head for head in after if head.startswith("process_")] == ["process_open_fds"]
    assert node.healthz(NOW + 100)[0] == 503


def test_what_hangs_since_1_29_beside_a_working_family_shows_in_health_alone():
    node, before, after = broken("healthz-failing", 300)
    assert node.version == "1.30.3"
    assert [head for head in after if "failures" in head and after[head] > before[head]] == []
    last, queued = (total(after, K + f"{which}_timestamp_seconds") for which in ("last", "last_queued"))
    assert queued - last < 10
    assert node.healthz(NOW + 59)[0] == 200
    assert node.healthz(NOW + 300)[0] == 503


def test_a_watch_that_comes_back_brings_what_was_missed():
    """After at most a minute; not more than a list can hold."""
    spec = NodeSpec("n", "1.36.3-iptables-churn", NOW - 3600, faults=(Fault("api-unreachable", NOW, NOW + 300),))
    node = SimulatedNode(spec)
    during, after = (total(read(node.metrics(NOW + age)), K + "endpoint_changes_total") for age in (299, 365))
    assert during == total(read(node.metrics(NOW)), K + "endpoint_changes_total")
    assert after - during > 50
    assert node.healthz(NOW + 365)[0] == 200


def test_a_process_started_without_an_api_server_opens_no_port_since_1_34():
    """Before, after half a minute; either way it comes up once the server is back."""
    for capture, waiting in (("1.36.3-iptables-churn", "closed"), ("1.30.3-iptables-churn", "open")):
        faults = (Fault("api-unreachable", NOW, NOW + 600), Fault("restarted", NOW + 60))
        node = SimulatedNode(NodeSpec("n", capture, NOW - 3600, faults=faults))
        assert node.ports(NOW + 59) == "open"
        assert node.ports(NOW + 80) == "closed"
        assert node.ports(NOW + 599) == waiting
        assert node.ports(NOW + 700) == "open"
        last = max(v for h, v in read(node.metrics(NOW + 700)).items() if h.startswith(K + "last_timestamp"))
        assert last > NOW + 600


def test_a_crash_loop_starts_more_than_three_processes_an_hour_and_ends_with_the_fault():
    fault = Fault("crash-looping", NOW, NOW + 3600)
    node = SimulatedNode(NodeSpec("n", "1.36.3-iptables-churn", NOW - 3600, faults=(fault,)))
    starts = {node.process_started(NOW + age) for age in range(0, 3600, 10)}
    assert 5 < len(starts) < 20
    assert {node.ports(NOW + age) for age in range(4000, 6000, 100)} == {"open"}


def test_a_skewed_clock_does_not_move_the_start_of_a_process_that_ran_before():
    node, before, after = broken("clock-skew", 100)
    assert before["process_start_time_seconds"] == after["process_start_time_seconds"]
    assert node.clock(NOW + 100) == NOW + 55


def test_something_else_on_the_port_says_nothing_of_kube_proxy():
    _, _, after = broken("not-kube-proxy", 10)
    assert [head for head in after if head.startswith("kubeproxy_")] == []
    assert "go_goroutines" in after


def test_two_nodes_with_the_same_fault_fail_at_their_own_pace():
    specs = make_specs(2, NOW, [("*", Fault("sync-failing", NOW))], FleetOptions(proxies=["1.36.3-iptables"]))
    sums = {total(read(SimulatedNode(spec).metrics(NOW + 300)), K + "duration_seconds_sum") for spec in specs}
    assert len(sums) == 2


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_fault_has_a_heading_in_the_docs(name: str):
    page = (REPOSITORY / "docs/reference/simulate.md").read_text()
    assert f"\n## {name}\n" in page
