"""What misleads whoever reads a kube-proxy: the facts of the study (section 0), a test each, on edited captures.

Every kube-proxy here is one that was captured; what is changed in it is written in the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.http import Failure
from kpwatch.doctor.documents import Node
from tests.edited import (
    DONE,
    IPV4,
    IPV6,
    NFT_FAILURES,
    QUEUED,
    RESTORE_FAILURES,
    START,
    SYNC,
    SYNCS,
    TOOK,
    alone,
    at_epoch,
    found,
    found_each,
    ineligible,
    judged,
    late,
    later,
    skewed,
    with_replies,
    with_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.doctor.documents import Scrape

    Captured = Callable[[str], Scrape]

PROXIES = (
    "1.20.2-iptables",
    "1.26.0-iptables",
    "1.28.3-iptables",
    "1.30.3-nftables",
    "1.34.9-iptables",
    "1.36.3-iptables",
    "1.36.3-nftables",
)
"""One of each kind; all that were captured stand in HEALTHY and test_captures.py."""
DAY = 86_400
PENDING = SYNC + "endpoint_changes_pending"
REQUESTS = "rest_client_requests_total"
ERRORS = REQUESTS + '{code="<error>",host="10.99.0.2:6443",method="GET"}'
ANSWERS = REQUESTS + '{code="200",host="10.99.0.2:6443",method="GET"}'
PROGRAMMING = "kubeproxy_network_programming_duration_seconds_"


def minor(proxy: str) -> int:
    return int(proxy.split(".")[1])


def family(proxy: str) -> str:
    return IPV4 if minor(proxy) >= 33 else ""


def failures(proxy: str) -> str:
    """The counter that says a write has failed."""
    nft = "nftables" in proxy and minor(proxy) >= 31
    return (NFT_FAILURES if nft else RESTORE_FAILURES) + family(proxy)


def writes_fail(proxy: str) -> str:
    return "nft-failing" if "nftables" in proxy else "restore-failing"


def more(number: float) -> Callable[[float], float]:
    return lambda value: value + number


def never_done(proxy: str) -> dict[str, float | None]:
    """No sync has ever succeeded."""
    return {DONE + family(proxy): None if minor(proxy) >= 33 else 0}


def waits(scrape: Scrape, proxy: str, seconds: float, gap_seconds: float = 3.0) -> Scrape:
    """The last success was `gap_seconds` before the newest request, which has waited for `seconds`."""
    at = scrape.at_seconds - seconds
    return with_values(scrape, {QUEUED + family(proxy): at, DONE + family(proxy): at - gap_seconds})


# --- 1: the gap of the timestamps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [False, True])
def test_1_a_failing_sync_in_a_quiet_cluster_whose_gap_stays_small(moves: bool, captured: Captured) -> None:
    """The retry does not touch last_queued: queued - last stays at 3 s for as long as the failure lasts."""

    def failing(proxy: str) -> list[Scrape]:
        first = with_values(captured(f"{proxy}-200svc"), {failures(proxy): 7, SYNCS + family(proxy): more(7)})
        first = late(waits(first, proxy, 200), first.at_seconds - 203)
        return [first, later(first, 15, {failures(proxy): 8, SYNCS + family(proxy): more(1)} if moves else {})]

    assert found_each({proxy: failing(proxy) for proxy in PROXIES}) == {
        proxy: {"sync-failing": "critical", writes_fail(proxy): "critical"} for proxy in PROXIES
    }


def test_1_the_same_before_the_health_port_has_said_so_and_without_a_counter(captured: Captured) -> None:
    """A sync that fails before iptables-restore is run counts nowhere but in the duration's count."""

    def failing(proxy: str) -> list[Scrape]:
        first = waits(captured(f"{proxy}-200svc"), proxy, 100)
        return [first, later(first, 15, {SYNCS + family(proxy): more(1)})]

    expected = {key: {"sync-failing": "critical"} for key in PROXIES}
    assert found_each({proxy: failing(proxy) for proxy in PROXIES}) == expected


def test_1_after_a_long_idle_time_the_gap_is_an_hour_for_a_second(captured: Captured) -> None:
    """Queued and done an hour ago is well; a request of a second ago makes the gap an hour, and that is well too."""
    scenes: dict[str, list[Scrape]] = {}
    for proxy in PROXIES:
        idle = waits(captured(f"{proxy}-200svc"), proxy, 3600, 0.0)
        asked = later(idle, 15, {QUEUED + family(proxy): idle.at_seconds + 14})
        scenes |= {f"{proxy} idle": [idle, later(idle, 15)], f"{proxy} asked": [idle, asked], f"{proxy} now": [asked]}
    assert found_each(scenes) == {key: {} for key in scenes}


