"""Every check once where it must fire and once, just beside it, where it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kpwatch.base.http import Failure
from kpwatch.doctor.at_store import StoreDoctor
from kpwatch.doctor.documents import Node, Reply, Scrape
from kpwatch.knowledge.load import knowledge
from kpwatch.model.labels import make_labels
from kpwatch.model.memory_source import MemorySource
from kpwatch.promql.engine import EngineOptions
from tests.edited import (
    DONE,
    IPV4,
    NFT_FAILURES,
    QUEUED,
    RESTORE_FAILURES,
    START,
    SYNC,
    SYNCS,
    TOOK,
    found_each,
    ineligible,
    judged,
    late,
    later,
    skewed,
    with_metrics,
    with_replies,
    with_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.doctor.judge import FleetVerdict

    Captured = Callable[[str], Scrape]

DAY = 86_400
SPAN = 15
IPTABLES, NFTABLES, OLDER = "1.36.3-iptables-churn", "1.36.3-nftables-churn", "1.30.3-iptables-churn"
REFUSED, SILENT = Failure("refused", "connection refused"), Failure("timeout", "no answer")


def more(number: float) -> Callable[[float], float]:
    return lambda value: value + number


def requests(code: str) -> str:
    return f'rest_client_requests_total{{code="{code}",host="10.99.0.2:6443",method="GET"}}'


def histogram(name: str, labels: str, count: int, seconds: float) -> dict[str, Any]:
    """`count` observations of `seconds` each, beyond every bound but +Inf."""
    return {
        f'{name}_bucket{{{labels},le="+Inf"}}': more(count),
        f"{name}_count{{{labels}}}": more(count),
        f"{name}_sum{{{labels}}}": more(count * seconds),
    }


FAMILY = 'ip_family="IPv4"'
GET = 'host="10.99.0.2:6443",verb="GET"'
CONNTRACK = "kubeproxy_conntrack_reconciler_sync_duration_seconds"
PROGRAMMING = "kubeproxy_network_programming_duration_seconds"
REQUEST, LIMITER = "rest_client_request_duration_seconds", "rest_client_rate_limiter_duration_seconds"
FULL = "kubeproxy_sync_full_proxy_rules_duration_seconds"
PARTIAL_FAILURES = SYNC + "iptables_partial_restore_failures_total" + IPV4
CLEANUP_FAILURES = SYNC + "nftables_cleanup_failures_total" + IPV4
INVALID = "kubeproxy_iptables_ct_state_invalid_dropped_packets_total"
LOCALHOST = "kubeproxy_iptables_localhost_nodeports_accepted_packets_total"
NO_LOCAL = SYNC + 'no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}'


class Case(NamedTuple):
    """What moves between two scrapes of an old process, where the check fires and where it does not."""

    check: str
    severity: str
    fires: Mapping[str, Any]
    quiet: Mapping[str, Any]
    capture: str = IPTABLES
    before: Mapping[str, Any] = {}
    """Edits of both scrapes."""


CASES = (
    Case("api-unauthorized", "critical", {requests("401"): 3}, {requests("200"): more(3)}),
    Case("api-forbidden", "critical", {requests("403"): 3}, {requests("201"): 3}),
    Case("api-gone", "critical", {requests("404"): 3}, {}, before={requests("404"): 1}),
    Case("api-unreachable", "critical", {requests("<error>"): 3}, {}, before={requests("<error>"): 1}),
    Case("api-overloaded", "warning", {requests("429"): 8}, {requests("429"): 1}),
    Case("api-slow", "warning", histogram(REQUEST, GET, 6, 70), histogram(REQUEST, GET, 4, 70), OLDER),
    Case("client-throttled", "warning", histogram(LIMITER, GET, 6, 70), histogram(LIMITER, GET, 4, 70), OLDER),
    Case(
        "sync-slow",
        "warning",
        {SYNCS + IPV4: more(2), TOOK + IPV4: more(11)},
        {SYNCS + IPV4: more(2), TOOK + IPV4: more(9)},
    ),
    Case("full-sync-slow", "warning", histogram(FULL, FAMILY, 1, 31), histogram(FULL, FAMILY, 1, 29)),
    Case(
        "programming-slow", "critical", histogram(PROGRAMMING, FAMILY, 20, 400), histogram(PROGRAMMING, FAMILY, 19, 400)
    ),
    Case("conntrack-slow", "critical", histogram(CONNTRACK, FAMILY, 2, 6), {CONNTRACK + "_count" + IPV4: more(2)}),
    Case("restore-failing", "warning", {RESTORE_FAILURES + IPV4: 1}, {}, before={RESTORE_FAILURES + IPV4: 5}),
    Case(
        "partial-restore-failing",
        "warning",
        {RESTORE_FAILURES + IPV4: 1, PARTIAL_FAILURES: 1},
        {},
        before={PARTIAL_FAILURES: 0},
    ),
    Case("nft-failing", "warning", {NFT_FAILURES + IPV4: 1}, {}, NFTABLES, before={NFT_FAILURES + IPV4: 0}),
    Case("nft-cleanup-failing", "warning", {CLEANUP_FAILURES: 4}, {CLEANUP_FAILURES: 3}, NFTABLES),
    Case("invalid-drops", "warning", {INVALID: more(20 * SPAN)}, {INVALID: more(0.9 * SPAN)}),
    Case("localhost-nodeports", "info", {LOCALHOST: more(1)}, {}, before={LOCALHOST: 7}),
    Case("no-local-endpoints", "warning", {NO_LOCAL: 1}, {NO_LOCAL: 0}, before={NO_LOCAL: 0}),
    Case("fds-exhausted", "warning", {"process_open_fds": 16_001}, {"process_open_fds": 15_999}),
    Case("goroutines-growing", "warning", {"go_goroutines": 501}, {"go_goroutines": 199}),
    Case(
        "memory-growing",
        "warning",
        {"process_resident_memory_bytes": 1.1e9},
        {"process_resident_memory_bytes": more(6e6)},
    ),
    Case("cpu-busy", "warning", {"process_cpu_seconds_total": more(13)}, {"process_cpu_seconds_total": more(11)}),
    Case("restarted", "info", {START: more(DAY)}, {}),
    Case(
        "backlog-stuck",
        "warning",
        {SYNC + "endpoint_changes_pending": 9},
        {SYNC + "endpoint_changes_pending": 0},
        before={SYNC + "endpoint_changes_pending": 4, DONE + IPV4: more(-500), QUEUED + IPV4: more(-500)},
    ),
)


def pair(case: Case, changes: Mapping[str, Any], captured: Captured) -> list[Scrape]:
    idle = {START: more(-DAY), QUEUED + "*": more(-70), DONE + "*": more(-70)}
    first = with_values(captured(case.capture), idle)
    first = with_values(first, case.before)
    return [first, later(first, SPAN, changes)]


def test_what_moves_between_two_scrapes(captured: Captured) -> None:
    """At one desk; every check is found alone, or with what it brings about under it."""
    fires = {case.check: pair(case, case.fires, captured) for case in CASES}
    quiet = {f"not {case.check}": pair(case, case.quiet, captured) for case in CASES}
    expected = {case.check: {case.check: case.severity} for case in CASES} | {f"not {case.check}": {} for case in CASES}
    expected["partial-restore-failing"] = {"partial-restore-failing": "warning"}
    assert found_each(fires | quiet) == expected


def outcomes(scrape: Scrape, metrics: Failure | None, health: Failure | None) -> Scrape:
    """With both ports, one of them or none gone."""
    if metrics:
        scrape = with_replies(scrape, metrics=metrics, proxy_mode=metrics)
    return with_replies(scrape, healthz=health, livez=health) if health else scrape


PORTS = (
    # metrics port, health port, what is found
    (None, None, {}),
    (REFUSED, REFUSED, {"unreachable": "critical"}),
    (REFUSED, SILENT, {"unreachable": "critical"}),
    (SILENT, SILENT, {"frozen": "critical"}),
    (SILENT, REFUSED, {"frozen": "critical"}),
    (REFUSED, None, {"metrics-refused": "warning"}),
    (None, REFUSED, {"healthz-failing": "warning"}),
    (Failure("dns", "no such host"), Failure("dns", "no such host"), {"unreachable": "critical"}),
)


@pytest.mark.parametrize("before", [True, False], ids=["was well", "was the same"])
def test_ports(before: bool, captured: Captured) -> None:
    """The last scrape counts, whatever was before."""
    scrape = with_values(captured(IPTABLES), {START: more(-DAY)})
    nodes = {}
    for number, (metrics, health, _) in enumerate(PORTS):
        broken = outcomes(scrape, metrics, health)
        nodes[f"node-{number}"] = [scrape if before else broken, later(broken, SPAN)]
    assert found_each(nodes) == {f"node-{number}": checks for number, (_, _, checks) in enumerate(PORTS)}


def test_a_node_that_is_well_again_is_well(captured: Captured) -> None:
    """Nothing is said of a failure that was gone at the last look."""
    scrape = with_values(captured(IPTABLES), {START: more(-DAY)})
    broken = [outcomes(scrape, metrics, health) for metrics, health, _ in PORTS]
    nodes = {f"node-{number}": [each, later(scrape, SPAN)] for number, each in enumerate(broken)}
    assert found_each(nodes) == {ident: {} for ident in nodes}


def test_health_that_fails_although_nothing_waits(captured: Captured) -> None:
    """The timestamps look perfect and /healthz says 503: the other address family of a proxy up to 1.32."""
    scrape = captured("1.30.3-iptables-200svc")
    assert found_each({"late": [late(scrape, scrape.at_seconds - 90)], "well": [scrape]}) == {
        "late": {"healthz-failing": "critical"},
        "well": {},
    }
    assert found_each({"leaves": [ineligible(scrape)]}) == {"leaves": {"node-draining": "info"}}


def test_a_page_without_any_finished_sync_is_kube_proxys(captured: Captured) -> None:
    """A proxy of 1.33 that has only just begun exposes neither a timestamp nor a duration."""
    scrape = captured("1.36.3-iptables-idle-empty")
    only_begun = {QUEUED + "*": None, DONE + "*": None, SYNC + "duration_seconds*": None}
    assert found_each({"begins": [with_values(scrape, only_begun)]}) == {"begins": {}}


def test_crashes_again_and_again(captured: Captured) -> None:
    """A bundle with many scrapes shows every start; three restarts are three restarts."""
    scrape = captured(IPTABLES)

    def with_restarts(count: int) -> list[Scrape]:
        return [later(scrape, 60 * number, {START: more(60 * min(number, count))}) for number in range(6)]

    assert found_each({"four": with_restarts(4), "three": with_restarts(3)}) == {
        "four": {"crash-looping": "critical"},
        "three": {"restarted": "info"},
    }


# --- fleets -----------------------------------------------------------------------------------------------------------


def fleet_checks(verdict: FleetVerdict) -> dict[str, str]:
    return {finding.check.id: finding.severity for finding in verdict.findings}


def old(captured: Captured, name: str = IPTABLES) -> Scrape:
    return with_values(captured(name), {START: more(-DAY)})


def nodes_of(scrapes: list[list[Scrape]]) -> list[Node]:
    return [Node(f"node-{number:02}", tuple(each)) for number, each in enumerate(scrapes)]


GATE = 'kubernetes_feature_enabled{name="APIResponseCompression",stage="BETA"}'


@pytest.mark.parametrize(
    ("check", "other"),
    [
        ("version-skew", lambda captured: captured("1.34.9-iptables-churn")),
        ("mode-skew", lambda captured: captured(NFTABLES)),
        ("feature-skew", lambda captured: with_values(captured(IPTABLES), {GATE: 0})),
    ],
)
def test_skew_between_nodes_is_told_once_and_of_one_node_never(
    check: str, other: Callable[[Captured], Scrape], captured: Captured
) -> None:
    """For information: an upgrade looks like this."""
    scrape, odd = old(captured), with_values(other(captured), {START: more(-DAY)})
    skew = judged(*nodes_of([[scrape, later(scrape, SPAN)], [odd, later(odd, SPAN)]]))
    assert fleet_checks(skew) == {check: "info"}
    assert all(node.findings == [] for node in skew.nodes)
    same = judged(*nodes_of([[scrape, later(scrape, SPAN)]] * 2))
    assert fleet_checks(same) == {}
    assert fleet_checks(judged(*nodes_of([[odd, later(odd, SPAN)]]))) == {}


@pytest.mark.parametrize(("nodes", "is_found"), [(5, True), (4, False)])
def test_an_outlier_takes_five_nodes(nodes: int, is_found: bool, captured: Captured) -> None:
    """One hears of no change while the others do; one has 40 % fewer rules."""
    scrape = old(captured)
    heard = [scrape, later(scrape, SPAN, {SYNC + "endpoint_changes_total": more(12)})]
    deaf = judged(*nodes_of([[scrape, later(scrape, SPAN)], *[heard] * (nodes - 1)]))
    rules = SYNC + 'iptables_total{ip_family="IPv4",table="nat"}'
    fewer = with_values(scrape, {rules: 1860})
    small = judged(*nodes_of([[fewer, later(fewer, SPAN)], *[[scrape, later(scrape, SPAN)]] * (nodes - 1)]))
    for verdict in (deaf, small):
        found = [[finding.check.id for finding in node.findings] for node in verdict.nodes]
        assert found == [["outlier-node"] if is_found else [], *[[]] * (nodes - 1)]


@pytest.mark.parametrize(("sick", "is_shared"), [(50, True), (25, True), (24, False), (1, False)])
def test_what_half_of_the_nodes_have_is_told_once(sick: int, is_shared: bool, captured: Captured) -> None:
    """50 nodes that lost the API server are one finding; one of 50 is that node's."""
    scrape = old(captured)
    lost, well = [scrape, later(scrape, SPAN, {requests("<error>"): 9})], [scrape, later(scrape, SPAN)]
    verdict = judged(*nodes_of([lost] * sick + [well] * (50 - sick)))
    assert fleet_checks(verdict).get("api-unreachable") == ("critical" if is_shared else None)
    assert [node.verdict for node in verdict.nodes] == ["critical"] * sick + ["ok"] * (50 - sick)
    own = sum(finding.check.id == "api-unreachable" for node in verdict.nodes for finding in node.findings)
    assert own == (0 if is_shared else sick)


