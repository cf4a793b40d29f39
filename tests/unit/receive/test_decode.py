"""Bodies become frames: the general path, the path of known runs, and that both say the same."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.model.numbers import NORMAL_NAN, STALE_NAN
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import TIMESTAMP_MAX_MS, ReceiveOptions
from kpwatch.remote_write import v1
from tests.unit.receive.bodies import NOW_MS, bits, fresh_meaning, labels, meaning, scrape, series

NAMES = [f"metric_{number}" for number in range(40)]


def decoder() -> Decoder:
    return Decoder(ReceiveOptions())


def test_a_scrape_is_one_frame_in_the_senders_order() -> None:
    """Consecutive series of one target and time make one frame, columns without target labels."""
    (frame,) = decoder().decode(scrape("a", NAMES, range(40))).frames
    assert frame.target == (("ident", "a"), ("job", "kube-proxy"))
    assert list(frame.layout.columns) == [(("__name__", name),) for name in NAMES]
    assert frame.timestamp_ms == NOW_MS
    assert frame.values.tolist() == list(range(40))


def test_a_new_scrape_is_a_known_run_from_then_on() -> None:
    """What was read once is recognised; the layout stays the same object."""
    known = decoder()
    results = [known.decode(scrape("a", NAMES, [float(round_)] * 40, NOW_MS + round_)) for round_ in range(3)]
    assert [result.in_runs for result in results] == [0, 40, 40]
    assert results[2].frames[0].layout is results[0].frames[0].layout
    assert results[2].frames[0].timestamp_ms == NOW_MS + 2
    assert results[2].frames[0].values.tolist() == [2.0] * 40


def test_known_series_in_a_new_order_are_a_run_when_they_come_again() -> None:
    """Senders that cut their batches anywhere must not fill the memory with stretches that never come again."""
    known = decoder()
    known.decode(scrape("a", NAMES, range(40)))
    backwards = scrape("a", NAMES[::-1], range(40))
    assert [known.decode(backwards).in_runs for _ in range(3)] == [0, 0, 40]


def test_several_scrapes_in_one_body_are_several_runs() -> None:
    """Requests merge the scrapes of many targets; each is known by itself, in any order."""
    known = decoder()
    for _ in range(3):
        known.decode(b"".join(scrape(node, NAMES, range(40)) for node in "abc"))
    result = known.decode(b"".join(scrape(node, NAMES, range(40), NOW_MS + 5) for node in "cab"))
    assert result.in_runs == result.samples == 120
    assert [dict(frame.target)["ident"] for frame in result.frames] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("a label", lambda body: body.replace(b"metric_7", b"metric_x")),
        ("one timestamp", lambda body: body[:-1] + bytes([body[-1] ^ 1])),
        ("a series more", lambda body: body + series(labels("one_more"), (NOW_MS, 1.0))),
        ("a series less", lambda body: body[: len(body) - len(scrape("a", NAMES[-1:], [0.0]))]),
        ("another order", lambda _: scrape("a", NAMES[::-1], range(40))),
        ("metadata between", lambda body: body + b"\x1a\x02\x08\x01" + body),
    ],
)
def test_a_body_that_differs_from_its_run_is_read(what: str, changed: object) -> None:
    """Anything but another value and another common timestamp takes the general path, with the right result."""
    known = decoder()
    for _ in range(3):
        known.decode(scrape("a", NAMES, range(40)))
    body = changed(scrape("a", NAMES, [0.5 * number for number in range(40)]))
    assert meaning(known.decode(body).frames) == fresh_meaning(body), what


VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, NORMAL_NAN, STALE_NAN]), st.floats(allow_nan=False)
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_known_runs_and_the_general_path_agree(data: st.DataObject) -> None:
    """Whatever was seen before, a decoder gives the frames of one that has seen nothing (property)."""
    known = decoder()
    drawn = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(2, 6))):
        parts = []
        for node in data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=3)):
            count = data.draw(st.sampled_from([1, 15, 16, 17, 40]))
            at_ms = NOW_MS + data.draw(st.sampled_from([0, 0, 1, 15_000]))
            values = [data.draw(VALUES), *(drawn.random() for _ in range(count - 1))]
            drawn.shuffle(values)
            parts.append(scrape(node, NAMES[:count], values, at_ms))
            if data.draw(st.booleans()):
                parts.append(series(labels("m", node), (at_ms, drawn.random()), (0, 1.0)))
        body = b"".join(parts)
        assert meaning(known.decode(body).frames) == fresh_meaning(body)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 1500), st.integers(0, 1500))
def test_damaged_bodies_are_refused_or_read_alike(junk: bytes, begin: int, length: int) -> None:
    """Damage anywhere gives BadInput on both paths, or the same samples on both (property)."""
    known = decoder()
    whole = scrape("a", NAMES, range(40))
    for _ in range(3):
        known.decode(whole)
    body = whole[:begin] + junk + whole[begin + length :]
    try:
        expected = fresh_meaning(body)
    except BadInput:
        expected = None
    try:
        got = meaning(known.decode(body).frames)
    except BadInput:
        got = None
    assert got == expected


def test_every_series_of_real_captures_arrives(captures: list) -> None:
    """A real scrape decodes to itself on both paths."""
    for capture in captures[:6]:
        lines = [line for line in capture.read_text().splitlines() if line and not line.startswith("#")]
        names = [f"m{number}" for number, _ in enumerate(lines)]
        values = [float(line.rpartition(" ")[2]) for line in lines]
        known = decoder()
        body = scrape("node", names, values)
        for round_ in range(3):
            result = known.decode(body)
            assert [bits(value) for value in result.frames[0].values.tolist()] == [bits(value) for value in values]
            assert result.samples == len(lines), (capture.name, round_)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, math.inf, NORMAL_NAN, STALE_NAN])
def test_value_bits_are_kept(value: float) -> None:
    """Staleness markers and signs of zero survive both paths."""
    known = decoder()
    for _ in range(4):
        (frame,) = known.decode(scrape("a", NAMES, [value] * 40)).frames
        assert {number.tobytes() for number in frame.values} == {bits(value)}


def test_an_omitted_value_is_zero() -> None:
    """Senders that follow proto3 leave out a value of 0 (Prometheus does)."""
    block = v1.encode_labels(labels("zero"))
    field = block + b"\x12\x07" + v1.timestamp_tail(NOW_MS)
    body = b"\x0a" + bytes([len(field)]) + field
    known = decoder()
    for _ in range(3):
        assert meaning(known.decode(body * 1).frames) == {(labels("zero"), NOW_MS): bits(0.0)}


def test_of_duplicates_in_one_body_the_last_stays() -> None:
    """The same series and time twice: the later value, and a count."""
    body = series(labels("m"), (NOW_MS, 1.0)) + series(labels("n"), (NOW_MS, 5.0)) + series(labels("m"), (NOW_MS, 2.0))
    known = decoder()
    for _ in range(3):
        result = known.decode(body)
        assert meaning(result.frames)[labels("m"), NOW_MS] == bits(2.0)
        assert (result.samples, result.duplicates) == (2, 1)


def test_a_duplicate_after_a_long_stretch_stays_the_last() -> None:
    """The later value wins whether it comes in a run, in a stretch or scattered."""
    known = decoder()
    lone = series(labels(NAMES[3]), (NOW_MS, 99.0))
    long = scrape("a", NAMES, range(40))
    for _ in range(4):
        assert meaning(known.decode(long + lone).frames)[labels(NAMES[3]), NOW_MS] == bits(99.0)
        assert meaning(known.decode(lone + long).frames)[labels(NAMES[3]), NOW_MS] == bits(3.0)


def test_samples_of_many_times_and_targets_are_grouped() -> None:
    """One frame per target and time, however the series are interleaved."""
    body = b"".join(
        series(labels(name, node), (NOW_MS, 1.0), (NOW_MS + 1000, 2.0)) for name in ("m", "n") for node in ("a", "b")
    )
    frames = decoder().decode(body).frames
    assert len(frames) == 4
    assert all(len(frame.values) == 2 for frame in frames)


def test_what_is_not_kept_is_counted() -> None:
    """Exemplars, histograms, series without samples, metadata."""
    block = v1.encode_labels(labels("m"))
    field = block + b"\x1a\x02\x08\x01"
    body = b"\x0a" + bytes([len(field)]) + field
    result = decoder().decode(body)
    assert (result.frames, result.ignored, result.without_samples) == ([], 1, 1)
    assert decoder().decode(b"\x1a\x02\x08\x01" * 3).metadata == 3


@pytest.mark.parametrize("at_ms", [-1, TIMESTAMP_MAX_MS + 1, -(2**63), 2**63 - 1])
def test_an_impossible_time_names_the_series(at_ms: int) -> None:
    """Times outside 1970 to 9999 are refused with the series' name."""
    with pytest.raises(BadInput, match=r'm\{ident="a",job="kube-proxy"\}.*1970'):
        decoder().decode(series(labels("m"), (at_ms, 1.0)))