def test_1_a_sync_that_hangs_while_requests_keep_coming(captured: Captured) -> None:
    """The newest request is always young; what waits is many times what has come between the scrapes."""

    def hung(proxy: str) -> list[Scrape]:
        first = waits(captured(f"{proxy}-200svc"), proxy, 5, 600)
        first = with_replies(with_values(first, {PENDING: 300}), healthz=None, livez=None)
        came = {PENDING: 312, SYNC + "endpoint_changes_total": more(12), QUEUED + family(proxy): more(14)}
        return [first, later(first, 15, came)]

    expected = {proxy: {"sync-hung": "critical"} for proxy in PROXIES}
    assert found_each({proxy: hung(proxy) for proxy in PROXIES}) == expected


def test_1_a_slow_sync_after_a_long_idle_time_is_not_hung(captured: Captured) -> None:
    """Changes came, a sync took some of them, more came and wait for the next."""

    def busy(proxy: str) -> list[Scrape]:
        idle = waits(captured(f"{proxy}-200svc"), proxy, 2, 3600)
        first = with_values(idle, {PENDING: 4, SYNC + "endpoint_changes_total": more(60)})
        came = {PENDING: 12, SYNC + "endpoint_changes_total": more(8), QUEUED + family(proxy): more(14)}
        return [first, later(first, 15, came)]

    checks = found_each({proxy: busy(proxy) for proxy in PROXIES}).values()
    assert set().union(*checks) == {"backlog-stuck"}


def test_1_every_sync_between_the_scrapes_failed_while_requests_kept_coming(captured: Captured) -> None:
    """All was well at the first; the newest request is young, so /healthz of 1.23 and before is 200 for days."""

    def fails(proxy: str, times: int) -> list[Scrape]:
        first = with_values(captured(f"{proxy}-200svc"), {START: more(-DAY), failures(proxy): 0})
        first = waits(first, proxy, 3, -1)
        tried = {SYNCS + family(proxy): more(times), failures(proxy): times, QUEUED + family(proxy): more(70)}
        return [first, later(first, 72, tried)]

    expected = {proxy: {"sync-failing": "critical", writes_fail(proxy): "critical"} for proxy in PROXIES}
    assert found_each({proxy: fails(proxy, 3) for proxy in PROXIES}) == expected
    once = {proxy: {writes_fail(proxy): "warning"} for proxy in PROXIES}
    assert found_each({proxy: fails(proxy, 1) for proxy in PROXIES}) == once


def test_1_a_failing_sync_of_which_one_scrape_is_all_there_is(captured: Captured) -> None:
    """A request of two seconds ago, the last success 70 s before it, and failures at some time: worth a warning.

    Nothing but the second after an idle time looks so; a second scrape without the gap takes it back, another does not.
    """

    def seen(proxy: str, gap_seconds: float) -> Scrape:
        scrape = with_values(captured(f"{proxy}-200svc"), {START: more(-DAY), failures(proxy): 5})
        return waits(scrape, proxy, 2, gap_seconds)

    def asked_again(proxy: str, gap_seconds: float, seconds: float) -> list[Scrape]:
        first = seen(proxy, gap_seconds)
        return [first, later(first, seconds, {QUEUED + family(proxy): more(seconds)})]

    alone = {proxy: [seen(proxy, 70)] for proxy in PROXIES}
    soon = {f"{proxy} soon": asked_again(proxy, 64, 6) for proxy in PROXIES}
    idle = {f"{proxy} idle": asked_again(proxy, -1, 72) for proxy in PROXIES}
    expected = {proxy: {writes_fail(proxy): "warning"} for proxy in PROXIES}
    expected |= {f"{proxy} soon": checks for proxy, checks in expected.items()}
    assert found_each(alone | soon | idle) == expected | {f"{proxy} idle": {} for proxy in PROXIES}


