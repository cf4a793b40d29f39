"""The fleet table over a real store, for every kube-proxy version and failure of the captures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from kpwatch.doctor.bundle import rfc3339
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.model.numbers import STALE_NAN
from tests.unit.api.stored import METRICS_URL, Stored, taken_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
BRIEF = ("check", "severity", "summary", "since")


@pytest.fixture
def capture_dir(shared_dir: Path) -> Path:
    return shared_dir / "captures"


@pytest.fixture
def at(tmp_path: Path) -> Iterator:
    """`at(unix_ms)`: an empty store at that time."""
    opened: list[Stored] = []

    def open_(now_ms: int) -> Stored:
        opened.append(Stored(tmp_path / f"store{len(opened)}", now_ms))
        return opened[-1]

    yield open_
    for stored in opened:
        stored.store.close()


def checks_of(row: dict) -> list[str]:
    return [finding["check"] for finding in row["findings"]]


def play(stored: Stored, node: str, before: Path, capture: Path) -> None:
    """A scrape of `before`, then a minute of `capture`."""
    now_ms = stored.clock.ms
    stored.scrape(node, before, now_ms - 75_000)
    for back_ms in (60_000, 45_000, 30_000, 15_000, 0):
        stored.scrape(node, capture, now_ms - back_ms)


@pytest.mark.parametrize(
    ("name", "version", "mode", "failures", "pending"),
    [
        ("real-1.20.2-iptables-200svc", "v1.20.2", None, 0.0, 0.0),
        ("real-1.23.4-iptables-200svc", "v1.23.4", "iptables", 0.0, 0.0),
        ("real-1.26.0-iptables-churn", "v1.26.0", "iptables", 0.0, 0.0),
        ("real-1.28.3-iptables-200svc", "v1.28.3", "iptables", 0.0, 0.0),
        ("real-1.30.3-iptables-200svc", "v1.30.3", "iptables", 0.0, 0.0),
        ("real-1.30.3-nftables-200svc", "v1.30.3", None, 0.0, 0.0),
        ("real-1.34.9-iptables-churn", "v1.34.9", "iptables", 0.0, 0.0),
        ("real-1.34.9-nftables-200svc", "v1.34.9", "nftables", 0.0, 0.0),
        ("real-1.36.3-iptables-200svc", "v1.36.3", "iptables", 0.0, 0.0),
        ("real-1.36.3-nftables-churn", "v1.36.3", "nftables", 0.0, 0.0),
        ("real-1.36.3-iptables-recovered", "v1.36.3", "iptables", 5.0, 0.0),
        ("real-1.36.3-iptables-apiserver-down", "v1.36.3", "iptables", 6.0, 0.0),
        ("real-1.36.3-iptables-idle-empty", "v1.36.3", "iptables", 0.0, 0.0),
    ],
)
def test_a_healthy_node(
    name: str, version: str, mode: str | None, failures: float, pending: float, capture_dir: Path, at: object
) -> None:
    """Version, mode, failures since start and pending changes of every version and mode."""
    capture = capture_dir / f"{name}.txt"
    stored = at(taken_ms(capture))
    stored.scrape("node-a", capture, stored.clock.ms - 1000)
    row = stored.rows()["node-a"]
    assert (row["version"], row["mode"], row["silent"]) == (version, mode, False)
    assert (row["failures"], row["pending_changes"], row["up"]) == (failures, pending, 1.0)
    assert row["last_seen"] == (stored.clock.ms - 1000) / 1000
    assert 0 <= stored.clock.unix_seconds() - row["last_sync"] < 3700


@pytest.mark.parametrize(
    ("before", "name", "failures"),
    [
        ("real-1.20.2-iptables-churn", "real-1.20.2-iptables-sync-fail-70s", None),
        ("real-1.23.4-iptables-churn", "real-1.23.4-iptables-sync-fail-70s", None),
        ("real-1.26.0-iptables-churn", "real-1.26.0-iptables-sync-fail-70s", None),
        ("real-1.30.3-iptables-churn", "real-1.30.3-iptables-sync-fail-70s", None),
        ("real-1.36.3-iptables-restore-fail-6s", "real-1.36.3-iptables-restore-fail-70s", 4.0),
        ("real-1.36.3-nftables-churn", "real-1.36.3-nftables-sync-fail-70s", None),
        ("real-1.36.3-iptables-restore-fail-70s", "real-1.36.3-iptables-restore-fail-70s", 4.0),
    ],
)
def test_a_node_whose_sync_fails(before: str, name: str, failures: float | None, capture_dir: Path, at: object) -> None:
    """Failures since start; of the address families the one that waits."""
    capture = capture_dir / f"{name}.txt"
    stored = at(taken_ms(capture))
    play(stored, "node-a", capture_dir / f"{before}.txt", capture)
    row = stored.rows()["node-a"]
    assert row["failures"] > 0
    assert failures in (None, row["failures"])
    # IPv6 keeps its good timestamps; the row shows the family that waits.
    assert stored.clock.unix_seconds() - row["last_sync"] > 60


@pytest.mark.parametrize(
    ("name", "pending", "checks"),
    [
        ("real-1.20.2-iptables-skew-no-endpointslice-v1beta1", 201.0, ["never-synced", "api-gone"]),
        ("real-1.20.2-iptables-start-apiserver-unreachable", 0.0, ["never-synced"]),
    ],
)
def test_a_node_that_never_synced(name: str, pending: float, checks: list[str], capture_dir: Path, at: object) -> None:
    """Up to 1.32 the timestamp is 0: shown as never; a state once the process is two minutes old, beside its cause."""
    capture = capture_dir / f"{name}.txt"
    stored = at(taken_ms(capture))
    stored.scrape("node-a", capture, stored.clock.ms)
    assert stored.rows()["node-a"]["last_sync"] is None
    stored.clock.ms += 2 * MINUTE_MS
    stored.scrape("node-a", capture, stored.clock.ms)
    row = stored.rows()["node-a"]
    assert (row["last_sync"], checks_of(row), row["pending_changes"]) == (None, checks, pending)


def test_a_node_that_never_synced_from_1_33_on(capture_dir: Path, at: object) -> None:
    """From 1.33 the series is absent."""
    capture = capture_dir / "real-1.36.3-nftables-200svc.txt"
    stored = at(taken_ms(capture) + 5 * MINUTE_MS)
    for back_ms in (2 * MINUTE_MS, MINUTE_MS, 0):
        stored.scrape("node-a", capture, stored.clock.ms - back_ms, without=".*_last_timestamp_seconds")
    row = stored.rows()["node-a"]
    assert (row["last_sync"], checks_of(row)) == (None, ["never-synced"])


def test_the_agents_word_about_the_mode_counts_first(capture_dir: Path, at: object) -> None:
    """What /proxyMode says, also where the families leave it open."""
    capture = capture_dir / "real-1.30.3-nftables-200svc.txt"
    stored = at(taken_ms(capture))
    stored.scrape("node-a", capture, stored.clock.ms)
    own = {"ident": "node-a", "instance": METRICS_URL, "job": "kube-proxy"}
    stored.sample(stored.clock.ms, 1.0, "kpwatch_proxy_mode_info", mode="nftables", **own)
    assert stored.rows()["node-a"]["mode"] == "nftables"


def test_the_p99_of_syncs(capture_dir: Path, at: object) -> None:
    """From the histogram over a quarter of an hour; none where nothing was synced."""
    first, second = (capture_dir / f"real-1.36.3-iptables-{name}.txt" for name in ("200svc", "churn"))
    stored = at(taken_ms(second))
    stored.scrape("node-a", first, stored.clock.ms - 30_000)
    stored.scrape("node-a", second, stored.clock.ms)
    stored.scrape("idle", first, stored.clock.ms - 30_000)
    stored.scrape("idle", first, stored.clock.ms)
    rows = stored.rows()
    assert 0 < rows["node-a"]["sync_p99_seconds"] < 16.384
    assert rows["idle"]["sync_p99_seconds"] is None


def test_a_proxy_that_does_not_answer(capture_dir: Path, at: object) -> None:
    """The agent writes up = 0: not judged at first, then unreachable; other columns go with the staleness markers."""
    stored = at(taken_ms(capture_dir / "real-1.36.3-iptables-200svc.txt"))
    stored.down("node-a", stored.clock.ms)
    row = stored.rows()["node-a"]
    assert (row["verdict"], row["findings"], row["up"], row["version"]) == ("unknown", [], 0.0, None)
    for _ in range(4):
        stored.clock.ms += MINUTE_MS // 2
        stored.down("node-a", stored.clock.ms)
    row = stored.rows()["node-a"]
    assert (row["verdict"], checks_of(row), row["up"], row["version"]) == ("critical", ["unreachable"], 0.0, None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_row_says_briefly_what_the_doctor_says(language: str, at: object) -> None:
    """Verdict, check, severity, summary and since; what is told for the fleet stands in its nodes' rows too."""
    stored = at(1_795_374_456_000)
    for _ in range(10):
        stored.clock.ms += 30_000
        for node in ("a", "b"):
            stored.down(node, stored.clock.ms)
    fleet = stored.fleet()
    document = stored.doctor.document(language)
    table = fleet.table(language)
    told = {node["ident"]: node for node in document["nodes"]}
    for_all = [{key: each[key] for key in BRIEF} for each in document["fleet"]["findings"]]
    assert table["fleet"]["findings"] == for_all
    for row in table["nodes"]:
        own = [{key: each[key] for key in BRIEF} for each in told[row["ident"]]["findings"]]
        assert row["verdict"] == told[row["ident"]]["verdict"] == "critical"
        assert row["findings"] == own + for_all
        assert checks_of(row) == ["unreachable"]
        assert row["findings"][0]["summary"].isascii() is (language == "en")


