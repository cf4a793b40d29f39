"""A target's samples go out under the right names, each series once, and what is gone gets a staleness marker."""

from __future__ import annotations

import math
import struct
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from kpwatch.exposition.delta import DeltaParser
from kpwatch.exposition.text import family_of, parse
from kpwatch.model.numbers import STALE_NAN_BYTES, is_stale
from kpwatch.relabel.identity import Identity, on_the_wire
from kpwatch.remote_write import snappy, standing, v2
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from tests.unit.exposition.bodies import body_sequences, openmetrics_sequences
from tests.unit.scrape.wire import LIMIT_BYTES, Sent, is_marker, named, sent, sent_in, series_bytes

if TYPE_CHECKING:
    from types import FrameType

    from kpwatch.model.encoded import EncodedScrape
    from kpwatch.scrape.encoder import IdentMode

IDENTITY = Identity(
    url_labels=(("instance", "http://127.0.0.1:10249/metrics"),),
    labels=(("job", "kube-proxy"), ("a.b", "-")),
    hostname="10.206.0.7",
)
UP = OwnSample("up", (), 1.0)
T0 = 1_800_000_000_000
"""Later than any timestamp that a body has itself."""


class OneTarget:
    """A parser and an encoder fed together, as a watch does it."""

    def __init__(self, identity: Identity = IDENTITY, mode: IdentMode = "rename") -> None:
        self.parser = DeltaParser()
        self.encoder = SeriesEncoder(identity, mode)
        self.now_ms = T0

    def scrape(self, body: bytes | None, own: tuple[OwnSample, ...] = (UP,)) -> EncodedScrape:
        """One scrape, a failed one where `body` is None."""
        self.now_ms += 1000
        if body is None:
            self.parser.forget()
            self.encoder.end()
        else:
            self.encoder.feed(self.parser.feed(body))
        return self.encoder.encode(self.now_ms, own)


def bare(identity: Identity = Identity()) -> OneTarget:  # noqa: B008 - immutable
    """A target whose samples get no labels but their own."""
    return OneTarget(identity, "off")