def test_1_a_sync_that_has_hung_for_half_a_minute_while_requests_keep_coming(captured: Captured) -> None:
    """The newest request is 2 s old; the last success lies 40 s back, and what waits behind it grows: a warning."""

    def hung(proxy: str) -> list[Scrape]:
        first = with_values(waits(captured(f"{proxy}-200svc"), proxy, 2, 23), {PENDING: 6})
        came = {PENDING: 14, SYNC + "endpoint_changes_total": more(8), QUEUED + family(proxy): more(15)}
        return [first, later(first, 15, came)]

    expected = {proxy: {"sync-hung": "warning"} for proxy in PROXIES}
    assert found_each({proxy: hung(proxy) for proxy in PROXIES}) == expected


@pytest.mark.parametrize(("seconds", "severity"), [(100, "critical"), (28, "warning")])
def test_1_a_sync_that_hangs_ends_never(seconds: float, severity: str, captured: Captured) -> None:
    """Nothing ends, changes pile up behind it: hung, not failing; half a minute is a warning."""
    piled = {SYNC + "endpoint_changes_pending": 34, SYNC + "endpoint_changes_total": more(34)}

    def hung(proxy: str) -> list[Scrape]:
        first = with_values(waits(captured(f"{proxy}-200svc"), proxy, seconds), piled)
        return [first, later(first, 15)]

    expected = {key: {"sync-hung": severity} for key in PROXIES}
    assert found_each({proxy: hung(proxy) for proxy in PROXIES}) == expected


@pytest.mark.parametrize(
    ("seconds", "span", "checks"),
    [(700, 15, {"sync-hung"}), (70, 60, {"sync-hung"}), (70, 15, {"sync-failing", "restore-failing"})],
)
def test_1_old_failures_do_not_make_a_hung_sync_a_failing_one(
    seconds: float, span: float, checks: set[str], captured: Captured
) -> None:
    """A failing sync is tried again each 30 s: too few failures for so long a wait, or none in a minute, means hung."""
    healed = captured("1.36.3-iptables-recovered")
    first = waits(with_values(healed, {START: more(-DAY)}), "1.36.3-iptables", seconds)
    assert found(first, later(first, span)) == dict.fromkeys(checks, "critical")


# --- 2: never synced --------------------------------------------------------------------------------------------------


def test_2_never_is_0_before_1_33_and_no_series_from_then_on(captured: Captured) -> None:
    """Of an old process."""

    def never(proxy: str) -> Scrape:
        return with_values(captured(f"{proxy}-200svc"), {**never_done(proxy), START: more(-4000)})

    expected = {key: {"never-synced": "critical"} for key in PROXIES}
    assert found_each({proxy: [never(proxy)] for proxy in PROXIES}) == expected


def test_2_a_process_that_has_just_started_is_not_late(captured: Captured) -> None:
    """Five seconds after its start it has asked for a sync and has not done any."""

    def young(proxy: str) -> Scrape:
        scrape = captured(f"{proxy}-200svc")
        none = {SYNCS + family(proxy): 0, TOOK + family(proxy): 0}
        times = {START: scrape.at_seconds - 5, QUEUED + family(proxy): scrape.at_seconds - 1}
        return with_values(scrape, {**never_done(proxy), **none, **times})

    assert found_each({proxy: [young(proxy)] for proxy in PROXIES}) == {key: {} for key in PROXIES}


# --- 3: two address families ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxy", ["1.34.9-iptables", "1.34.9-nftables", "1.36.3-iptables", "1.36.3-nftables"])
def test_3_the_second_family_of_a_cluster_that_has_one_stands_still(proxy: str, captured: Captured) -> None:
    """Its timestamps are those of the start for ever, while the first one's move."""
    scrape = captured(f"{proxy}-churn")
    old = with_values(scrape, dict.fromkeys([QUEUED + IPV6, DONE + IPV6, START], more(-30 * DAY)))
    busy = {QUEUED + IPV4: scrape.at_seconds + 13, DONE + IPV4: scrape.at_seconds + 14, SYNCS + IPV4: more(3)}
    assert found(old, later(old, 15, busy)) == {}


@pytest.mark.parametrize("done", [-110, None])
def test_3_a_second_family_that_fails_alone_is_found(done: float | None, captured: Captured) -> None:
    """Each family is judged by itself."""
    scrape = captured("1.36.3-iptables-churn")
    at = scrape.at_seconds
    first = with_values(
        scrape,
        {
            START: at - 400,
            QUEUED + IPV6: at - 100,
            DONE + IPV6: None if done is None else at + done,
            RESTORE_FAILURES + IPV6: 12,
            SYNCS + IPV6: 12,
        },
    )
    check = "never-synced" if done is None else "sync-failing"
    second = later(first, 15, {RESTORE_FAILURES + IPV6: 13, SYNCS + IPV6: 13})
    assert found(first, second) == {check: "critical", "restore-failing": "critical"}