@pytest.mark.parametrize("marked", [False, True], ids=["agent killed", "with staleness markers"])
def test_a_silent_node_stays_for_a_day(marked: bool, capture_dir: Path, at: object) -> None:
    """Nothing from the agent any more: listed with the time of its last sample, until a day has passed."""
    capture = capture_dir / "real-1.36.3-iptables-200svc.txt"
    stored = at(taken_ms(capture))
    fallen_ms = stored.clock.ms
    stored.scrape("fallen", capture, fallen_ms)
    if marked:
        stored.scrape("fallen", capture, fallen_ms + 10, value=STALE_NAN)
    fleet = stored.fleet()
    for later_ms, listed in (
        (3 * MINUTE_MS, True),
        (6 * MINUTE_MS, True),
        (DAY_MS - 9000, True),
        (DAY_MS + 9000, False),
    ):
        stored.clock.ms = fallen_ms + later_ms
        stored.scrape("living", capture, stored.clock.ms)
        rows = {row["ident"]: row for row in fleet.table()["nodes"]}
        assert ("fallen" in rows) is listed, later_ms
        assert rows["living"]["last_seen"] == stored.clock.ms / 1000
        if listed:
            row = rows["fallen"]
            assert (row["silent"], row["up"], row["last_seen"]) == (True, None, fallen_ms / 1000)
            assert row["verdict"] in ("critical", "unknown")
            assert row.keys() == rows["living"].keys()


