"""Reading only what changed gives what reading everything gives."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from kpwatch.exposition.delta import DeltaParser, Layout, Values
from kpwatch.exposition.text import parse
from tests.unit.exposition.bodies import body_sequences

if TYPE_CHECKING:
    from pathlib import Path

BASE = b'# TYPE m gauge\nm 1\nm{a="1"} 2\nn 3\n'

SECOND_BODIES = [
    # what happens to BASE, the path taken, what Values says
    ("nothing", BASE, []),
    ("a value", BASE.replace(b"m 1", b"m 5"), [(0, 5.0)]),
    ("two values", BASE.replace(b"m 1", b"m 5").replace(b"n 3", b"n NaN"), [(0, 5.0), (2, float("nan"))]),
    ("a tab for a blank", BASE.replace(b"n 3", b"n\t3"), [(2, 3.0)]),
    ("a carriage return", BASE.replace(b"n 3", b"n 4\r"), [(2, 4.0)]),
    ("a line more", BASE + b"o 1\n", None),
    ("a line less", BASE.replace(b"n 3\n", b""), None),
    ("another head", BASE.replace(b"n 3", b"o 3"), None),
    ("a head that goes on", BASE.replace(b"n 3", b"nn 3"), None),
    ("labels after a head without any", BASE.replace(b"n 3", b'n {a="1"} 3'), None),
    ("lines that changed places", b'n 3\nm{a="1"} 2\nm 1\n# TYPE m gauge\n', None),
    ("another comment", BASE.replace(b"gauge", b"counter"), None),
    ("a timestamp", BASE.replace(b"n 3", b"n 3 1700000000000"), None),
    ("a broken value", BASE.replace(b"n 3", b"n x"), None),
    ("no value", BASE.replace(b"n 3", b"n"), None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "changed"), SECOND_BODIES)
def test_second_body(what: str, body: bytes, changed: list[tuple[int, float]] | None) -> None:
    """Other values are all that is read where the lines are the same; anything else is read as a whole."""
    parser = DeltaParser()
    assert isinstance(parser.feed(BASE), Layout), what
    change = parser.feed(body)
    if changed is None:
        assert isinstance(change, Layout)
        assert change.parsed.types == parse(body).types
    else:
        assert isinstance(change, Values)
        assert str(change.changed) == str(changed)


def test_a_broken_or_doubled_line_that_stays_is_reported_for_every_body() -> None:
    """What a body leaves out is known for each body, not only for the first."""
    parser = DeltaParser()
    for value in (b"1", b"2"):
        parser.feed(b"m " + value + b"\nm 3\n!\n")
        assert parser.duplicates == 1
        assert [error.line_number for error in parser.errors] == [3]
        assert parser.samples == 1


def test_after_forget_everything_is_read_anew() -> None:
    """A failed scrape ends every series, so the next body is a layout even where it is the same."""
    parser = DeltaParser()
    parser.feed(BASE)
    parser.forget()
    assert isinstance(parser.feed(BASE), Layout)


def _replay(parser: DeltaParser, state: list[tuple], body: bytes) -> list[tuple]:
    """What a user of the parser knows after `body`: (head, name, labels, value's bytes, timestamp_ms) by slot."""
    change = parser.feed(body)
    if isinstance(change, Layout):
        return [
            (sample.head, sample.name, sample.labels, struct.pack("<d", sample.value), sample.timestamp_ms)
            for sample in change.parsed.samples
        ]
    for slot, value in change.changed:
        head, name, labels, _, timestamp_ms = state[slot]
        state[slot] = (head, name, labels, struct.pack("<d", value), timestamp_ms)
    return state


def _check_sequence(bodies: list[bytes | None]) -> int:
    """Hold the parser against `parse` of each body; gives how many bodies took the short path."""
    parser = DeltaParser()
    state: list[tuple] = []
    short = 0
    for body in bodies:
        if body is None:
            parser.forget()
            continue
        before = state
        state = _replay(parser, state, body)
        short += state is before
        whole = _replay(DeltaParser(), [], body)
        assert state == whole
        parsed = parse(body)
        assert parser.errors == parsed.errors
        assert parser.samples == len(whole) == len(parsed.samples) - parser.duplicates
        assert [row[0] for row in whole] == list(dict.fromkeys(sample.head for sample in parsed.samples))
    return short


@given(body_sequences())
def test_any_sequence_of_bodies(bodies: list[bytes | None]) -> None:
    """Both paths give the same samples, errors and duplicates, whatever bodies follow one another."""
    _check_sequence(bodies)


def test_a_real_recording(shared_dir: Path) -> None:
    """Consecutive scrapes of a real kube-proxy: nearly all of them take the short path, and all come out right."""
    bodies: list[bytes | None] = []
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(_recording(shared_dir)))) as archive:
        members = sorted(
            (member for member in archive.getmembers() if member.name.endswith(".metrics")),
            key=lambda member: member.name,
        )
        for member in members[100:140]:
            content = archive.extractfile(member)
            assert content is not None
            bodies.append(content.read())
    assert _check_sequence(bodies) >= 30


def _recording(shared_dir: Path) -> bytes:
    return (shared_dir / "captures" / "recording-1.36.3-iptables.tar.xz").read_bytes()


def test_what_is_left_out_is_not_read() -> None:
    """Its values are not even looked at, until anything else changes; all other values are."""
    parser = DeltaParser()
    parser.feed(b"a 1\nb 1\n")
    parser.leave_out([0])
    assert parser.feed(b"a x\nb 2\n") == Values([(1, 2.0)])
    assert parser.samples == 2
    assert isinstance(parser.feed(b"c 1\nb 2\n"), Layout)
    assert parser.feed(b"c 2\nb 2\n") == Values([(0, 2.0)])