# --- 4: counters that appear ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxy", ["1.34.9-iptables", "1.36.3-iptables", "1.36.3-nftables"])
@pytest.mark.parametrize("old", [0, DAY])
def test_4_a_failure_counter_that_appears_at_2_has_grown_by_2(proxy: str, old: float, captured: Captured) -> None:
    """From 1.33 there is no 0 before the first failure; the sync has succeeded since."""
    first = with_values(captured(f"{proxy}-churn"), {START: more(-old)})
    at = first.at_seconds
    second = later(first, 15, {failures(proxy): 2, SYNCS + IPV4: more(3), QUEUED + IPV4: at + 10, DONE + IPV4: at + 12})
    verdict = alone(first, second)
    assert {finding.check.id: finding.severity for finding in verdict.findings} == {writes_fail(proxy): "warning"}
    assert verdict.findings[0].evidence[0].value == 2


# --- 5: the API server ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "check"),
    [("<error>", "api-unreachable"), ("401", "api-unauthorized"), ("403", "api-forbidden"), ("404", "api-gone")],
)
@pytest.mark.parametrize("proxy", ["1.20.2-iptables", "1.30.3-nftables", "1.36.3-iptables"])
def test_5_a_lost_api_server_shows_in_one_counter_only(code: str, check: str, proxy: str, captured: Captured) -> None:
    """/healthz is 200 and every timestamp perfect; the counter's series appears or grows."""
    first = with_values(captured(f"{proxy}-churn"), {START: more(-DAY)})
    series = f'{REQUESTS}{{code="{code}",host="10.99.0.2:6443",method="GET"}}'
    assert found(first, later(first, 15, {series: 8})) == {check: "critical"}
    grown = with_values(first, {series: 2000})
    assert found(grown, later(grown, 15, {series: 2008})) == {check: "critical"}


@pytest.mark.parametrize("code", ["<error>", "401", "403", "404"])
def test_5_a_single_one_is_no_two_minutes_of_nothing_else(code: str, captured: Captured) -> None:
    """A warning."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY)})
    one = later(first, 15, {f'{REQUESTS}{{code="{code}",host="10.99.0.2:6443",method="GET"}}': 1})
    assert list(found(first, one).values()) == ["warning"]


def test_5_an_outage_that_is_over_is_over(captured: Captured) -> None:
    """2000 errors since the start, and none now: a sync was asked for just now, or half a minute without any more."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY), ERRORS: 2000})
    assert found(first) == {}
    quiet = waits(first, "1.36.3-iptables", 1000, 0.0)
    assert found(quiet, later(quiet, 60)) == {}
    assert found(quiet, later(quiet, 60, {ANSWERS: more(4)})) == {}
    assert found(quiet) == {"api-unreachable": "warning"}


def test_5_every_second_request_unanswered_is_not_well(captured: Captured) -> None:
    """One of the API server's addresses is dead."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY)})
    assert found(first, later(first, 60, {ERRORS: 9, ANSWERS: more(9)})) == {"api-unreachable": "warning"}


# --- 6: no port -------------------------------------------------------------------------------------------------------


def test_6_two_refusing_ports_may_be_a_proxy_that_waits_for_the_api_server(captured: Captured) -> None:
    """From 1.34; the finding says that it may be."""
    verdict = alone(captured("1.34.9-iptables-start-apiserver-unreachable"))
    (finding,) = verdict.findings
    assert (finding.check.id, finding.severity) == ("unreachable", "critical")
    for told in (finding.check.en, finding.check.zh):
        assert "1.34" in " ".join([told.means, *told.causes])


# --- 7: forms of the health page --------------------------------------------------------------------------------------


def test_7_every_form_of_the_health_page_gives_the_clock(captured: Captured) -> None:
    """RFC 3339, or Go's time with m=+."""
    nodes = [skewed(Node(proxy, (captured(f"{proxy}-200svc"),)), 90) for proxy in PROXIES]
    told = {node.ident: node.shared[0] for node in judged(*nodes).nodes}
    assert {finding.check.id for finding in told.values()} == {"clock-skew"}
    assert [finding.evidence[0].value for finding in told.values()] == pytest.approx([90] * len(PROXIES), abs=1)


