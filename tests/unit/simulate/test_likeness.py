"""A simulated failure cannot be told from a real one of the same version and mode that was recorded.

Compared are the series there are, the directions in which they move while the failure lasts, and the health documents.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kpwatch.exposition.text import parse
from kpwatch.simulate.changes import changes_after
from kpwatch.simulate.faults import EFFECTS, Fault
from kpwatch.simulate.node import NodeSpec, SimulatedNode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STARTED = 1_795_000_000.0
K = "kubeproxy_sync_proxy_rules_"
INCIDENTAL = re.compile(
    # the lab's other traces: memory and CPU, client certificates, a CA looked at again, requests repeated when the
    # connection broke, the port of an API server that was never there
    r"process_|go_|workqueue_|rest_client_transport_ca_reload_total|rest_client_request_retries_total"
    r'|rest_client_\w+_(sum|bucket)|.*_bucket\{|.*_sum(\{|$)|rest_client_requests_total\{code="200"'
)


class Case(NamedTuple):
    """One recorded failure."""

    fault: str
    proxy: str
    before: str
    """Situation of the capture before it."""
    after: str
    """Situation of the capture in it."""
    seconds: float
    """How long it had lasted; for a recovery how long it was over."""
    lasted_seconds: float = 0.0
    """Of a recovery: how long the failure lasted."""


CASES = (
    Case("sync-failing", "1.20.2-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.23.4-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.26.0-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.30.3-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.36.3-iptables", "churn", "restore-fail-70s", 72),
    Case("nft-failing", "1.36.3-nftables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.36.3-iptables", "restore-fail-70s", "recovered", 35, 100),
    Case("sync-hung", "1.36.3-iptables", "recovered", "recovered2", 35, 75),
    Case("api-unreachable", "1.36.3-iptables", "apiserver-draining", "apiserver-down", 40),
)


def ids(case: Case) -> str:
    return f"{case.fault}-{case.proxy}-{case.after}"


def read(body: bytes) -> dict[str, float]:
    return {sample.head.decode(): sample.value for sample in parse(body).samples}


def captured(shared_dir: Path, proxy: str, situation: str) -> dict[str, float]:
    return read((shared_dir / f"captures/real-{proxy}-{situation}.txt").read_bytes())


def documents(shared_dir: Path, proxy: str, situation: str) -> dict[str, tuple[int, str]]:
    """Path -> (status, body) of the health port."""
    text = (shared_dir / f"captures/real-{proxy}-{situation}.endpoints.txt").read_text()
    found = {}
    for path in ("healthz", "livez"):
        part = text.split(f":10256/{path}\n")[1].split("\n### ", maxsplit=1)[0]
        found[path] = (int(part.split()[1]), part.split("\n\n", 1)[1].strip())
    return found


def first(body: Mapping[str, float], name: str) -> float:
    return next(value for head, value in body.items() if head.partition("{")[0] == name)


def make(proxy: str, *faults: Fault, quiet: bool = False, started: float = STARTED) -> SimulatedNode:
    return SimulatedNode(NodeSpec("10.206.0.7", f"{proxy}-churn", started, faults=faults, quiet=quiet))


def calm(proxy: str) -> float:
    """An instant when everything is synced."""
    node = make(proxy)
    at = STARTED + 3600
    while True:
        body = read(node.metrics(at))
        last, queued = (first(body, K + f"{which}_timestamp_seconds") for which in ("last", "last_queued"))
        if last > queued and not first(body, K + "endpoint_changes_pending"):
            return at
        at += 0.5


def told(body: Mapping[str, float]) -> set[str]:
    """The series that a failure of kube-proxy's own shows in."""
    return {head for head in body if not INCIDENTAL.match(head)}


def directions(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, int]:
    """Of each told series: grown 1, fallen -1, still 0; an absent counter is 0."""
    return {
        head: (after[head] > before.get(head, 0.0)) - (after[head] < before.get(head, 0.0))
        for head in told(after)
        if "_total_" not in head and "healthz_total" not in head and "livez_total" not in head
    }


CHANCE = re.compile(
    # how many rules a partial sync writes, whether UDP flows were cleared, what the lab's Services came to
    rf"{K}iptables_(last|total)|kubeproxy_conntrack_|{K}endpoint_changes_total|kubeproxy_network_programming_"
)


@pytest.mark.parametrize("case", [case for case in CASES if "recovered" not in case.after], ids=ids)
def test_it_has_the_same_series_and_moves_them_the_same_way(shared_dir: Path, case: Case):
    began = calm(case.proxy)
    lived_through = Fault("sync-failing", began - 900, began - 800)
    node = make(case.proxy, Fault(case.fault, began), *([lived_through] if "apiserver" in case.before else []))
    ours = [read(node.metrics(began + age)) for age in (0, case.seconds)]
    real = [captured(shared_dir, case.proxy, situation) for situation in (case.before, case.after)]
    probes = {head for head in told(ours[1]) ^ told(real[1]) if "healthz_total" in head or "livez_total" in head}
    assert told(ours[1]) ^ told(real[1]) == probes  # whether a probe met the 503 yet is the lab's chance
    found, expected = (directions(*pair) for pair in (ours, real))
    assert {head: way for head, way in found.items() if not CHANCE.match(head)} == {
        head: way for head, way in expected.items() if not CHANCE.match(head)
    }


