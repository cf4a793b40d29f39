"""A sample's labels come from five places in one order of strength; `ident` is said as the receiver needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.model.labels import make_labels
from kpwatch.relabel.identity import Identity, normal_number, on_the_wire

if TYPE_CHECKING:
    from typing import Literal

Pairs = tuple[tuple[str, str], ...]


def pairs(text: str) -> Pairs:
    """`a=1 b=2` as pairs; `a=` has an empty value."""
    return tuple((name, value) for name, _, value in (token.partition("=") for token in text.split()))


PRECEDENCE = [
    # scraped, the URL's, the instance's `labels`, [global.labels], hostname -> what is printed beside the name
    ("a=1", "", "", "", "", "a=1"),
    ("", "instance=u", "", "", "", "instance=u"),
    ("instance=own", "instance=u", "", "", "", "instance=u"),
    ("instance=own", "", "", "", "", "instance=own"),
    ("job=own", "", "job=kube-proxy", "", "", "job=kube-proxy"),
    ("", "instance=u", "instance=forced", "", "", "instance=forced"),
    ("zone=own", "", "", "zone=global", "", "zone=own"),
    ("", "zone=url", "", "zone=global", "", "zone=url"),
    ("", "", "zone=forced", "zone=global", "", "zone=forced"),
    ("", "", "", "zone=global", "", "zone=global"),
    ("zone=own", "zone=url", "zone=forced", "zone=global", "", "zone=forced"),
    ("", "", "", "", "node-a", "agent_hostname=node-a"),
    ("agent_hostname=own", "", "", "", "node-a", "agent_hostname=own"),
    ("", "", "agent_hostname=forced", "", "node-a", "agent_hostname=forced"),
    ("", "", "", "agent_hostname=global", "node-a", "agent_hostname=global"),
    # "-" in the instance's labels deletes; what is only filled in comes back
    ("a=1 b=2", "", "a=-", "", "", "b=2"),
    ("", "instance=u", "instance=-", "", "", ""),
    ("", "", "a=-", "", "", ""),
    ("zone=own", "", "zone=-", "zone=global", "", "zone=global"),
    ("", "", "agent_hostname=-", "", "node-a", "agent_hostname=node-a"),
    ("a=-", "", "", "", "", "a=-"),
    ("", "instance=-", "", "", "", "instance=-"),
    ("", "", "", "zone=-", "", "zone=-"),
    # an empty label is no label, but it was there to be filled in
    ("a=", "", "", "", "", ""),
    ("zone=own", "", "zone=", "", "", ""),
    ("zone=", "", "", "zone=global", "", ""),
    # nobody writes ident here
    ("ident=own", "", "", "", "node-a", "agent_hostname=node-a ident=own"),
    ("", "", "", "ident=global", "", "ident=global"),
    # names of labels stay as they came
    ("a.b=1", "", "a-b=2", "", "", "a-b=2 a.b=1"),
]


@pytest.mark.parametrize(("scraped", "url", "labels", "global_labels", "hostname", "expected"), PRECEDENCE)
def test_precedence(scraped: str, url: str, labels: str, global_labels: str, hostname: str, expected: str) -> None:
    """Scraped < the URL's < the instance's; the global ones and the host name only where nobody said anything."""
    identity = Identity(pairs(url), pairs(labels), pairs(global_labels), hostname)
    assert identity.printed("m", pairs(scraped), "m", "gauge") == make_labels((("__name__", "m"), *pairs(expected)))


NUMBER_LABELS = [
    # name, type of its family, scraped, the URL's, the instance's -> printed
    ("m_bucket", "histogram", "le=1.0", "", "", "le=1"),
    ("m_bucket", "histogram", "le=0.001", "", "", "le=0.001"),
    ("m_bucket", "histogram", "le=1e-5", "", "", "le=1e-05"),
    ("m_bucket", "histogram", "le=1000000", "", "", "le=1e+06"),
    ("m_bucket", "histogram", "le=+Inf", "", "", "le=+Inf"),
    ("m_bucket", "histogram", "le=Inf", "", "", "le=+Inf"),
    ("m_bucket", "histogram", "le=high", "", "", "le=high"),
    ("m_bucket", "histogram", "le=", "", "", ""),
    ("m_bucket", "gauge", "le=1.0", "", "", "le=1.0"),
    ("m_sum", "histogram", "le=1.0", "", "", "le=1.0"),
    ("m", "summary", "quantile=0.50", "", "", "quantile=0.5"),
    ("m_sum", "summary", "quantile=0.50", "", "", "quantile=0.50"),
    ("m", "histogram", "quantile=0.50", "", "", "quantile=0.50"),
    # le is stronger than the URL's label, weaker than the instance's
    ("m_bucket", "histogram", "le=1.0", "le=url", "", "le=1"),
    ("m_bucket", "histogram", "le=1.0", "le=url", "le=forced", "le=forced"),
    ("m_bucket", "histogram", "le=1.0", "", "le=-", ""),
    ("m_bucket", "histogram", "", "le=url", "", "le=url"),
]


@pytest.mark.parametrize(("name", "kind", "scraped", "url", "labels", "expected"), NUMBER_LABELS)
def test_le_and_quantile(name: str, kind: str, scraped: str, url: str, labels: str, expected: str) -> None:
    """`le` of a histogram's buckets and `quantile` of a summary are written as Go writes the float."""
    found = Identity(pairs(url), pairs(labels)).printed(name, pairs(scraped), "m", kind)
    assert found == make_labels((("__name__", name), *pairs(expected)))