def test_7_from_1_33_a_healthy_last_update_is_later_than_now(captured: Captured) -> None:
    """Microseconds; nothing follows from it."""
    assert found(captured("1.36.3-iptables-200svc")) == {}


# --- 8 and 9: histograms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("syncs", "severity"), [(1, "warning"), (3, "critical")])
def test_8_syncs_of_two_minutes_lie_beyond_the_last_bucket(syncs: int, severity: str, captured: Captured) -> None:
    """No quantile says more than 16.384 s; the mean and the share beyond do."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY)})
    beyond = SYNC + 'duration_seconds_bucket{ip_family="IPv4",le="+Inf"}'
    slow = {SYNCS + IPV4: more(syncs), TOOK + IPV4: more(120 * syncs), beyond: more(syncs)}
    assert found(first, later(first, 300, slow)) == {"sync-slow": severity}


def test_8_programming_beyond_the_last_bucket(captured: Captured) -> None:
    """A p99 of the last bound, 300 s, is far beyond the limit all the same."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY)})
    late_changes = {
        PROGRAMMING + 'bucket{ip_family="IPv4",le="+Inf"}': more(30),
        PROGRAMMING + "count" + IPV4: more(30),
        PROGRAMMING + "sum" + IPV4: more(18_000),
    }
    assert found(first, later(first, 60, late_changes)) == {"programming-slow": "critical"}


def test_9_a_sum_that_falls_below_0_is_a_clock_behind_and_no_restart(captured: Captured) -> None:
    """What lies in the bucket of 0 happened before it was asked for."""
    first = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY)})
    buckets = f'{PROGRAMMING}bucket{{ip_family="IPv4",le="'
    negative = {buckets + "*": more(60), PROGRAMMING + "count" + IPV4: more(60), PROGRAMMING + "sum" + IPV4: -2611}
    assert found(first, later(first, 15, negative)) == {"clock-skew": "warning"}


# --- 10: pending ------------------------------------------------------------------------------------------------------


def test_10_nothing_pending_proves_nothing(captured: Captured) -> None:
    """The gauges are emptied when a sync starts, also one that fails."""
    scrape = captured("1.36.3-iptables-restore-fail-70s")
    assert found(with_values(scrape, {SYNC + "endpoint_changes_pending": 0})) == {
        "sync-failing": "critical",
        "restore-failing": "critical",
    }


def test_10_changes_that_nobody_asked_a_sync_for_stay(captured: Captured) -> None:
    """Pending above 0 at both scrapes, no request, no sync: the loop is stuck."""
    scrape = with_values(captured("1.36.3-iptables-churn"), {START: more(-DAY), SYNC + "endpoint_changes_pending": 12})
    idle = waits(scrape, "1.36.3-iptables", 500, -0.5)
    more_of_them = {SYNC + "endpoint_changes_pending": 15, SYNC + "endpoint_changes_total": more(3)}
    assert found(idle, later(idle, 15, more_of_them)) == {"backlog-stuck": "warning"}


# --- 11: two families, one gauge --------------------------------------------------------------------------------------


def test_11_before_1_33_gauges_flip_between_the_families(captured: Captured) -> None:
    """5 rules or 3100, 0 Services without local endpoints or 10: whichever family wrote last."""
    nodes = {}
    for proxy in ("1.26.0-iptables", "1.28.3-iptables", "1.30.3-iptables"):
        scrape = captured(f"{proxy}-200svc")
        ours, other = (
            with_values(
                scrape,
                {
                    SYNC + 'iptables_total{table="nat"}': rules,
                    SYNC + 'no_local_endpoints_total{traffic_policy="external"}': services,
                    SYNC + 'no_local_endpoints_total{traffic_policy="internal"}': services,
                },
            )
            for rules, services in ((3100, 10), (5, 0))
        )
        nodes |= {f"{proxy}-{number}": [scrape, later(scrape, 15)] for number in range(6)}
        nodes |= {f"{proxy}-flips": [ours, later(other, 15)], f"{proxy}-back": [other, later(ours, 15)]}
    assert found_each(nodes) == {key: {} for key in nodes}


# --- 12: young processes ----------------------------------------------------------------------------------------------


