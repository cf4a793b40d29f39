"""Relabel rules of one writer: its receiver gets other series than its neighbour, of both versions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.model.encoded import EncodedScrape, Form
from kpwatch.model.labels import make_labels
from kpwatch.model.numbers import STALE_NAN, is_stale
from kpwatch.relabel.rules import RelabelRule
from kpwatch.remote_write.blocks import Series, read_block, write_block
from kpwatch.send import relabelling
from kpwatch.send.relabelling import Relabelling
from kpwatch.send.shape import with_ends
from tests.receivers import Receiver
from tests.unit.exposition.bodies import body_sequences
from tests.unit.scrape.test_forms import Source
from tests.unit.send.test_writer import T0, Sending, scrape

DROP_M = RelabelRule(source_labels=("__name__",), regex="m.*", action="drop")
DROP_M_1 = RelabelRule(source_labels=("__name__",), regex="m_1", action="drop")
CLUSTER = RelabelRule(target_label="cluster", replacement="blue")


def told(scrape: EncodedScrape, protocol: str) -> dict[str, list[object]]:
    """Name and labels -> values, staleness markers as a word; each series once."""
    found: dict[str, list[object]] = {}
    for series in read_block(scrape.block, protocol):
        name = ",".join(value for _, value in series.labels)
        assert name not in found
        found[name] = ["stale" if is_stale(value) else value for _, value in series.samples]
    return found


def encoded(protocol: str, *series: tuple[dict[str, str], float]) -> EncodedScrape:
    """A scrape at T0."""
    listed = [Series(make_labels(labels), "gauge", "Help.", [(T0, value)]) for labels, value in series]
    return EncodedScrape(write_block(listed, protocol), len(listed), T0)


def test_one_writer_alone() -> None:
    """Of two writers' receivers one gets everything as it is; what the other does not get is counted."""
    with Receiver() as receiver, Sending(receiver.url(), relabel=(DROP_M_1, CLUSTER)) as sending:
        sending.append(scrape(0, samples=3), scrape(1, samples=3))
        sending.pass_time_until_idle()
        assert [(taken.labels, taken.value) for taken in receiver.taken] == [
            ({"__name__": f"m_{index}", "cluster": "blue"}, number) for number in range(2) for index in (0, 2)
        ]
        assert sending.counted("samples_delivered") == 4
        assert sending.not_sent() == {"relabel": 2}


def test_a_scrape_of_which_nothing_is_left() -> None:
    """No request goes out for it."""
    rule = RelabelRule(source_labels=("__name__",), regex="up", action="keep")
    with Receiver() as receiver, Sending(receiver.url(), relabel=(rule,)) as sending:
        sending.append(*(scrape(number, samples=60) for number in range(5)))
        sending.wait_for(sending.idle_after_pauses, "everything to be decided")
        assert receiver.requests == []
        assert sending.not_sent() == {"relabel": 300}


def test_a_rule_that_cannot_be_is_refused_at_the_start() -> None:
    """By its number."""
    with pytest.raises(ConfigError, match="relabel rule 1"):
        Relabelling([RelabelRule(action="drop", regex="(")])


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_series_that_come_down_to_one(protocol: str) -> None:
    """The first that lives keeps the name, and its end is said only when none of them lives."""
    relabelling = Relabelling([RelabelRule(regex="a", action="labeldrop")])
    left_out: Counter[str] = Counter()
    first, second = {"__name__": "m", "a": "1"}, {"__name__": "m", "a": "2"}
    for values, expected in (
        ((1.0, 2.0), [1.0]),
        ((STALE_NAN, 3.0), [3.0]),
        ((4.0, STALE_NAN), [4.0]),
        ((STALE_NAN, STALE_NAN), ["stale"]),
    ):
        scrape = encoded(protocol, (first, values[0]), (second, values[1]))
        assert told(relabelling.shape(scrape, protocol, left_out), protocol) == {"m": expected}
    assert left_out == {"duplicate_series": 4}


def test_a_series_without_a_name_is_left_out() -> None:
    """It would be no series."""
    relabelling = Relabelling([RelabelRule(target_label="__name__", replacement="")])
    left_out: Counter[str] = Counter()
    shaped = relabelling.shape(encoded("2.0", ({"__name__": "m"}, 1.0)), "2.0", left_out)
    assert (shaped.samples, left_out) == (0, {"relabel_no_name": 1})


