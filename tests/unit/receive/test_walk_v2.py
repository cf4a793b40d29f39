"""Remote Write 2.0 becomes the frames that 1.0 becomes, by whatever path; hostile bodies cost little."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.exposition.delta import DeltaParser
from kpwatch.model.numbers import NORMAL_NAN, STALE_NAN
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.relabel.identity import Identity
from kpwatch.remote_write import snappy, v1
from kpwatch.remote_write.codecs import CodecV2
from kpwatch.remote_write.protobuf import encode_varint
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from tests.unit.receive.bodies import (
    NOW_MS,
    Written,
    bits,
    fresh_meaning,
    labels,
    meaning,
    written_1_0,
    written_2_0,
)
from tests.unit.remote_write.oracle import Request2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMES = [f"metric_{number}" for number in range(40)]


def decoder(**options: int) -> Decoder:
    return Decoder(ReceiveOptions(**options))


class Sender:
    """One target's scrapes as our agent writes them in 2.0."""

    def __init__(self, node: str = "a") -> None:
        self._codec = CodecV2()
        self._node = node

    def scrape(self, names: Sequence[str], values: Sequence[float], at_ms: int = NOW_MS) -> bytes:
        return self._codec.request(self.series(names, values, at_ms))

    def series(self, names: Sequence[str], values: Sequence[float], at_ms: int = NOW_MS) -> bytes:
        tail = v1.timestamp_tail(at_ms)
        return b"".join(
            self._codec.series_head(self._codec.label_block(labels(name, self._node), "gauge", f"What {name} is."))
            + v1.pack_value(value)
            + tail
            for name, value in zip(names, values, strict=True)
        )


def foreign(written: Written, seed: int = 0, metadata: str = "last") -> bytes:
    """By protobuf, as Prometheus lays it out: symbols in an order of its own, zeros left out, metadata last or none."""
    texts = sorted({text for one, _ in written for pair in one for text in pair} - {""})
    random.Random(seed).shuffle(texts)
    request = Request2(symbols=["", *texts, "Help."])
    place = {text: number for number, text in enumerate(request.symbols)}
    for one, samples in written:
        series = request.timeseries.add(labels_refs=[place[text] for pair in one for text in pair])
        for at_ms, value in samples:
            start_ms = [0, NOW_MS - 5, 7][seed % 3]
            series.samples.add(timestamp=at_ms, value=value, start_timestamp=start_ms)
        if metadata == "last":
            series.metadata.type, series.metadata.help_ref = 1, place["Help."]
    return request.SerializeToString()


def test_a_scrape_is_one_frame_in_the_senders_order() -> None:
    """As in 1.0, and nothing of it is a run yet."""
    result = decoder().decode(Sender().scrape(NAMES, range(40)), "2.0")
    (frame,) = result.frames
    assert frame.target == (("ident", "a"), ("job", "kube-proxy"))
    assert list(frame.layout.columns) == [(("__name__", name),) for name in NAMES]
    assert frame.timestamp_ms == NOW_MS
    assert frame.values.tolist() == list(range(40))
    assert (result.samples, result.in_runs, result.metadata) == (40, 0, 40)


def test_the_second_scrape_is_a_known_run() -> None:
    """Symbols and heads are compared, not read; the layout stays the same object; metadata is counted all the same."""
    known, sender = decoder(), Sender()
    results = [known.decode(sender.scrape(NAMES, [float(round_)] * 40, NOW_MS + round_), "2.0") for round_ in range(3)]
    assert [result.in_runs for result in results] == [0, 40, 40]
    assert [result.metadata for result in results] == [40, 40, 40]
    assert results[2].frames[0].layout is results[0].frames[0].layout
    assert results[2].frames[0].timestamp_ms == NOW_MS + 2
    assert results[2].frames[0].values.tolist() == [2.0] * 40


@pytest.mark.parametrize("starts", ["before the value", "behind the time"])
def test_series_that_say_when_they_began_are_known_too(starts: str) -> None:
    """Our agent puts it before the value, protobuf behind the time; either way the second scrape is a run."""
    known = decoder()
    for round_ in range(3):
        at_ms = NOW_MS + round_
        if starts == "before the value":
            codec = CodecV2()
            blocks = [codec.label_block(labels(name), "counter", "") for name in NAMES]
            body = codec.request(b"".join(codec.encode_series(one, [(at_ms, 2.5)], NOW_MS - 9) for one in blocks))
        else:
            request = Request2(symbols=["", "__name__", "ident", "a", "job", "kube-proxy", *NAMES])
            for number in range(len(NAMES)):
                series = request.timeseries.add(labels_refs=[1, 6 + number, 2, 3, 4, 5])
                series.samples.add(value=2.5, timestamp=at_ms, start_timestamp=NOW_MS - 9)
            body = request.SerializeToString()
        result = known.decode(body, "2.0")
        assert meaning(result.frames) == {(labels(name), at_ms): bits(2.5) for name in NAMES}
        assert (result.in_runs, result.start_timestamps) == (40 if round_ else 0, 40)