def test_in_a_quiet_cluster_queued_stands_still_while_the_sync_fails(shared_dir: Path):
    """Between 6 and 70 s of the failure: retries and failures go on, `queued - last` stays a few seconds."""
    change = next(changes_after("kpwatch", STARTED + 3600, quiet=True))
    node = make("1.36.3-iptables", Fault("sync-failing", change.at - 1), quiet=True)
    ours = [read(node.metrics(change.at + age)) for age in (12, 75)]
    real = [captured(shared_dir, "1.36.3-iptables", f"restore-fail-{age}s") for age in (6, 70)]
    assert told(ours[1]) - {head for head in told(ours[1]) if "503" in head} == told(real[1])
    ways = [directions(*pair) for pair in (ours, real)]
    moved = [{head for head, way in each.items() if way and not CHANCE.match(head)} for each in ways]
    assert moved[0] == moved[1]


@pytest.mark.parametrize("case", [case for case in CASES if "recovered" in case.after], ids=ids)
def test_it_recovers_the_same_way(shared_dir: Path, case: Case):
    """One more failure at most, a full sync that works, `last` behind `queued` no more, /healthz 200."""
    began = calm(case.proxy)
    ended = began + case.lasted_seconds
    node = make(case.proxy, Fault(case.fault, began, ended))
    assert node.healthz(ended)[0] == 503
    ours = [read(node.metrics(at)) for at in (ended, ended + case.seconds)]
    real = [captured(shared_dir, case.proxy, situation) for situation in (case.before, case.after)]
    assert told(ours[1]) == told(real[1])
    names = [K + "last_timestamp_seconds", "kubeproxy_sync_full_proxy_rules_duration_seconds_count"]
    if case.fault == "sync-hung":
        names.append(K + "iptables_restore_failures_total")
    for name in names:
        grown = [directions(*pair)[name + '{ip_family="IPv4"}'] for pair in (ours, real)]
        assert grown == [1, 1], name
    assert node.healthz(ended + case.seconds)[0] == documents(shared_dir, case.proxy, case.after)["healthz"][0] == 200


HEALTH = (
    # fault, proxy, situation, seconds into it
    ("sync-failing", "1.26.0-iptables", "sync-fail-70s", 90),
    ("sync-failing", "1.30.3-iptables", "sync-fail-70s", 90),
    ("sync-failing", "1.36.3-iptables", "restore-fail-6s", 8),
    ("sync-failing", "1.36.3-iptables", "restore-fail-70s", 90),
    ("nft-failing", "1.36.3-nftables", "sync-fail-70s", 90),
    ("api-unreachable", "1.36.3-iptables", "apiserver-down", 600),
    ("api-unauthorized", "1.36.3-iptables", "apiserver-401", 600),
    ("sync-slow", "1.36.3-iptables", "slow-sync-7s", 600),
    ("node-missing", "1.36.3-iptables", "node-missing", 600),
    ("node-draining", "1.36.3-iptables", "node-missing", 600),
    ("never-synced", "1.20.2-iptables", "start-apiserver-unreachable", 600),
    ("api-gone", "1.20.2-iptables", "skew-no-endpointslice-v1beta1", 600),
)


@pytest.mark.parametrize(("fault", "proxy", "situation", "seconds"), HEALTH)
def test_its_health_answers_have_the_form_of_the_real_ones(
    shared_dir: Path, fault: str, proxy: str, situation: str, seconds: float
):
    """Status, fields, their order, which are healthy, and which times are now, older, or the same."""
    began = calm(proxy)
    start = -float("inf") if EFFECTS[fault].from_start else began
    node = make(proxy, Fault(fault, start))
    real = documents(shared_dir, proxy, situation)
    ours = {"healthz": node.healthz(began + seconds), "livez": node.livez(began + seconds)}
    for path, (status, body) in real.items():
        answer = ours[path]
        if status == 404:
            assert answer is None
            continue
        assert answer is not None
        assert answer[0] == status
        assert shape(answer[1]) == shape(body)


def shape(document: str) -> list[tuple[str, object]]:
    """A health document with its times replaced by their form and whether they are those of the document itself."""
    now = json.loads(document)["currentTime"]

    def form(value: object) -> object:
        if not isinstance(value, str):
            return value
        kind = "go time" if " m=+" in value else "RFC 3339"
        return kind, "now" if value[:19] == now[:19] else "older"

    return json.loads(document, object_pairs_hook=lambda pairs: [(key, form(value)) for key, value in pairs])


YOUNG = (
    # fault, proxy, situation, age of the process, series that only one side has and why that is no matter
    ("never-synced", "1.20.2-iptables", "start-apiserver-unreachable", 40, r"rest_client_request_duration_seconds"),
    ("api-gone", "1.20.2-iptables", "skew-no-endpointslice-v1beta1", 25, r"^$"),
)


