"""A foreign sender's 2.0: symbols made anew for each request, zeros omitted, cut anywhere; its order is learned."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.receive.scan import scan, series_starts
from kpwatch.remote_write import v1, v2
from kpwatch.remote_write.protobuf import encode_varint
from tests.unit.receive.bodies import NOW_MS, bits, fresh_meaning, labels, meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.receive.bodies import Samples

NAMES = [f"metric_{number}" for number in range(60)]
Sample = tuple[str, str, float, int]
"""Node, name, value, time."""


def request(samples: Sequence[Sample], metadata: str = "last") -> bytes:
    """As Prometheus lays it out."""
    symbols, fields = v2.SymbolTable(), []
    for node, name, value, at_ms in samples:
        head = v2.encode_labels(labels(name, node), symbols)
        about = v2.encode_metadata("counter", f"What {name} counts.", "", symbols)
        sample = v1.encode_samples([(at_ms, value)]) if value else b"\x12\x07" + v1.timestamp_tail(at_ms)
        one = {"last": head + sample + about, "first": head + about + sample, "none": head + sample}[metadata]
        fields.append(b"\x2a" + encode_varint(len(one)) + one)
    return symbols.encode() + b"".join(fields)


def said(samples: Sequence[Sample]) -> Samples:
    """What they mean: of a series and time the last."""
    return {(labels(name, node), at_ms): bits(value) for node, name, value, at_ms in samples}


def scrape(number: int, names: Sequence[str], zeros: float, chance: random.Random) -> list[Sample]:
    at_ms = NOW_MS + 15_000 * number
    return [
        (node, name, 0.0 if chance.random() < zeros else chance.random(), at_ms + ord(node))
        for node in "abcd"
        for name in names
    ]


def test_zeros_and_cuts_are_recognised() -> None:
    """Another cut and other zeros each time: from the third scrape on everything is known."""
    known, chance = Decoder(ReceiveOptions()), random.Random(5)
    for number in range(12):
        samples = scrape(number, NAMES, 0.3, chance)
        cut = chance.randrange(len(samples))
        bodies = [request(part) for part in (samples[:cut], samples[cut:]) if part]
        decoded = [known.decode(body, "2.0") for body in bodies]
        for one, body in zip(decoded, bodies, strict=True):
            assert meaning(one.frames) == fresh_meaning(body, "2.0")
        assert sum(one.samples for one in decoded) == 240
        assert sum(one.metadata for one in decoded) == 240
        in_orders = sum(one.in_runs for one in decoded)
        assert number < 3 or in_orders >= 240 - 32, f"scrape {number}: {in_orders} of 240 known"


def test_series_that_come_and_go() -> None:
    """What is missing or new is seen at once; then the new sequence is known."""
    known, chance = Decoder(ReceiveOptions()), random.Random(6)
    sequences = (NAMES, NAMES, NAMES[:30] + NAMES[31:], [*NAMES[:9], "new", *NAMES[9:]], NAMES[::-1], NAMES)
    for number, names in enumerate(sequences):
        for again in range(4):
            body = request(scrape(4 * number + again, names, 0.3, chance))
            decoded = known.decode(body, "2.0")
            assert meaning(decoded.frames) == fresh_meaning(body, "2.0")
        assert decoded.in_runs >= 3 * len(names), f"{number}: {decoded.in_runs}"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_learned_changes_no_sample(data: st.DataObject) -> None:
    """Whatever names, nodes, times and cuts, in whatever order, also twice."""
    known = Decoder(ReceiveOptions())
    chance = data.draw(st.randoms(use_true_random=False))
    for number in range(data.draw(st.integers(2, 5))):
        samples = scrape(number, NAMES[: data.draw(st.integers(10, 40))], 0.3, chance)
        for _ in range(data.draw(st.integers(0, 3))):
            first, second = sorted((chance.randrange(len(samples) + 1), chance.randrange(len(samples) + 1)))
            kind = chance.choice(("drop", "twice", "turn"))
            samples[first:second] = {
                "drop": [],
                "twice": samples[first:second] * 2,
                "turn": samples[first:second][::-1],
            }[kind]
        cut = chance.randrange(len(samples) + 1)
        for part in (samples[:cut], samples[cut:]):
            if part:
                body = request(part, chance.choice(("last", "first", "none")))
                assert meaning(known.decode(body, "2.0").frames) == said(part)


def test_series_that_come_twice_are_not_learned() -> None:
    """Such a request means what it says each time, and so does the next."""
    known, chance = Decoder(ReceiveOptions()), random.Random(1)
    for number in range(4):
        samples = scrape(number, NAMES[:30], 0.3, chance)
        twice = samples[:20] + samples[5:]
        for part in (twice, twice, samples):
            assert meaning(known.decode(request(part, "none"), "2.0").frames) == said(part)


def test_scanning_sees_what_is_usual() -> None:
    """Places of values and times; a series with two samples is left to others."""
    symbols = v2.SymbolTable()
    head = v2.encode_labels(labels("up", "a"), symbols)
    ones = [
        head + v1.encode_samples([(NOW_MS, 1.5)]),
        head + b"\x12\x07" + v1.timestamp_tail(NOW_MS),
        head + v1.encode_samples([(NOW_MS, 1.5), (NOW_MS + 1, 2.5)]),
        head + v1.encode_samples([(7, 1.5)]),
    ]
    body = b"".join(b"\x2a" + encode_varint(len(one)) + one for one in ones)
    starts = series_starts(body, 0)
    found = scan(body, starts)
    assert (len(starts), starts[-1]) == (5, len(body))
    assert found.usual.tolist() == [True, True, False, False]
    assert np.frombuffer(body[found.values_at[0] :][:8], np.float64).tolist() == [1.5]
    assert found.values_at[1] == 0
    assert found.times[0] == found.times[1]
    assert series_starts(body[:-1], 0) == starts[:-1]