def test_both_protocols_share_columns_and_layouts() -> None:
    """A sender that changes its protocol does not double what the store knows."""
    known = decoder()
    samples: Written = [(labels(name), [(NOW_MS, 1.0)]) for name in NAMES]
    (first,) = known.decode(written_1_0(samples)).frames
    (second,) = known.decode(written_2_0(samples), "2.0").frames
    (third,) = known.decode(foreign(samples), "2.0").frames
    assert first.layout is second.layout is third.layout


def test_targets_whose_tables_begin_alike_are_told_apart() -> None:
    """Tables are compared whole: the same heads after other symbols are another target."""
    known = decoder()
    for round_ in range(4):
        for node in "abcdef":
            result = known.decode(Sender(node).scrape(NAMES, range(40), NOW_MS + round_), "2.0")
            assert dict(result.frames[0].target)["ident"] == node


def test_tables_that_begin_alike_beyond_all_bounds_are_only_slower() -> None:
    """Many targets that differ behind the first symbols: some are forgotten, all are right."""
    known = decoder()
    for round_ in range(3):
        for node in range(24):
            written: Written = [
                ((("__name__", name), ("a", "x" * 600), ("job", f"j{node}")), [(NOW_MS + round_, float(node))])
                for name in NAMES
            ]
            body = written_2_0(written)
            assert meaning(known.decode(body, "2.0").frames) == fresh_meaning(written_1_0(written))


def test_several_scrapes_of_one_target_in_one_body_are_several_runs() -> None:
    """A backlog may be sent at once: one table, then scrape after scrape."""
    known, sender = decoder(), Sender()
    known.decode(sender.scrape(NAMES, range(40)), "2.0")
    table = sender.scrape([], [])
    body = table + b"".join(sender.series(NAMES, range(40), NOW_MS + round_) for round_ in range(3))
    result = known.decode(body, "2.0")
    assert result.in_runs == result.samples == 120
    assert [frame.timestamp_ms for frame in result.frames] == [NOW_MS, NOW_MS + 1, NOW_MS + 2]


def test_new_series_behind_a_known_run_are_read() -> None:
    """Staleness markers, for instance, whose symbols are known."""
    known, sender = decoder(), Sender()
    known.decode(sender.scrape(NAMES, range(40)), "2.0")
    result = known.decode(sender.scrape([*NAMES, *NAMES[:3]], range(43)), "2.0")
    assert (result.in_runs, result.samples) == (40, 43)


CHANGES = {
    "a symbol": lambda body: body.replace(b"metric_7", b"metric_x", 1),
    "one timestamp": lambda body: body[:-1] + bytes([body[-1] ^ 1]),
    "a series more": lambda body: body + Sender().series(["metric_0"], [5.0], NOW_MS + 9),
    "a series less": lambda body: body[: body.rindex(b"\x2a\x2d") if b"\x2a\x2d" in body else len(body)],
    "a symbol more behind the table": lambda body: body.replace(b"\x22\x00", b"\x22\x00", 1) + b"\x22\x01z",
    "an unknown field": lambda body: body + b"\x78\x01",
    "another help": lambda body: body.replace(b"What metric_3", b"Whut metric_3"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_body_that_differs_from_its_run_is_read(what: str) -> None:
    """Anything but another value and another common timestamp takes the general path, with the right result."""
    known, sender = decoder(), Sender()
    for _ in range(3):
        known.decode(sender.scrape(NAMES, range(40)), "2.0")
    body = CHANGES[what](sender.scrape(NAMES, [0.5 * number for number in range(40)]))
    assert meaning(known.decode(body, "2.0").frames) == fresh_meaning(body, "2.0")


VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, NORMAL_NAN, STALE_NAN]), st.floats(allow_nan=False)
)
SERIES = st.tuples(
    st.builds(labels, st.sampled_from(NAMES), st.sampled_from("ab"), more=st.sampled_from(["", "x", "节", "y" * 200])),
    st.lists(st.tuples(st.sampled_from([NOW_MS, NOW_MS + 1, 0, 1]), VALUES), max_size=3),
)
RUN = st.tuples(st.sampled_from("ab"), st.sampled_from([15, 16, 40]), st.sampled_from([NOW_MS, NOW_MS + 1]), VALUES)