@pytest.mark.parametrize("text", ["1_0", "0x10", "٣", "one", "1 2", "--1"])
def test_what_go_takes_for_no_number_stays(text: str) -> None:
    """Python reads more as a number than Go does."""
    assert normal_number(text) == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("m", "m"), ("a.b-c d'e\"f", "a_b_c_d_e_f"), ("a:b", "a:b"), ("节点", "节点"), ("a/b", "a/b")],
)
def test_names_are_made_legal(name: str, expected: str) -> None:
    """In a metric's name - . blank ' and " become _ (types/sample.go of the original)."""
    assert Identity().printed(name, (), name, "gauge") == (("__name__", expected),)


ON_THE_WIRE = [
    # mode, printed, sent
    ("off", "agent_hostname=n", "agent_hostname=n"),
    ("rename", "agent_hostname=n", "ident=n"),
    ("add", "agent_hostname=n", "agent_hostname=n ident=n"),
    ("off", "agent_hostname=n ident=own", "agent_hostname=n ident=own"),
    ("rename", "agent_hostname=n ident=own", "agent_hostname=n ident=own"),
    ("add", "agent_hostname=n ident=own", "agent_hostname=n ident=own"),
    ("rename", "a=1", "a=1"),
    ("add", "a=1", "a=1"),
    ("rename", "ident=own", "ident=own"),
    # names of labels are made legal here and only here
    ("off", "a.b-c/d=1", "a_b_c_d=1"),
    ("off", "a'b=1", "a'b=1"),
    ("off", "a.b=1 a_b=2", "a_b=2"),
    # sorted again: - comes before letters, _ after capitals
    ("off", "a-c=1 ab=2", "a_c=1 ab=2"),
    ("off", "Z=1 _=2 z=3", "Z=1 _=2 z=3"),
]


@pytest.mark.parametrize(("mode", "printed", "expected"), ON_THE_WIRE)
def test_on_the_wire(mode: Literal["add", "rename", "off"], printed: str, expected: str) -> None:
    """A writer's mode decides what becomes of `agent_hostname`; names are legal, sorted and unique."""
    assert on_the_wire(make_labels(pairs(printed)), mode) == make_labels(pairs(expected))


def test_blanks_in_label_names_are_made_legal() -> None:
    """A blank is one of the characters that become _."""
    assert on_the_wire((("a b", "1"),), "off") == (("a_b", "1"),)
