"""A foreign sender's habits are learned: zeros omitted, requests cut anywhere; what is learned changes no frame."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import snappy, v1
from kpwatch.remote_write.protobuf import encode_varint
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, labels, meaning

NAMES = [f"metric_{number}" for number in range(60)]
LONG = "v" * 150
"""A value that makes a series longer than 127 bytes."""


def written(node: str, name: str, value: float, at_ms: int) -> bytes:
    """One series as Prometheus writes it: a zero is not written at all."""
    block = v1.encode_labels(labels(name, node, code=LONG if name.endswith("7") else "200"))
    if value:
        return v1.series_head(block) + v1.pack_value(value) + v1.timestamp_tail(at_ms)
    return b"\n" + encode_varint(len(block) + 9) + block + b"\x12\x07" + v1.timestamp_tail(at_ms)


def requests(stream: list[bytes], cuts: list[int]) -> list[bytes]:
    """Series packed into requests that are cut at these places of the stream."""
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    return [b"".join(stream[begin:end]) for begin, end in itertools.pairwise(bounds) if begin < end]


def decoder() -> Decoder:
    """One that has seen nothing."""
    return Decoder(ReceiveOptions())


def test_zeros_and_cuts_are_recognised() -> None:
    """Another cut each time, the same zeros: from the third scrape on everything is known."""
    known = decoder()
    chance = random.Random(5)
    for scrape in range(12):
        at_ms = NOW_MS + 15_000 * scrape
        stream = [
            written(node, name, chance.random() if number % 3 else 0.0, at_ms + ord(node))
            for node in "abcd"
            for number, name in enumerate(NAMES)
        ]
        cut = chance.randrange(len(stream))
        decoded = [known.decode(body) for body in requests(stream, [cut])]
        in_tracks = sum(one.in_runs for one in decoded)
        assert sum(one.samples for one in decoded) == 240
        assert scrape < 3 or in_tracks >= 240 - 60, f"scrape {scrape}: {in_tracks} of 240 known"


CHANGES = [
    # what, the names of the second scrape, which of them are zero
    ("a zero that counts now", NAMES, {3, 9}),
    ("a zero more", NAMES, {3, 4, 9, 30}),
    ("a series less", [*NAMES[:20], *NAMES[21:]], {3, 9, 30}),
    ("nine series less", [*NAMES[:20], *NAMES[29:]], {3, 9, 30}),
    ("a series more", [*NAMES[:20], "new", *NAMES[20:]], {3, 9, 30}),
    ("another order", NAMES[::-1], {3, 9, 30}),
    ("half of them", NAMES[:30], {3, 9}),
    ("more behind", [*NAMES, *(f"more_{number}" for number in range(20))], {3, 9, 30}),
    ("one series twice", [*NAMES[:20], NAMES[19], *NAMES[20:]], {3, 9, 30}),
]


@pytest.mark.parametrize(("what", "names", "zeros"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_sequence_that_changes_is_learned_anew(what: str, names: list[str], zeros: set[int]) -> None:
    """The frame is right at once, and soon everything is known again."""
    known = decoder()

    def body(listed: list[str], zero: set[int], at_ms: int) -> bytes:
        values = [0.0 if number in zero else number + 0.5 for number in range(len(listed))]
        return b"".join(written("a", name, value, at_ms) for name, value in zip(listed, values, strict=True))

    for scrape in range(2):
        known.decode(body(NAMES, {3, 9, 30}, NOW_MS + scrape))
    for scrape in range(2, 7):
        changed = body(names, zeros, NOW_MS + scrape)
        decoded = known.decode(changed)
        assert meaning(decoded.frames) == fresh_meaning(changed), what
    assert decoded.in_runs == decoded.samples or what == "one series twice"


NEW_NODES = ["b", "a-node-with-a-longer-name", "", "c" * 200]


@pytest.mark.parametrize("node", NEW_NODES)
def test_a_new_node_is_known_by_its_like(node: str) -> None:
    """Its first scrape follows another's, whatever it is called, and has the same layout."""
    known = decoder()

    def body(of: str) -> bytes:
        return b"".join(written(of, name, float(number % 3), NOW_MS) for number, name in enumerate(NAMES))

    first = known.decode(body("a"))
    decoded = known.decode(body(node))
    assert meaning(decoded.frames) == fresh_meaning(body(node))
    if 0 < len(node) < 100:
        assert decoded.in_runs == len(NAMES)
        assert decoded.frames[0].layout is first.frames[0].layout


def test_a_value_that_reads_like_a_node_s_name() -> None:
    """What a label says may be the bytes of another label: nobody is taken for somebody else."""
    known = decoder()
    field = v1.encode_labels((("ident", "a"),)).decode("latin-1")

    def body(node: str) -> bytes:
        rows = [labels(name, node, code=field if number == 20 else "200") for number, name in enumerate(NAMES)]
        return b"".join(
            v1.series_head(v1.encode_labels(row)) + v1.pack_value(1.0) + v1.timestamp_tail(NOW_MS) for row in rows
        )

    known.decode(body("a"))
    for node in ("b", "longer", "a"):
        assert meaning(known.decode(body(node)).frames) == fresh_meaning(body(node))