@st.composite
def requests(draw: st.DrawFn) -> Written:
    """Scrapes of targets, in order or scattered, and single series between them."""
    written: Written = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            node, count, at_ms, value = draw(RUN)
            written += [(labels(name, node), [(at_ms, value)]) for name in NAMES[:count]]
        else:
            written += draw(st.lists(SERIES, max_size=5))
    return draw(st.permutations(written)) if draw(st.booleans()) else written


@settings(max_examples=80, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3), st.integers(0, 100))
def test_both_protocols_store_the_same(bodies: list[Written], seed: int) -> None:
    """The same samples in 1.0, in our 2.0 and in a foreign one, again and again to the same decoders (property)."""
    by_1_0, ours, theirs = decoder(), decoder(), decoder()
    for written in bodies * 2:
        expected = meaning(by_1_0.decode(written_1_0(written)).frames)
        assert meaning(ours.decode(written_2_0(written), "2.0").frames) == expected
        body = foreign(written, seed, "last" if seed % 2 else "")
        assert meaning(theirs.decode(body, "2.0").frames) == expected


@settings(max_examples=80, deadline=None)
@given(requests())
def test_both_protocols_give_identical_frames(written: Written) -> None:
    """Frame by frame and count by count, where neither decoder has seen anything before (property)."""
    expected, found = decoder().decode(written_1_0(written)), decoder().decode(written_2_0(written), "2.0")
    assume(not expected.in_runs)  # 1.0 knows a scrape that comes twice within one body
    assert found._replace(frames=[], metadata=0) == expected._replace(frames=[])
    for ours, theirs in zip(found.frames, expected.frames, strict=True):
        assert (ours.target, ours.layout.columns) == (theirs.target, theirs.layout.columns)
        assert (ours.timestamp_ms, ours.values.tobytes()) == (theirs.timestamp_ms, theirs.values.tobytes())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2500), st.integers(0, 2500))
def test_damaged_bodies_are_refused_or_read_alike(junk: bytes, begin: int, length: int) -> None:
    """Damage anywhere gives BadInput on both paths, or the same samples on both (property)."""
    known = decoder()
    whole = Sender().scrape(NAMES, range(40))
    for _ in range(2):
        known.decode(whole, "2.0")
    body = whole[:begin] + junk + whole[begin + length :]
    found = []
    for one in (known, decoder()):
        try:
            found.append(meaning(one.decode(body, "2.0").frames))
        except BadInput:
            found.append(None)
    assert found[0] == found[1]