def test_a_node_that_speaks_again_is_alive(capture_dir: Path, at: object) -> None:
    """And when it falls silent again, the new last sample counts."""
    stored = at(taken_ms(capture_dir / "real-1.36.3-iptables-200svc.txt"))
    fleet = stored.fleet()
    began_ms = stored.clock.ms
    for spoke_ms in (0, 20 * MINUTE_MS):
        stored.clock.ms = began_ms + spoke_ms
        stored.down("node-a", stored.clock.ms)
        assert [row["silent"] for row in fleet.table()["nodes"]] == [False]
        stored.clock.ms += 7 * MINUTE_MS
        (row,) = fleet.table()["nodes"]
        assert (row["silent"], row["last_seen"]) == (True, (began_ms + spoke_ms) / 1000)


def in_cluster(stored: object, *nodes: str) -> None:
    """What an agent writes that finds nodes by the API server."""
    for node in nodes:
        stored.sample(stored.clock.ms, 1.0, "kpwatch_kubernetes_node_info", ident=node)


def test_a_silence_is_told_apart(at: object) -> None:
    """The cluster no longer has the node; its agent speaks, not of kube-proxy; nothing speaks any more, or yet."""
    stored = at(1_795_374_456_000)
    for node in ("living", "gone", "no-proxy", "fallen"):
        stored.down(node, stored.clock.ms)
    in_cluster(stored, "living", "gone", "no-proxy", "fallen")
    stored.clock.ms += 20 * MINUTE_MS
    stored.down("living", stored.clock.ms)
    stored.sample(stored.clock.ms, 1.0, "kpwatch_agent_info", ident="no-proxy", version="0.1.0")
    in_cluster(stored, "living", "no-proxy", "fallen", "new")
    rows = stored.rows()
    assert {node: row["silence"] for node, row in rows.items()} == {
        "living": None,
        "gone": "node_gone",
        "no-proxy": "no_kube_proxy",
        "fallen": "no_agent",
        "new": "no_agent",
    }
    assert [node for node, row in rows.items() if row["silent"]] == ["fallen", "gone", "new", "no-proxy"]
    assert rows["new"].keys() == rows["living"].keys()
    assert (rows["new"]["last_seen"], rows["new"]["up"]) == (None, None)