@pytest.mark.parametrize(
    ("dead", "alive", "is_shared"), [(9, 0, False), (10, 10, True), (10, 11, False), (25, 75, True)]
)
def test_many_nodes_that_do_not_answer_are_told_once(
    dead: int, alive: int, is_shared: bool, captured: Captured
) -> None:
    """From ten nodes on, if they are half of the fleet or 25; each remains critical by itself."""
    scrape = old(captured)
    gone = Scrape(
        scrape.at_seconds,
        dict.fromkeys(("metrics", "healthz"), Reply("http://x/", REFUSED, scrape.at_seconds, 0.0)),
    )
    verdict = judged(*nodes_of([[gone]] * dead + [[scrape]] * alive))
    assert fleet_checks(verdict).get("unreachable") == ("critical" if is_shared else None)
    assert [node.verdict for node in verdict.nodes].count("critical") == dead
    own = sum(finding.check.id == "unreachable" for node in verdict.nodes for finding in node.findings)
    assert own == (0 if is_shared else dead)


def test_no_node_has_local_endpoints(captured: Captured) -> None:
    """Three nodes of which each lacks some: perhaps one Service is nowhere. Where one has all, all is well."""
    scrape = old(captured)
    has_all = with_values(scrape, dict.fromkeys([SYNC + "no_local_endpoints_total*"], 0))
    lacking, having = [scrape, later(scrape, SPAN)], [has_all, later(has_all, SPAN)]
    assert fleet_checks(judged(*nodes_of([lacking] * 3))) == {"no-local-endpoints": "info"}
    assert fleet_checks(judged(*nodes_of([lacking, lacking, having]))) == {}


