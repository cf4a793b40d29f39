"""A fleet has the article's nodes first, then as many as asked for."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.faults import EFFECTS, Fault
from kpwatch.simulate.fleet import MIX, FleetOptions, ident, make_specs, proxies


def test_six_nodes_are_the_articles():
    named = [spec.ident for spec in make_specs(6, 1000.0)]
    assert named == ["10.206.0.7", "10.206.0.11", "10.206.16.3", "10.206.0.16", "10.206.16.8", "10.206.0.17"]


def test_names_are_addresses_and_all_different():
    named = {ident(number) for number in range(10_000)}
    assert len(named) == 10_000
    assert [name for name in named if not all(0 <= int(part) <= 255 for part in name.split("."))] == []


def test_versions_and_modes_are_mixed_and_there():
    assert set(MIX) <= set(captures())
    assert {name.split("-")[1] for name in MIX} == {"iptables", "nftables"}
    assert len({name.split("-")[0] for name in MIX}) >= 4


def test_a_fault_finds_its_node_by_name_or_number():
    fault = Fault("frozen")
    specs = make_specs(3, 1000.0, [("2", fault), ("10.206.16.3", fault)])
    assert [bool(spec.faults) for spec in specs] == [False, True, True]


NODES = (
    # as written, which of three nodes
    ("*", [True, True, True]),
    ("1-2", [True, True, False]),
    ("3-3", [False, False, True]),
)


@pytest.mark.parametrize(("written", "meant"), NODES)
def test_a_fault_may_be_on_many_nodes(written: str, meant: list[bool]):
    specs = make_specs(3, 1000.0, [(written, Fault("frozen"))])
    assert [bool(spec.faults) for spec in specs] == meant


@pytest.mark.parametrize("node", ["0", "4", "10.206.0.16", "all", "2-4", "2-1"])
def test_a_fault_on_a_node_that_is_not_there_is_refused(node: str):
    with pytest.raises(UsageError, match="no such node"):
        make_specs(3, 1000.0, [(node, Fault("frozen"))])


BECOMES = (
    # fault, what the nodes run, what a node with it runs
    ("sync-failing", "1.26.0-iptables", "1.26.0-iptables"),
    ("nft-failing", "1.36.3-iptables", "1.36.3-nftables"),
    ("nft-failing", "1.30.3-nftables", "1.34.9-nftables"),
    ("restore-failing", "1.34.9-nftables", "1.34.9-iptables"),
    ("never-synced", "1.36.3-iptables", "1.30.3-iptables"),
    ("api-gone", "1.36.3-nftables", "1.20.2-iptables"),
    ("healthz-failing", "1.36.3-iptables", "1.30.3-iptables"),
    ("fds-exhausted", "1.20.2-iptables", "1.30.3-iptables"),
    ("version-skew", "1.36.3-iptables", "1.30.3-iptables"),
    ("mode-skew", "1.36.3-iptables", "1.36.3-nftables"),
    ("mode-skew", "1.34.9-nftables", "1.34.9-iptables"),
)


@pytest.mark.parametrize(("fault", "fleet", "becomes"), BECOMES)
def test_a_node_that_cannot_show_its_fault_becomes_the_nearest_that_can(fault: str, fleet: str, becomes: str):
    specs = make_specs(3, 1000.0, [("2", Fault(fault))], FleetOptions(proxies=[fleet]))
    assert [spec.capture for spec in specs] == [f"{proxy}-churn" for proxy in (fleet, becomes, fleet)]


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_fault_finds_a_node_in_the_mix(name: str):
    [spec] = make_specs(6, 1000.0, [("2", Fault(name))])[1:2]
    found = captures()[spec.capture]
    assert EFFECTS[name].needs.fit(found.minor, found.mode)


def test_faults_that_no_kube_proxy_shows_together_are_refused_with_what_each_needs():
    faults = [("1", Fault("nft-failing")), ("1", Fault("restore-failing")), ("1", Fault("frozen"))]
    with pytest.raises(UsageError, match=r"10\.206\.0\.7.*nftables mode, 1\.31 or later.*iptables mode.*two nodes"):
        make_specs(1, 1000.0, faults)


def test_a_skew_that_nothing_in_the_package_can_show_is_refused():
    with pytest.raises(UsageError, match="another version"):
        make_specs(2, 1000.0, [("1", Fault("version-skew"))], FleetOptions(proxies=["1.20.2-iptables"]))


def test_all_nodes_run_what_is_asked_for_in_turn():
    specs = make_specs(3, 1000.0, (), FleetOptions(proxies=["1.36.3-iptables", "1.26.0-iptables"]))
    assert [spec.capture[:6] for spec in specs] == ["1.36.3", "1.26.0", "1.36.3"]


def test_a_proxy_that_is_not_there_is_named_beside_those_that_are():
    with pytest.raises(UsageError, match=r"1\.37\.0-ipvs.*1\.36\.3-nftables"):
        make_specs(1, 1000.0, (), FleetOptions(proxies=["1.37.0-ipvs"]))


def test_the_oldest_proxy_comes_first():
    assert next(iter(proxies())) == "1.20.2-iptables"


@pytest.mark.parametrize("count", [1, 6, 100])
def test_no_service_lacks_an_endpoint_everywhere(count: int):
    """Else policy Local would be broken in a cluster where nothing is wrong."""
    assert any(spec.has_all_local for spec in make_specs(count, 1000.0))