def test_a_silence_without_the_clusters_word(at: object) -> None:
    """Where nobody says which nodes exist those of the last 24 h count, and none of them is said to be gone."""
    stored = at(1_795_374_456_000)
    for node in ("living", "no-proxy", "fallen"):
        stored.down(node, stored.clock.ms)
    stored.clock.ms += 20 * MINUTE_MS
    for _ in range(2):
        stored.down("living", stored.clock.ms)
        stored.sample(stored.clock.ms, 1.0, "kpwatch_agent_info", ident="no-proxy", version="0.1.0")
        told = {node: row["silence"] for node, row in stored.rows().items()}
        assert told == {"living": None, "no-proxy": "no_kube_proxy", "fallen": "no_agent"}
        stored.clock.ms += 23 * 60 * MINUTE_MS
    stored.clock.ms += 60 * MINUTE_MS
    stored.down("living", stored.clock.ms)
    assert list(stored.rows()) == ["living"]


def test_nodes_of_other_names_are_not_missing(at: object) -> None:
    """Where agents report by another ident than the cluster's names, no node of the cluster is a row of its own."""
    stored = at(1_795_374_456_000)
    stored.down("10.206.0.7", stored.clock.ms)
    in_cluster(stored, "node-1", "node-2")
    assert list(stored.rows()) == ["10.206.0.7"]


def test_a_node_that_never_reported_is_told_by_the_doctor(at: object) -> None:
    """A warning after ten minutes in the cluster, so that one that is just joining is none; then its row has it."""
    stored = at(1_795_374_456_000)
    found = []
    for _ in range(16):
        stored.down("living", stored.clock.ms)
        in_cluster(stored, "living", "new")
        found.append([(each["check"], each["severity"]) for each in stored.rows()["new"]["findings"]])
        stored.clock.ms += MINUTE_MS
    assert found[0] == []
    assert found[-1] == [("silent-node", "warning")]


def test_a_node_that_left_the_cluster_is_no_fault(at: object) -> None:
    """Who removes a node gets no alarm for it; it is told as info for a day."""
    stored = at(1_795_374_456_000)
    for minute in range(12):
        stored.down("living", stored.clock.ms)
        in_cluster(stored, "living")
        if minute < 3:
            stored.down("gone", stored.clock.ms)
            in_cluster(stored, "gone")
        stored.clock.ms += MINUTE_MS
    row = stored.rows()["gone"]
    assert [(each["check"], each["severity"]) for each in row["findings"]] == [("silent-node", "info")]
    assert row["silence"] == "node_gone"