@pytest.mark.parametrize("at_ms", [0, 1, 2**35 - 1, 2**35, 2**42, TIMESTAMP_MAX_MS])
def test_every_possible_time_is_taken(at_ms: int) -> None:
    """Varints of other lengths than six bytes are only another path."""
    known = decoder()
    for _ in range(3):
        assert meaning(known.decode(series(labels("m"), (at_ms, 1.0))).frames) == {(labels("m"), at_ms): bits(1.0)}


def test_label_order_does_not_matter() -> None:
    """Unsorted labels are accepted and mean the same series."""
    known = decoder()
    backwards = tuple(reversed(labels("m")))
    body = series(labels("m"), (NOW_MS, 1.0)) + series(backwards, (NOW_MS, 2.0))
    for _ in range(3):
        result = known.decode(body)
        assert meaning(result.frames) == {(labels("m"), NOW_MS): bits(2.0)}
        assert result.duplicates == 1


def test_forgetting_changes_nothing() -> None:
    """With next to no memory allowed the frames are the same, only slower, and forgetting is counted."""
    tiny = Decoder(ReceiveOptions(label_cache_bytes=20_000, run_cache_bytes=20_000))
    for round_ in range(6):
        body = b"".join(scrape(node, NAMES, [float(round_)] * 40, NOW_MS + round_) for node in "abcdef")
        assert meaning(tiny.decode(body).frames) == fresh_meaning(body)
    assert tiny.forgotten() > 0