VALUES = st.sampled_from([0.0, 0.0, -0.0, 1.0, 2.5, float("nan"), float("inf")])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_was_learned_changes_no_frame(data: st.DataObject) -> None:
    """Whatever came before, a decoder gives the frames of one that has seen nothing (property)."""
    known = decoder()
    nodes = ["a", "b", "a-node-with-a-longer-name", "n" * 120]
    names = {node: NAMES[: data.draw(st.sampled_from([15, 16, 40]))] for node in nodes}
    for scrape in range(data.draw(st.integers(2, 6))):
        stream = []
        for number, node in enumerate(data.draw(st.permutations(nodes))):
            if number > 1 and data.draw(st.booleans()):
                continue
            at_ms = NOW_MS + 1000 * scrape + data.draw(st.sampled_from([0, 0, 1]))
            listed = list(names[node])
            for _ in range(data.draw(st.integers(0, 2))):
                place = data.draw(st.integers(0, len(listed)))
                change = data.draw(st.sampled_from(["drop", "insert", "swap", "twice"]))
                if change == "drop":
                    del listed[place : place + 1]
                elif change == "insert":
                    listed.insert(place, f"new_{data.draw(st.integers(0, 3))}")
                elif change == "twice":
                    listed[place:place] = listed[place : place + 1]
                else:
                    listed[place:] = listed[:place]
            stream += [written(node, name, data.draw(VALUES), at_ms) for name in listed]
        for body in requests(stream, data.draw(st.lists(st.integers(1, 90), max_size=3))):
            assert meaning(known.decode(body).frames) == fresh_meaning(body)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=20))
def test_a_body_that_is_damaged_on_a_track(place: int, junk: bytes) -> None:
    """It is refused as a fresh decoder refuses it, or read as one reads it."""
    known = decoder()
    body = b"".join(written("a", name, float(number % 4), NOW_MS) for number, name in enumerate(NAMES))
    for _ in range(2):
        known.decode(body)
    place %= len(body)
    damaged = body[:place] + junk + body[place + len(junk) :]
    try:
        expected = fresh_meaning(damaged)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other must say the same
        with pytest.raises(type(error)):
            known.decode(damaged)
    else:
        assert meaning(known.decode(damaged).frames) == expected


@pytest.mark.parametrize("nodes", [("node-1", "node-2", "node-3"), ("a", "node-10", "b", "node-11", "c" * 9)])
def test_nodes_of_a_kind_share_their_tracks(nodes: tuple[str, ...]) -> None:
    """Names of equal length: one copy of the bytes. Each node is known, and none is taken for another."""
    known = decoder()
    for scrape in range(3):
        for node in nodes:
            body = b"".join(written(node, name, 1.5, NOW_MS + scrape) for name in NAMES)
            decoded = known.decode_block(snappy.compress(body))
            assert meaning(decoded.frames) == fresh_meaning(body)
            assert scrape == 0 or decoded.in_runs == len(NAMES)
    tracks = [place.track for place in known._courses._begun._entries.values() if place.track.own]
    lengths = {len(node) for node in nodes}
    assert len({id(track.blank) for track in tracks}) <= len(lengths)
    assert len(tracks) >= len(nodes) - len(lengths)
    mixed = bytearray(b"".join(written(nodes[0], name, 1.5, NOW_MS) for name in NAMES))
    other = nodes[-1] if len(nodes[-1]) == len(nodes[0]) else nodes[2]
    place = mixed.rindex(nodes[0].encode())
    mixed[place : place + len(nodes[0])] = other.encode()
    decoded = known.decode_block(snappy.compress(bytes(mixed)))
    assert meaning(decoded.frames) == fresh_meaning(bytes(mixed))
    assert {dict(frame.target)["ident"] for frame in decoded.frames} == {nodes[0], other}


def test_a_node_that_differs_in_other_letters() -> None:
    """It begins something that is shared by all who come later; what was shared before stays as it is."""
    known = decoder()
    nodes = ["10.0.0.1-in-the-west", "10.0.0.2-in-the-west", "10.9.0.1-in-the-east", "10.7.0.9-in-the-west", "x" * 20]
    for scrape in range(3):
        for node in nodes:
            body = b"".join(written(node, name, 1.5, NOW_MS + scrape) for name in NAMES)
            decoded = known.decode_block(snappy.compress(body))
            assert meaning(decoded.frames) == fresh_meaning(body)
            assert scrape == 0 or decoded.in_runs == len(NAMES)
    tracks = [place.track for place in known._courses._begun._entries.values() if place.track.own]
    assert (len(tracks), len({id(track.blank) for track in tracks})) == (4, 2)