def test_a_node_whose_target_was_moved_is_not_silent(at: object) -> None:
    """The instance it had before reports no more, the node does."""
    stored = at(1_795_374_456_000)
    for minute in range(20):
        for name in ("up", "kubeproxy_sync_proxy_rules_duration_seconds_count"):
            url = METRICS_URL if minute < 5 else "http://10.206.0.7:10249/metrics"
            stored.sample(stored.clock.ms, 1.0, name, ident="moved", instance=url, job="kube-proxy")
        stored.clock.ms += MINUTE_MS
    row = stored.rows()["moved"]
    assert (row["verdict"], row["findings"], row["silence"]) == ("ok", [], None)


def test_times_of_many_nodes_are_each_nodes_own(at: object) -> None:
    """Nodes are judged side by side, each at an epoch of its own: what is told of one is in the time of the clock."""
    stored = at(1_795_374_456_000)
    began = {node: stored.clock.ms / 1000 + 60 * number for number, node in enumerate(("a", "b", "c"), 1)}
    for _minute in range(12):
        for node, restarted in began.items():
            now = stored.clock.ms / 1000
            labels = {"ident": node, "instance": METRICS_URL, "job": "kube-proxy"}
            for name in ("up", "kubeproxy_sync_proxy_rules_duration_seconds_count"):
                stored.sample(stored.clock.ms, 1.0, name, **labels)
            start = restarted if now >= restarted else restarted - 86_400
            stored.sample(stored.clock.ms, start, "process_start_time_seconds", **labels)
        stored.clock.ms += MINUTE_MS
    rows = stored.rows()
    told = {node: {each["check"]: each["since"] for each in rows[node]["findings"]} for node in began}
    assert told == {node: {"restarted": rfc3339(restarted)} for node, restarted in began.items()}


def test_a_node_without_ident_goes_by_its_instance(at: object) -> None:
    """Prometheus sends no ident."""
    stored = at(1_795_374_456_000)
    stored.sample(stored.clock.ms, 1.0, "up", instance="10.0.0.9:10249", job="kube-proxy")
    assert list(stored.rows()) == ["10.0.0.9:10249"]


def test_two_instances_of_one_node_are_one_row(at: object) -> None:
    """A target whose URL was changed: the larger number."""
    stored = at(1_795_374_456_000)
    stored.sample(stored.clock.ms, 0.0, "up", ident="a", instance="http://localhost:10249/metrics", job="kube-proxy")
    stored.sample(stored.clock.ms, 1.0, "up", ident="a", instance=METRICS_URL, job="kube-proxy")
    assert stored.rows()["a"]["up"] == 1.0


def test_other_jobs_are_no_nodes(at: object) -> None:
    """The table is about kube-proxies."""
    stored = at(1_795_374_456_000)
    stored.sample(stored.clock.ms, 1.0, "up", ident="a", job="node")
    assert stored.rows() == {}


def test_the_table_is_kept_for_a_moment(at: object) -> None:
    """Many readers within a second cost one evaluation."""
    stored = at(1_795_374_456_000)
    fleet = stored.fleet(fresh_seconds=1.0)
    first = fleet.table()
    stored.clock.ms += 900
    assert fleet.table()["time"] == first["time"]
    stored.clock.ms += 200
    assert fleet.table()["time"] == first["time"] + 1.1


def test_rows_are_json(at: object) -> None:
    """NaN and infinities, which JSON lacks, become null."""
    stored = at(1_795_374_456_000)
    own = {"ident": "a", "job": "kube-proxy"}
    for value in (math.nan, math.inf):
        stored.clock.ms += 10_000
        stored.sample(stored.clock.ms, 1.0, "up", **own)
        stored.sample(stored.clock.ms, value, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", **own)
        assert stored.rows()["a"]["pending_changes"] is None
