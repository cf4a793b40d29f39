"""A fleet has the article's nodes first, then as many as asked for."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import MIX, ident, make_specs


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


@pytest.mark.parametrize("node", ["0", "4", "10.206.0.16", "all"])
def test_a_fault_on_a_node_that_is_not_there_is_refused(node: str):
    with pytest.raises(UsageError, match="no such node"):
        make_specs(3, 1000.0, [(node, Fault("frozen"))])