def test_12_of_a_young_process_the_counter_is_the_increase(captured: Captured) -> None:
    """Its failures all lie before the first scrape, and nothing moves between the two."""
    nodes, grown_old, expected = {}, {}, {}
    for proxy in PROXIES:
        young = with_values(captured(f"{proxy}-200svc"), {failures(proxy): 3})
        old = with_values(young, {START: more(-DAY)})
        nodes[proxy], expected[proxy] = [young, later(young, 15)], {writes_fail(proxy): "warning"}
        grown_old[proxy] = [old, later(old, 15)]
    assert found_each(nodes) == expected
    assert found_each(grown_old) == {proxy: {} for proxy in PROXIES}


def test_12_a_process_younger_than_the_span(captured: Captured) -> None:
    """It was restarted between the scrapes; its counters count from 0, be they lower or higher than before."""
    nodes, expected = {}, {}
    for proxy in PROXIES:
        scrape = captured(f"{proxy}-200svc")
        new = at_epoch(Node("", (scrape,)), 600).scrapes[0]
        old = with_values(scrape, {START: more(-DAY), failures(proxy): 50})
        low, high = {failures(proxy): 0}, {failures(proxy): 60, SYNCS + family(proxy): more(60)}
        nodes |= {f"{proxy} low": [old, with_values(new, low)], f"{proxy} high": [old, with_values(new, high)]}
        expected |= {f"{proxy} low": {"restarted": "info"}}
        expected |= {f"{proxy} high": {"restarted": "info", writes_fail(proxy): "warning"}}
    assert found_each(nodes) == expected


def test_12_what_a_process_counted_that_is_no_more_is_over(captured: Captured) -> None:
    """It was young when it failed; the one that answers now has never failed."""
    sick = captured("1.20.2-iptables-skew-no-endpointslice-v1beta1")
    now = captured("1.20.2-iptables-200svc")
    assert found(sick, now) == {"restarted": "info"}


# --- 13: missing or draining ------------------------------------------------------------------------------------------


def test_13_a_node_that_was_eligible_is_draining(captured: Captured) -> None:
    """Which is no sickness, and its 503 is meant."""
    nodes = {}
    for proxy in ("1.28.3-iptables", "1.30.3-nftables", "1.34.9-iptables", "1.36.3-iptables"):
        scrape = captured(f"{proxy}-200svc")
        old = with_values(scrape, {START: more(-DAY)})
        nodes |= {f"{proxy} turns": [old, ineligible(later(old, 15))], f"{proxy} once": [ineligible(old)]}
        nodes |= {f"{proxy} stays": [ineligible(old), ineligible(later(old, 15))]}
    assert found_each(nodes) == {key: {"node-draining": "info"} for key in nodes}
    assert alone(*nodes["1.36.3-iptables turns"]).verdict == "ok"


def test_13_draining_names_the_other_possibility(captured: Captured) -> None:
    """With one scrape of a process that is old."""
    scrape = with_values(captured("1.36.3-iptables-node-missing"), {START: more(-DAY)})
    (finding,) = alone(scrape).findings
    assert finding.check.id == "node-draining"
    assert all("node-missing" in " ".join(told.causes) for told in (finding.check.en, finding.check.zh))


@pytest.mark.parametrize("spans", [(), (15,), (5000,), (300, 5000)])
def test_13_a_node_that_never_was_eligible_is_missing(spans: tuple[float, ...], captured: Captured) -> None:
    """The process was young when it was first seen so, and it has not changed."""
    scrape = captured("1.36.3-iptables-node-missing")
    assert found(scrape, *(later(scrape, span) for span in spans)) == {"node-missing": "warning"}


def test_13_before_1_34_a_missing_node_is_eligible(captured: Captured) -> None:
    """So a young process that is not eligible is one on a node that goes."""
    assert found(ineligible(captured("1.30.3-iptables-200svc"))) == {"node-draining": "info"}


def test_13_draining_hides_no_failure(captured: Captured) -> None:
    """/livez says what /healthz hides."""
    scrape = with_values(waits(captured("1.36.3-iptables-200svc"), "1.36.3-iptables", 100), {START: more(-DAY)})
    assert found(late(ineligible(scrape), scrape.at_seconds - 103)) == {
        "sync-hung": "critical",
        "node-draining": "info",
    }


# --- 14: evidence of never --------------------------------------------------------------------------------------------


def test_14_a_young_process_whose_every_sync_failed_never_synced(captured: Captured) -> None:
    """Half a minute is enough then; in nftables mode up to 1.30 the failures stand under the name of iptables."""

    def failing(proxy: str) -> Scrape:
        scrape = captured(f"{proxy}-200svc")
        counted = {SYNCS + family(proxy): 2, failures(proxy): 2}
        times = {START: scrape.at_seconds - 30, QUEUED + family(proxy): scrape.at_seconds - 29}
        return with_values(scrape, {**never_done(proxy), **counted, **times})

    assert found_each({proxy: [failing(proxy)] for proxy in PROXIES}) == {
        proxy: {"never-synced": "critical", writes_fail(proxy): "critical"} for proxy in PROXIES
    }