def test_a_whole_fleet_with_one_wrong_clock(captured: Captured) -> None:
    """If all differ alike it is the asker's; that is told once."""
    scrape = old(captured)
    nodes = nodes_of([[scrape, later(scrape, SPAN)]] * 4)
    assert fleet_checks(judged(*(skewed(node, 60) for node in nodes)))["clock-skew"] == "warning"


SILENCE = (
    # seconds since the last sample, what is found
    (30, set()),
    (200, {"agent-stale"}),
    (400, {"silent-node"}),
    (7200, {"silent-node"}),
    (2 * DAY, set()),
)


@pytest.mark.parametrize(("seconds", "checks"), SILENCE)
def test_silence_takes_kept_samples(seconds: int, checks: set[str]) -> None:
    """A store knows who has been there."""
    now_ms = 1_800_000_000_000
    source = MemorySource()
    for ident, age in (("silent", seconds), ("speaks", 10)):
        last = now_ms - age * 1000
        times = [last - number * 15_000 for number in reversed(range(40))]
        for name in ("up", "kpwatch_healthz_up", "kpwatch_node_eligible", QUEUED):
            source.add(make_labels({"__name__": name, "ident": ident, "job": "kube-proxy"}), times, [1.0] * len(times))
    verdict = StoreDoctor(knowledge(), source, EngineOptions()).verdict(now_ms)
    told = {node.ident: {finding.check.id for finding in node.findings} for node in verdict.nodes}
    assert told.get("silent", set()) & {"agent-stale", "silent-node"} == checks
    assert told["speaks"] & {"agent-stale", "silent-node"} == set()