@pytest.mark.parametrize(("fault", "proxy", "situation", "age", "but"), YOUNG)
def test_a_process_that_never_synced_says_what_the_real_one_said(
    shared_dir: Path, fault: str, proxy: str, situation: str, age: float, but: str
):
    """Series and values, API requests to a third; but for the URLs, in which the lab's port was another."""
    node = make(proxy, Fault(fault))
    ours = {head: value for head, value in read(node.metrics(STARTED + age)).items() if not INCIDENTAL.match(head)}
    real = {
        head.replace(":6999", ":6443"): value
        for head, value in captured(shared_dir, proxy, situation).items()
        if not INCIDENTAL.match(head)
    }
    assert [head for head in set(ours) ^ set(real) if not re.match(but, head)] == []
    for head in (head for head in set(ours) & set(real) if not re.match(but, head)):
        if "timestamp" in head:
            assert (ours[head] > 0) == (real[head] > 0), head
        elif head.startswith("rest_client_request"):
            assert ours[head] == pytest.approx(real[head], rel=0.34, abs=1), head
        else:
            assert ours[head] == real[head], head


@pytest.mark.parametrize("proxy", ["1.36.3-iptables", "1.36.3-nftables", "1.34.9-iptables", "1.30.3-iptables"])
def test_a_restarted_process_has_the_series_of_a_real_young_one(shared_dir: Path, proxy: str):
    """Of one that has synced some changes, and that nobody probed yet."""
    node = make(proxy, Fault("restarted", STARTED + 3600))
    ours = read(node.metrics(STARTED + 3600 + 40))
    real = captured(shared_dir, proxy, "200svc")
    unlike = told(ours) ^ told(real)
    assert {
        head
        for head in unlike
        if not re.match(r"kubeproxy_(proxy_(health|live)z|conntrack|network|sync_partial)", head)
    } == set()
    assert ours["process_start_time_seconds"] == STARTED + 3601


def test_a_young_process_that_saw_no_change_has_the_series_of_a_real_one(shared_dir: Path):
    node = make("1.36.3-iptables", Fault("restarted", STARTED + 3600), quiet=True)
    ours = read(node.metrics(STARTED + 3600 + 6))
    real = captured(shared_dir, "1.36.3-iptables", "idle-empty")
    assert {head for head in told(ours) ^ told(real) if not head.startswith("kubeproxy_conntrack")} == set()
    assert first(ours, K + "duration_seconds_count") == first(real, K + "duration_seconds_count") == 1


PACE = (
    # fault, situation, code, seconds of it
    ("api-unreachable", "apiserver-down", "<error>", 40),
    ("api-unauthorized", "apiserver-401", "401", 40),
)


@pytest.mark.parametrize(("fault", "situation", "code", "seconds"), PACE)
def test_requests_fail_at_the_captured_pace(shared_dir: Path, fault: str, situation: str, code: str, seconds: float):
    head = f'rest_client_requests_total{{code="{code}",host="10.99.0.2:6443",method="GET"}}'
    real = captured(shared_dir, "1.36.3-iptables", situation)[head]
    node = make("1.36.3-iptables", Fault(fault, STARTED + 3600))
    assert head not in read(node.metrics(STARTED + 3599))
    assert read(node.metrics(STARTED + 3600 + seconds))[head] == pytest.approx(real, rel=0.3)


def test_a_401_shows_in_the_series_of_a_real_one(shared_dir: Path):
    """Lists are timed again although 1.36 streams them."""
    ours = read(make("1.36.3-iptables", Fault("api-unauthorized", STARTED + 3600)).metrics(STARTED + 3640))
    real = captured(shared_dir, "1.36.3-iptables", "apiserver-401")
    of_client = [{head for head in body if head.startswith("rest_client_re")} for body in (ours, real)]
    assert {head for head in of_client[1] - of_client[0] if "<error>" not in head} == set()
    assert {head for head in of_client[0] - of_client[1] if 'code="200"' not in head} == set()


def test_a_slow_sync_takes_its_time_in_all_its_histograms(shared_dir: Path):
    """As in the recording: means beyond 5 s, and programming takes longer than the sync."""
    node = make("1.36.3-iptables", Fault("sync-slow", STARTED + 1800))
    before, after = (read(node.metrics(STARTED + age)) for age in (1800, 3600))
    real = captured(shared_dir, "1.36.3-iptables", "slow-sync-7s")
    partial, programming = (
        f"kubeproxy_{name}_duration_seconds" for name in ("sync_partial_proxy_rules", "network_programming")
    )
    ours_mean, real_mean = (
        [first(body, f"{name}_sum") / first(body, f"{name}_count") for name in (partial, programming)]
        for body in ({head: after[head] - before.get(head, 0) for head in after}, real)
    )
    assert 5 < real_mean[0] < real_mean[1]
    assert 10 < ours_mean[0] < ours_mean[1]
    assert told(after) - {head for head in told(after) if "z_total" in head} == told(real)