def test_14_no_request_ever_succeeded(captured: Captured) -> None:
    """Then nothing can have been synced, however young it is."""
    scrape = captured("1.30.3-iptables-200svc")
    never = {DONE: 0, SYNCS: 0, START: scrape.at_seconds - 40, REQUESTS + "*": None}
    assert found(with_values(scrape, {**never, ERRORS: 12})) == {
        "never-synced": "critical",
        "api-unreachable": "warning",
    }


# --- 15: severities ---------------------------------------------------------------------------------------------------


def descriptors(opened: float, limit: float | None) -> dict[str, Any]:
    return {START: more(-DAY), "process_open_fds": opened, "process_max_fds": limit}


def test_15_severities(captured: Captured) -> None:
    """The API server's are in 5. Descriptors: critical where the limit is missing, for nothing can be opened."""
    scrape = captured("1.36.3-iptables-churn")
    assert found(with_values(scrape, descriptors(20_000, None))) == {"fds-exhausted": "critical"}
    assert found(with_values(scrape, descriptors(17_000, 20_000))) == {"fds-exhausted": "warning"}
    node = judged(skewed(Node("node-a", (scrape,)), 30)).nodes[0]
    assert [(finding.check.id, finding.severity) for finding in node.findings] == [("clock-skew", "warning")]


def test_15_many_open_descriptors_hide_no_failing_sync(captured: Captured) -> None:
    """85 % stop nobody from starting a program; at the end of them that is the cause."""
    fails = captured("1.36.3-iptables-restore-fail-70s")
    warned = found(with_values(fails, {"process_open_fds": 17_000}))
    assert warned == {"fds-exhausted": "warning", "sync-failing": "critical", "restore-failing": "critical"}
    assert found(with_values(fails, {"process_max_fds": None})) == {"fds-exhausted": "critical"}


# --- clocks -----------------------------------------------------------------------------------------------------------


SCENES = {
    "idle": lambda captured: [
        idle := waits(captured("1.36.3-iptables-200svc"), "1.36.3-iptables", 3000, 0),
        later(idle, 15),
    ],
    "failing": lambda captured: [
        fails := captured("1.36.3-iptables-restore-fail-70s"),
        later(fails, 15, {RESTORE_FAILURES + IPV4: more(1), SYNCS + IPV4: more(1)}),
    ],
    "old failing": lambda captured: [
        captured("1.23.4-iptables-churn"),
        captured("1.23.4-iptables-sync-fail-70s"),
    ],
    "api": lambda captured: [
        captured("1.36.3-iptables-apiserver-draining"),
        captured("1.36.3-iptables-apiserver-down"),
    ],
    "slow": lambda captured: [captured("1.36.3-iptables-slow-sync-7s")],
    "nft": lambda captured: [captured("1.36.3-nftables-churn"), captured("1.36.3-nftables-sync-fail-70s")],
}


@pytest.mark.parametrize("seconds", [-45, 7200, -7200])
def test_a_node_with_a_wrong_clock_has_that_and_nothing_else_changed(seconds: float, captured: Captured) -> None:
    """All of a node's times are by its own clock: what it says of itself does not depend on the asker's."""
    nodes = [Node(name, tuple(scene(captured))) for name, scene in SCENES.items()]
    right, wrong = judged(*nodes), judged(*(skewed(node, seconds) for node in nodes))
    for before, after in zip(right.nodes, wrong.nodes, strict=True):
        told = [(finding.check.id, finding.severity, finding.since_seconds) for finding in before.findings]
        assert told == [(finding.check.id, finding.severity, finding.since_seconds) for finding in after.findings]
        assert [finding.check.id for finding in after.shared] == ["clock-skew"]


@pytest.mark.parametrize("day", [-1_795_300_000, 1_000_000_000])
def test_the_day_does_not_matter(day: float, captured: Captured) -> None:
    """Bundles of 1970, where every clock began anew, and of 2058."""
    nodes = [Node(name, tuple(scene(captured))) for name, scene in SCENES.items()]
    now, then = judged(*nodes), judged(*(at_epoch(node, day) for node in nodes))
    for before, after in zip(now.nodes, then.nodes, strict=True):
        told = [(finding.check.id, finding.severity) for finding in before.findings]
        assert told == [(finding.check.id, finding.severity) for finding in after.findings]