KNOWN = (
    # seconds since kube-proxy was last asked, since the agent's own last word, since the cluster last had the node
    # (None: never), the finding's severity
    (400, 10, 10, "critical", "an agent without kube-proxy"),
    (400, 400, 10, "critical", "no agent"),
    (400, 400, 4000, "info", "a node that is gone"),
    (400, 400, None, "critical", "nobody says that the node ever was there"),
    (None, None, 10, "warning", "a node that never reported"),
    (None, 10, 10, "warning", "an agent that never had a kube-proxy"),
    (None, None, 4000, None, "a node that never reported and is gone"),
)


@pytest.mark.parametrize(("asked_seconds", "agent_seconds", "cluster_seconds", "severity", "case"), KNOWN)
def test_silence_says_what_is_known_of_the_node(
    asked_seconds: int | None, agent_seconds: int | None, cluster_seconds: int | None, severity: str | None, case: str
) -> None:
    """When its agent spoke of itself, and when the cluster had it: that tells the reasons of silence apart."""
    now_ms = 1_800_000_000_000
    source = MemorySource()

    def add(name: str, age_seconds: int | None, **labels: str) -> None:
        if age_seconds is not None:
            last = now_ms - age_seconds * 1000
            times = [last - number * 15_000 for number in reversed(range(80))]
            source.add(make_labels({"__name__": name, "ident": "node"} | labels), times, [1.0] * len(times))

    discovers = {"job": "kpwatch-agent", "agent_hostname": "discovers"}
    add("up", 10, ident="other", job="kube-proxy", instance="http://other:10249/metrics")
    add("up", asked_seconds, job="kube-proxy", instance="http://node:10249/metrics")
    add("kpwatch_agent_info", agent_seconds, job="kpwatch-agent", version="1")
    add("kpwatch_kubernetes_node_info", cluster_seconds, **discovers)
    add("kpwatch_kubernetes_node_info", 10, ident="other", **discovers)
    nodes = {node.ident: node for node in StoreDoctor(knowledge(), source, EngineOptions()).verdict(now_ms).nodes}
    assert "silent-node" not in {finding.check.id for finding in nodes["other"].findings}
    found = [each for each in nodes["node"].findings if each.check.id == "silent-node"] if "node" in nodes else []
    assert [finding.severity for finding in found] == ([severity] if severity else []), case
    for finding in found:
        said = {getattr(shown.what, "en", ""): now_ms / 1000 - float(shown.value) for shown in finding.evidence}
        told = {"last sample": asked_seconds, "the agent's own last word": agent_seconds,
                "when the cluster last had it": cluster_seconds}  # fmt: skip
        assert said == {what: seconds for what, seconds in told.items() if seconds is not None}, case