@pytest.fixture
def _learning(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many scrapes are made anew before their block stands."""
    monkeypatch.setattr(standing, "LEARNING_SCRAPES", request.param)


@pytest.mark.usefixtures("_learning")
@pytest.mark.parametrize(("mode", "_learning"), [("add", 0), ("rename", 16), ("off", 1)], indirect=["_learning"])
@given(bodies=body_sequences())
def test_a_lasting_encoder_sends_what_a_fresh_one_would(mode: IdentMode, bodies: list[bytes | None]) -> None:
    """Caches change no byte: beside the markers, each request is the one of an encoder that sees this body first."""
    lasting = OneTarget(IDENTITY, mode)
    live_before: set = set()
    for body in bodies:
        scrape = lasting.scrape(body)
        fresh = OneTarget(IDENTITY, mode)
        fresh.now_ms = lasting.now_ms - 1000
        expected = series_bytes(fresh.scrape(body))
        fields = series_bytes(scrape)
        assert scrape.samples == len(fields)
        assert [field for field in fields if not is_marker(field)] == expected

        samples = sent_in(b"".join(expected))
        markers = [sample.labels for field in fields if is_marker(field) for sample in sent_in(field)]
        assert sorted(markers) == sorted(live_before - {sample.labels for sample in samples})
        live_before = {sample.labels for sample in samples if sample.timestamp_ms == lasting.now_ms}
        assert lasting.encoder.duplicates == fresh.encoder.duplicates


@given(bodies=body_sequences())
def test_what_goes_out_is_what_was_scraped_and_named(bodies: list[bytes | None]) -> None:
    """Every scraped sample, named by the identity, goes out once; of one series the first sample counts."""
    target = OneTarget()
    for body in bodies:
        found = [sample for sample in sent(target.scrape(body)) if sample.value != STALE_NAN_BYTES]
        up = on_the_wire(IDENTITY.printed("up", (), "up", "gauge"), "rename")
        expected = {up: Sent(up, target.now_ms, struct.pack("<d", 1.0))}
        for sample in parse(body or b"").samples:
            types = parse(body or b"").types
            family = family_of(sample.name, types)
            printed = IDENTITY.printed(sample.name, sample.labels, family, types.get(family, "untyped"))
            labels = on_the_wire(printed, "rename")
            timestamp_ms = target.now_ms if sample.timestamp_ms is None else sample.timestamp_ms
            expected.setdefault(labels, Sent(labels, timestamp_ms, struct.pack("<d", sample.value)))
        assert Counter(found) == Counter(expected.values())


def _said(scrape: EncodedScrape) -> dict:
    """What a request of 2.0 says of every series, markers left out."""
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    return {
        series.labels: (series.metadata, series.start_ms, [(at_ms, struct.pack("<d", value))])
        for series in v2.decode_request(body)
        for at_ms, value in series.samples
        if not is_stale(value)
    }


@given(bodies=openmetrics_sequences())
def test_of_openmetrics_too(bodies: list[bytes | None]) -> None:
    """Whatever bodies follow one another, starts and units are those of the latest."""
    parser, lasting, now_ms = DeltaParser(), SeriesEncoder(IDENTITY, "rename", protocol="2.0"), T0
    for body in bodies:
        now_ms += 1000
        fresh = SeriesEncoder(IDENTITY, "rename", protocol="2.0")
        change = None if body is None else parser.feed(body, "openmetrics")
        if body is None or change is None or parser.refuses:
            parser.forget()
            lasting.end()
        else:
            lasting.feed(change)
            fresh.feed(DeltaParser().feed(body, "openmetrics"))
        assert _said(lasting.encode(now_ms, [UP])) == _said(fresh.encode(now_ms, [UP]))


def calls_of_a_scrape(lines: int) -> int:
    """Python functions called for a body of so many lines of which one changed."""
    parser, encoder = DeltaParser(), SeriesEncoder(IDENTITY, "rename")
    body = b"".join(b"# TYPE m%d gauge\nm%d 1\n" % (number, number) for number in range(lines // 2))
    for value in (1, 2):  # a value that changes for the first time has its block made anew
        encoder.feed(parser.feed(body.replace(b"m7 1\n", b"m7 %d\n" % value)))
        encoder.encode(T0, [UP])
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        encoder.feed(parser.feed(body.replace(b"m7 1\n", b"m7 3\n")))
        encoder.encode(T0, [UP])
    finally:
        sys.setprofile(None)
    return calls


def test_a_line_that_did_not_change_costs_no_call() -> None:
    """Python calls as many functions for 4,000 lines as for 1,000."""
    calls_of_a_scrape(1000)  # fills what is remembered of names and numbers
    assert calls_of_a_scrape(1000) == calls_of_a_scrape(4000)


def test_labels_go_out_sorted_with_ident() -> None:
    """A series' labels are sorted by name, ours included."""
    (sample, *_) = sent(OneTarget().scrape(b'm{z="1",A="2"} 1'))
    assert sample.labels == (
        ("A", "2"),
        ("__name__", "m"),
        ("ident", "10.206.0.7"),
        ("instance", "http://127.0.0.1:10249/metrics"),
        ("job", "kube-proxy"),
        ("z", "1"),
    )


def test_a_series_that_goes_gets_one_marker() -> None:
    """The scrape that lacks it says so, the one after it no more; when it is back it is just there."""
    target = bare()
    target.scrape(b"a 1\nb 2\n")
    gone = named(target.scrape(b"a 1\n"))
    assert gone["a"] == 1
    assert is_stale(gone["b"])
    assert named(target.scrape(b"a 2\n")) == {"a": 2, "up": 1}
    assert named(target.scrape(b"a 2\nb 3\n")) == {"a": 2, "b": 3, "up": 1}


def test_a_failed_scrape_ends_every_series_once() -> None:
    """`up` 0 and markers for all that was live; then `up` 0 alone; then everything is back."""
    target = bare()
    down = OwnSample("up", (), 0.0)
    target.scrape(b"a 1\nb 2\n")
    first = named(target.scrape(None, (down,)))
    assert first["up"] == 0
    assert is_stale(first["a"])
    assert is_stale(first["b"])
    assert named(target.scrape(None, (down,))) == {"up": 0}
    assert named(target.scrape(b"a 1\n")) == {"a": 1, "up": 1}


@pytest.mark.parametrize("then", [b"a 1\n", None])
def test_a_sample_with_a_timestamp_of_its_own_gets_no_marker(then: bytes | None) -> None:
    """It may come back with its old time, which would be before the marker's: receivers refuse a request for that."""
    target = bare()
    target.scrape(b"a 1\nb 2 1700000000000\n")
    assert "b" not in named(target.scrape(then))


def test_series_added_are_those_that_the_scrape_before_did_not_have() -> None:
    """A new one, one that is back, and all of them after a failed scrape."""
    target = bare()
    added = []
    for body in (b"a 1\nb 1 5\n", b"a 2\nb 1 5\n", b"a 2\n", b"a 2\nb 1 5\n", None, b"a 2\nb 1 5\n"):
        target.scrape(body)
        added.append(target.encoder.added)
    assert added == [2, 0, 0, 1, 0, 2]


def test_own_samples_say_what_they_are() -> None:
    """Remote Write 2.0 has a type for each series: a name in `_total` is a counter's."""
    encoder = SeriesEncoder(Identity(), "off", protocol="2.0")
    own = (OwnSample("kpwatch_agent_things_total", (), 1), OwnSample("kpwatch_agent_things", (), 1))
    block = encoder.encode(1_700_000_000_000, own).block
    said = {
        dict(one.labels)["__name__"]: one.metadata.type for one in v2.decode_request(snappy.decompress(block, 1 << 20))
    }
    assert said == {"kpwatch_agent_things_total": "counter", "kpwatch_agent_things": "gauge"}


def test_an_own_sample_that_is_no_more_gets_a_marker() -> None:
    """A mode that changes ends the old mode's series."""
    target = bare()
    info = "kpwatch_proxy_mode_info"
    target.scrape(b"", (OwnSample(info, (("mode", "iptables"),), 1),))
    second = named(target.scrape(b"", (OwnSample(info, (("mode", "nftables"),), 1),)))
    assert second[info + "{'mode': 'nftables'}"] == 1
    assert is_stale(second[info + "{'mode': 'iptables'}"])


def test_own_samples_of_ever_new_labels_are_not_kept_for_ever() -> None:
    """The cache of our own labels is bounded."""
    target = bare()
    for number in range(500):
        target.scrape(b"", (OwnSample("x", (("n", str(number)),), 1),))
    assert len(target.encoder._own) < 100


def test_two_heads_of_one_series_go_out_once() -> None:
    """A deleted label makes two series one: the first counts, the others are counted out, at every scrape."""
    target = bare(Identity(labels=(("pod", "-"),)))
    for value in (b"1", b"2"):
        scrape = target.scrape(b'm{pod="a"} ' + value + b'\nm{pod="b"} 7\n')
        assert named(scrape) == {"m": float(value), "up": 1}
        assert target.encoder.duplicates == 1


def test_up_is_ours() -> None:
    """A target that exposes an `up` of its own does not put the series into a request twice."""
    target = bare()
    assert named(target.scrape(b'up 5\nup{x="1"} 6\n')) == {"up": 1, "up{'x': '1'}": 6}
    assert target.encoder.duplicates == 1


def test_a_type_that_changes_changes_the_name() -> None:
    """`le` is a number in a histogram and a text elsewhere: a new TYPE line is a new series."""
    target = bare()
    target.scrape(b'# TYPE h histogram\nh_bucket{le="1.0"} 1\n')
    second = named(target.scrape(b'# TYPE h gauge\nh_bucket{le="1.0"} 1\n'))
    assert second["h_bucket{'le': '1.0'}"] == 1
    assert is_stale(second["h_bucket{'le': '1'}"])


def test_explicit_timestamps_are_kept() -> None:
    """A line with a timestamp goes out at that time, the others at the scrape's."""
    target = bare()
    found = {dict(labels)["__name__"]: at_ms for labels, at_ms, _ in sent(target.scrape(b"a 1 5\nb 1 -7\nc 1\n"))}
    assert found == {"a": 5, "b": -7, "c": target.now_ms, "up": target.now_ms}


def test_nan_is_not_the_staleness_marker() -> None:
    """A scraped NaN goes out as a NaN that readers keep."""
    (sample, _) = sent(bare().scrape(b"m NaN\n"))
    (value,) = struct.unpack("<d", sample.value)
    assert math.isnan(value)
    assert not is_stale(value)


def test_a_clock_before_1971_is_refused() -> None:
    """A timestamp that the prepared encoding cannot carry is an error, not a broken request."""
    with pytest.raises(ValueError, match="timestamp 0 ms"):
        bare().encoder.encode(0, (UP,))


def test_nothing_to_say_is_an_empty_block() -> None:
    """No sample at all: a valid block without content."""
    scrape = bare().encoder.encode(T0, ())
    assert (scrape.samples, snappy.decompress(scrape.block, LIMIT_BYTES)) == (0, b"")