# --- ipvs: no capture exists; made from the study's sections 2 and 3 --------------------------------------------------


def as_ipvs(scrape: Scrape, minor_version: int) -> Scrape:
    """A kube-proxy in ipvs mode: from 1.31 without the families of the other modes; synced each 30 s."""
    beginnings = ("sync_proxy_rules_iptables_", "sync_full", "sync_partial", "iptables_")
    gone = [f"kubeproxy_{beginning}*" for beginning in beginnings if minor_version >= 31]
    outcome = scrape.replies["proxy_mode"].outcome
    assert not isinstance(outcome, Failure)
    made = with_values(scrape, dict.fromkeys(gone))
    return with_replies(made, proxy_mode=outcome._replace(body=b"ipvs"))


IPVS = ["1.20.2-iptables", "1.26.0-iptables", "1.30.3-iptables", "1.34.9-iptables", "1.36.3-iptables"]


def test_ipvs_that_is_well(captured: Captured) -> None:
    """Made ones: synced each 30 s though nothing was asked for. That their errors show nowhere is said."""
    nodes = []
    for proxy in IPVS:
        first = as_ipvs(with_values(captured(f"{proxy}-200svc"), {START: more(-DAY)}), minor(proxy))
        synced = {SYNCS + family(proxy): more(1), DONE + family(proxy): first.at_seconds + 20}
        nodes.append(Node(proxy, (first, later(first, 30, synced))))
    for node in judged(*nodes).nodes:
        assert (node.verdict, node.findings) == ("ok", [])
        blind = {each.check: each.why.in_language("en") for each in node.not_judged}
        assert "explain sync-failing" in blind["sync-failing"]


def test_ipvs_whose_syncs_fail(captured: Captured) -> None:
    """Made ones: iptables-restore, which ipvs uses too, fails."""
    nodes = {}
    for proxy in IPVS:
        first = as_ipvs(waits(with_values(captured(f"{proxy}-200svc"), {START: more(-DAY)}), proxy, 90), minor(proxy))
        first = with_values(first, {failures(proxy): 4})
        nodes[proxy] = [first, later(first, 30, {SYNCS + family(proxy): more(1), failures(proxy): 5})]
    assert found_each(nodes) == {key: {"sync-failing": "critical", "restore-failing": "critical"} for key in IPVS}


# --- health -----------------------------------------------------------------------------------------------------------


HEALTHY = (
    *("1.20.2-iptables", "1.23.4-iptables", "1.26.0-iptables", "1.30.3-iptables", "1.30.3-nftables"),
    *("1.34.9-iptables", "1.34.9-nftables", "1.36.3-iptables", "1.36.3-nftables"),
)
OTHERS = (
    *("1.28.3-iptables-200svc", "1.36.3-iptables-after-churn", "1.36.3-iptables-apiserver-draining"),
    "1.36.3-iptables-idle-empty",
)


@pytest.mark.parametrize("span", [0, 15, 300, 3600])
def test_every_healthy_capture_is_well_whenever_it_is_asked_again(span: float, captured: Captured) -> None:
    """Once, and again after a time in which nothing happened."""
    for names in ([f"{proxy}-200svc" for proxy in HEALTHY], [f"{proxy}-churn" for proxy in HEALTHY], OTHERS):
        nodes = {name: [captured(name), later(captured(name), span)][: 2 if span else 1] for name in names}
        assert found_each(nodes) == {name: {} for name in names}


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_scrapes_of_very_unlike_spans_are_judged_together(mode: str, captured: Captured) -> None:
    """Bundles of a moment, of 15 s and of an hour, one of them sick."""
    scrape = with_values(captured(f"1.36.3-{mode}-churn"), {START: more(-DAY)})
    nodes = [Node(f"span-{span}", (scrape, later(scrape, span)) if span else (scrape,)) for span in (0, 15, 300, 3600)]
    sick = Node("sick", (scrape, later(scrape, 20, {ERRORS: 9})))
    verdicts = {node.ident: [finding.check.id for finding in node.findings] for node in judged(*nodes, sick).nodes}
    assert verdicts.pop("sick") == ["api-unreachable"]
    assert set(map(tuple, verdicts.values())) == {()}