def test_nodes_under_other_names_than_the_clusters_are_not_missed() -> None:
    """Where kube-proxies report by names that the cluster does not have, nobody knows which node is silent."""
    now_ms = 1_800_000_000_000
    source = MemorySource()
    times = [now_ms - 10_000 - number * 15_000 for number in reversed(range(80))]
    watched = {"__name__": "up", "job": "kube-proxy", "instance": "10.0.0.9:10249"}
    source.add(make_labels(watched), times, [1.0] * 80)
    info = {"__name__": "kpwatch_kubernetes_node_info", "ident": "node", "agent_hostname": "discovers"}
    source.add(make_labels(info), times, [1.0] * 80)
    verdict = StoreDoctor(knowledge(), source, EngineOptions()).verdict(now_ms)
    assert [node.ident for node in verdict.nodes] == ["10.0.0.9:10249"]


# --- what is no kube-proxy --------------------------------------------------------------------------------------------


def test_another_components_page_is_judged_by_no_other_check(captured: Captured) -> None:
    """kube-apiserver's has goroutines, memory and requests, a node exporter's has descriptors without a limit."""
    apiserver = b"""# TYPE apiserver_request_duration_seconds histogram
apiserver_request_duration_seconds_bucket{le="1",verb="GET"} 4
apiserver_request_duration_seconds_count{verb="GET"} 4
go_goroutines 4000
kubernetes_build_info{git_version="v1.36.3",major="1",minor="36"} 1
process_resident_memory_bytes 2e+09
process_start_time_seconds 1.79e+09
rest_client_requests_total{code="<error>",host="x",method="GET"} 300
"""
    exporter = b'node_cpu_seconds_total{cpu="0",mode="idle"} 4\nnode_load1 0.5\nprocess_open_fds 9\n'
    scrape = captured(IPTABLES)
    for page in (apiserver, exporter):
        other = with_metrics(scrape, page)
        grown = with_metrics(later(scrape, SPAN), page.replace(b"} 300", b"} 900"))
        (node,) = judged(Node("node-a", (other, grown))).nodes
        assert (node.verdict, [finding.check.id for finding in node.findings]) == ("unknown", ["not-kube-proxy"])
        assert node.findings[0].evidence
        assert "another" in {each.why.key for each in node.not_judged}
        kinds = {each.check for each in node.not_judged}
        assert {"memory-growing", "fds-exhausted", "api-unreachable", "sync-failing"} <= kinds


def test_every_check_is_in_a_test() -> None:
    """The rows above and test_traps.py."""
    here = {case.check for case in CASES}
    here |= {check for _, _, checks in PORTS for check in checks} | {"agent-stale", "silent-node", "not-kube-proxy"}
    here |= {"version-skew", "mode-skew", "feature-skew", "outlier-node", "crash-looping", "clock-skew"}
    in_traps = {"never-synced", "sync-failing", "sync-hung", "node-draining", "node-missing"}
    assert {check.id for check in knowledge().checks} == here | in_traps
