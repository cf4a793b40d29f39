"""The table of movements fits the bodies it moves."""

from __future__ import annotations

from fnmatch import fnmatchcase

from kpwatch.exposition.text import parse
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.movement import Moment, movement
from kpwatch.simulate.node import NodeSpec, SimulatedNode
from kpwatch.simulate.template import template


def moment(capture: str) -> Moment:
    spec = NodeSpec("n", capture, 1_795_000_000.0, faults=(Fault("sync-failing"),))
    return SimulatedNode(spec)._moment(1_795_000_600.0)


def test_every_family_in_the_table_is_in_a_capture():
    known = {family for capture in captures().values() for family in parse(capture.metrics).types}
    named = {family for row in movement().rows for family in row.families}
    named |= {family for row in movement().absent for family in row.families}
    named |= {row.family for row in movement().appears if not row.help} | {row.family for row in movement().reads}
    assert [name for name in sorted(named) if not any(fnmatchcase(family, name) for family in known)] == []


def test_every_quantity_in_the_table_is_one_a_node_has():
    made = moment("1.36.3-iptables-churn")
    for row in movement().rows:
        if row.kind == "tally":
            assert row.value in made.tallies
        else:
            asked = {*row.add, row.sum, row.every, row.value if row.kind == "gauge" else ""} - {""}
            assert asked <= set(made.quantities), row
    for row in movement().appears:
        assert row.value in (made.tallies if row.kind == "tally" else made.quantities), row
    assert {row.without for row in movement().absent} <= set(made.quantities)


def test_a_series_that_appears_brings_its_comments_and_stands_in_its_place():
    """HELP and TYPE from a capture that has them; families stay sorted."""
    for name in (name for name in captures() if name.endswith("-churn")):
        parsed = parse(template(name).render(moment(name)))
        assert parsed.errors == []
        assert set(parsed.types) == set(parsed.helps)
        assert list(parsed.types) == sorted(parsed.types)


def test_a_tally_that_is_empty_in_the_capture_is_not_in_use():
    """Nftables up to 1.30 knows no partial syncs, although the family is there."""
    assert "partial" not in template("1.30.3-nftables-churn").bounds
    assert "partial" in template("1.34.9-nftables-churn").bounds