NAMES = st.sampled_from(["a", "b", "c", "__name__"])
SOURCES = st.tuples(NAMES)
PLAIN = RelabelRule()
RULES = st.one_of(
    st.builds(PLAIN._replace, target_label=NAMES, replacement=st.sampled_from(["", "x", "$1"]), source_labels=SOURCES),
    st.builds(PLAIN._replace, regex=NAMES, action=st.sampled_from(["labeldrop", "labelkeep"])),
    st.builds(PLAIN._replace, source_labels=SOURCES, regex=st.just("x|y"), action=st.sampled_from(["drop", "keep"])),
    st.builds(PLAIN._replace, regex=st.just("(a|b)"), replacement=st.just("c"), action=st.just("labelmap")),
)
PAIRS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"]))
LABELS = PAIRS.map(lambda pairs: {**pairs, "__name__": "m"})


@given(rules=st.lists(RULES, max_size=4), labels=st.lists(LABELS, max_size=6), protocol=st.sampled_from(["1.0", "2.0"]))
def test_whatever_the_rules_the_result_is_remote_write(
    rules: list[RelabelRule], labels: list[dict[str, str]], protocol: str
) -> None:
    """Labels sorted and unique, none empty, a name each, no series twice; nothing vanishes uncounted."""
    scrape = encoded(protocol, *((pairs, float(index)) for index, pairs in enumerate(labels)))
    left_out: Counter[str] = Counter()
    relabelling = Relabelling(rules)
    for _ in range(2):  # the second time from memory
        left_out.clear()
        shaped = relabelling.shape(scrape, protocol, left_out)
        found = [series.labels for series in read_block(shaped.block, protocol)]
        assert len(found) == len(set(found)) == shaped.samples
        assert shaped.samples + left_out.total() == len(labels)
        for pairs in found:
            assert list(pairs) == sorted(dict(pairs).items())
            assert all(name and value for name, value in pairs)
            assert dict(pairs)["__name__"]


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
@given(bodies=body_sequences(), rules=st.lists(RULES | st.just(DROP_M), max_size=3))
def test_what_is_remembered_changes_nothing(
    protocol: str, bodies: list[bytes | None], rules: list[RelabelRule]
) -> None:
    """Scrape by scrape the result is that of rules that have seen no scrape before."""
    source = Source(Form("rename", protocol))
    lasting = Relabelling(rules)
    for body in bodies:
        for twice in (body, body):
            (scrape,) = source.scrape(twice, Form("rename", protocol)).values()
            counted: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
            shaped = lasting.shape(scrape, protocol, counted[0])
            fresh = Relabelling(rules).shape(scrape, protocol, counted[1])
            assert sorted(raw(shaped, protocol)) == sorted(raw(fresh, protocol))
            assert (shaped.samples, counted[0]) == (fresh.samples, counted[1])


def raw(scrape: EncodedScrape, protocol: str) -> list[str]:
    """Everything that a scrape says, comparable also where a value is NaN."""
    return [repr(series) for series in read_block(scrape.block, protocol)]


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_scrapes_that_differ_in_values_are_not_taken_apart(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What costs is done once."""
    taken_apart = []
    monkeypatch.setattr(relabelling, "read_block", lambda *given: taken_apart.append(1) or read_block(*given))
    rules = Relabelling([DROP_M_1, CLUSTER])
    source = Source(Form("off", protocol))
    for number in range(10):
        (scrape,) = source.scrape(f"m_0 {number}\nm_1 1\n".encode(), Form("off", protocol)).values()
        rules.shape(scrape, protocol, Counter())
    assert len(taken_apart) == 1


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_ends_that_are_still_to_be_said(protocol: str) -> None:
    """At the time of the scrape that says them; what lives again is not ended."""
    a, b, c = ({"__name__": name} for name in "abc")
    late = [encoded(protocol, (a, STALE_NAN), (b, STALE_NAN), (c, 7.0))]
    now = encoded(protocol, (b, 1.0))._replace(timestamp_ms=T0 + 5000)
    together = with_ends(now, late, protocol)
    assert told(together, protocol) == {"b": [1.0], "a": ["stale"]}
    assert together.samples == 2
    assert [series.samples[0][0] for series in read_block(together.block, protocol)] == [T0, T0 + 5000]
    assert with_ends(now, [], protocol) is now