def test_a_real_agents_scrapes_in_both_protocols(captures: list[Path]) -> None:
    """Encoder and decoder together, first scrape and second, series gone in between."""
    identity = Identity((("instance", "http://x/metrics"),), (("job", "kube-proxy"),), (), "10.206.0.7")
    for capture in captures[:4]:
        lines = capture.read_bytes().splitlines(keepends=True)
        bodies = [b"".join(lines), b"".join(lines[: len(lines) // 2]), b"".join(lines)]
        by_protocol = {}
        for protocol in ("1.0", "2.0"):
            encoder, parser, known = SeriesEncoder(identity, "off", protocol=protocol), DeltaParser(), decoder()
            results = []
            for round_, body in enumerate([*bodies, bodies[-1]]):
                encoder.feed(parser.feed(body))
                block = encoder.encode(NOW_MS + round_, [OwnSample("up", (), 1.0)]).block
                results.append(known.decode(snappy.decompress(block, 1 << 30), protocol))
            assert results[-1].in_runs == results[-1].samples > 100
            by_protocol[protocol] = [meaning(result.frames) for result in results]
        assert by_protocol["1.0"] == by_protocol["2.0"], capture.name


def test_agent_hostname_becomes_ident() -> None:
    """The same rule as for 1.0; `host` only where it is asked for."""
    sent: Written = [((("__name__", "m"), ("agent_hostname", "n"), ("host", "h")), [(NOW_MS, 1.0)])]
    (frame,) = decoder().decode(foreign(sent), "2.0").frames
    assert frame.target == (("ident", "n"),)
    (frame,) = (
        Decoder(ReceiveOptions(), host_is_ident=True)
        .decode(foreign([((("__name__", "m"), ("host", "h")), [(NOW_MS, 1.0)])]), "2.0")
        .frames
    )
    assert frame.target == (("ident", "h"),)


def test_what_is_not_kept_is_counted() -> None:
    """Histograms, exemplars, start timestamps of both kinds, metadata, series without samples."""
    request = Request2(symbols=["", "__name__", "m", "n"])
    first = request.timeseries.add(labels_refs=[1, 2], created_timestamp=5)
    first.samples.add(value=1.0, timestamp=NOW_MS, start_timestamp=NOW_MS - 5)
    first.exemplars.add(value=1.0)
    second = request.timeseries.add(labels_refs=[1, 3])
    second.histograms.add(sum=1.0)
    second.metadata.type = 3
    result = decoder().decode(request.SerializeToString(), "2.0")
    assert (result.samples, result.ignored, result.histograms) == (1, 2, 1)
    assert (result.start_timestamps, result.metadata, result.without_samples) == (2, 1, 1)


@pytest.mark.parametrize("order", ["symbols last", "symbols between", "unpacked references", "labels last"])
def test_odd_but_legal(order: str) -> None:
    """Protobuf allows any order of fields, and references one by one."""
    symbols = [b"\x22\x00", b"\x22\x08__name__", b"\x22\x01m", b"\x22\x01n"]
    sample = v1.encode_samples([(NOW_MS, 3.0)])
    m, n = b"\x0a\x02\x01\x02" + sample, b"\x0a\x02\x01\x03" + sample
    if order == "unpacked references":
        m = b"\x08\x01\x08\x02" + sample
    elif order == "labels last":
        m = sample + b"\x0a\x02\x01\x02"
    series = [b"\x2a" + bytes([len(one)]) + one for one in (m, n)]
    body = {
        "symbols last": b"".join(series + symbols),
        "symbols between": b"".join([*symbols[:3], series[0], symbols[3], series[1]]),
    }.get(order, b"".join(symbols + series))
    assert meaning(decoder().decode(body, "2.0").frames) == {
        ((("__name__", name),), NOW_MS): bits(3.0) for name in ("m", "n")
    }


def one_series(content: bytes, symbols: Sequence[bytes] = (b"", b"__name__", b"m")) -> bytes:
    table = b"".join(b"\x22" + bytes([len(text)]) + text for text in symbols)
    return table + b"\x2a" + bytes([len(content)]) + content


def series_field(content: bytes) -> bytes:
    return b"\x2a" + encode_varint(len(content)) + content


SAMPLE = v1.encode_samples([(NOW_MS, 1.0)])
NAMED = b"\x22\x00\x22\x08__name__\x22\x01m"
BAD = [
    ("no empty symbol", one_series(b"\x0a\x02\x00\x01" + SAMPLE, [b"__name__", b"m"]), 'first symbol must be ""'),
    ("no symbols", b"\x2a\x16\x0a\x02\x00\x01" + SAMPLE, "there are 0"),
    ("an odd number", one_series(b"\x0a\x03\x01\x02\x01" + SAMPLE), "3 label references, an odd number"),
    ("beyond the table", one_series(b"\x0a\x02\x01\x03" + SAMPLE), "refers to symbol 3, there are 3"),
    ("beyond all tables", one_series(b"\x0a\x06\x01\xff\xff\xff\xff\x0f" + SAMPLE), "symbol 4294967295"),
    ("a cut reference", one_series(b"\x0a\x02\x01\x80" + SAMPLE), "are cut"),
    ("an endless reference", one_series(b"\x0a\x07\x01\x80\x80\x80\x80\x80\x01" + SAMPLE), "longer than a uint32"),
    ("metadata beyond the table", one_series(b"\x0a\x02\x01\x02\x2a\x02\x18\x09" + SAMPLE), "metadata .* symbol 9"),
    ("metadata behind, beyond", one_series(b"\x0a\x02\x01\x02" + SAMPLE + b"\x2a\x02\x20\x03"), "metadata .* symbol 3"),
    ("no labels", one_series(b"\x0a\x00" + SAMPLE), "no labels at all"),
    ("no labels field", one_series(SAMPLE), "no labels at all"),
    ("no metric name", one_series(b"\x0a\x02\x02\x02" + SAMPLE), "no metric name"),
    ("an empty metric name", one_series(b"\x0a\x02\x01\x00" + SAMPLE), "no metric name"),
    ("a label without a name", one_series(b"\x0a\x04\x01\x02\x00\x02" + SAMPLE), "a label without a name"),
    ("a label twice", one_series(b"\x0a\x06\x01\x02\x02\x01\x02\x02" + SAMPLE), 'label "m" comes more than once'),
    ("a target label twice", one_series(b"\x0a\x06\x01\x03\x02\x03\x02\x03" + SAMPLE, [b"", b"__name__", b"job", b"x"]),
     'label "job" comes more than once'),
    ("65 labels", NAMED + series_field(b"\x0a\x82\x01" + b"\x01\x02" * 65 + SAMPLE), "65 labels, the limit is 64"),
    ("a bad symbol", one_series(b"\x0a\x02\x01\x02" + SAMPLE, [b"", b"__name__", b"\xff"]), "not UTF-8"),
    ("before 1970", one_series(b"\x0a\x02\x01\x02" + v1.encode_samples([(-1, 1.0)])), "1970"),
    ("1.0's series", b"\x22\x00" + v1.encode_series(v1.encode_labels(labels("m")), [(NOW_MS, 1.0)]), "1.0's"),
    ("1.0's metadata", b"\x1a\x02\x08\x01", "1.0's"),
    ("a symbol that is cut", b"\x22\x00\x22\x7fabc", "reaches byte"),
    ("a series that is cut", one_series(b"\x0a\x02\x01\x02" + SAMPLE)[:-2], "reaches byte"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_bodies(body: bytes, words: str) -> None:
    """Each is refused with a sentence, also by a decoder that knows the good neighbour."""
    known = decoder()
    known.decode(one_series(b"\x0a\x02\x01\x02" + SAMPLE), "2.0")
    for one in (known, decoder()):
        with pytest.raises(BadInput, match=words):
            one.decode(body, "2.0")


def test_a_2_0_body_sent_as_1_0_is_refused() -> None:
    """Other receivers take it for a request without series and answer 2xx: everything is lost in silence."""
    with pytest.raises(BadInput, match=r"is Remote Write 2\.0's; send Content-Type"):
        decoder().decode(Sender().scrape(NAMES, range(40)))


BOMBS = [
    ("a million symbols", {}, b"\x22\x00" * 1_000_000, "more than 250000 symbols"),
    ("a million symbols behind a series", {}, b"\x2a\x00" + b"\x22\x00" * 1_000_000, "more than 250000 symbols"),
    ("labels that written out are too long", {"decoded_bytes": 1 << 20},
     b"\x22\x00\x22\x08__name__\x22\x80\x20" + b"x" * 4096 + (b"\x2a\x18\x0a\x02\x01\x02" + SAMPLE
     + b"\x2a\x00") * 300, "written out take more than 1048576"),
    ("series without anything", {"samples_per_request": 1000}, b"\x22\x00" + b"\x2a\x00" * 1001, "no labels|more than"),
    ("unknown fields", {"samples_per_request": 1000}, b"\x22\x00" + b"\x78\x01" * 1001, "more than 1000"),
    ("samples of one series", {"samples_per_request": 1000},
     b"\x22\x00\x2a\xd2\x0f" + b"\x12\x00" * 1001, "more than 1000"),
    ("references of one series", {"samples_per_request": 1000},
     b"\x22\x00\x2a\xd4\x0f\x0a\xd1\x0f" + b"\x00" * 2001, "more than 1000"),
    ("unpacked references", {"samples_per_request": 1000},
     b"\x22\x00\x2a\xd2\x0f" + b"\x08\x00" * 1001, "more than 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "options", "body", "words"), BOMBS, ids=[row[0] for row in BOMBS])
def test_bombs(what: str, options: dict[str, int], body: bytes, words: str) -> None:
    """What is small on the wire and large in memory is refused before it is large."""
    with pytest.raises(BadInput, match=words) as raised:
        decoder(**options).decode(body, "2.0")
    assert raised.type is TooLarge or "no labels" in words, what


def test_forgetting_changes_nothing() -> None:
    """With next to no memory allowed the frames are the same, only slower, and forgetting is counted."""
    tiny = Decoder(ReceiveOptions(label_cache_bytes=40_000, run_cache_bytes=40_000))
    for round_ in range(5):
        for node in "abcdef":
            body = Sender(node).scrape(NAMES, [float(round_)] * 40, NOW_MS + round_)
            assert meaning(tiny.decode(body, "2.0").frames) == fresh_meaning(body, "2.0")
    assert tiny.forgotten() > 0
