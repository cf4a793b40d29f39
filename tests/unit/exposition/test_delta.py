"""Reading only what changed gives what reading everything gives."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from kpwatch.exposition.delta import DeltaParser, Layout, Skeletons, Values
from kpwatch.exposition.formats import grammar_of
from kpwatch.exposition.text import parse
from tests.unit.exposition.bodies import body_sequences, openmetrics_sequences

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.exposition.formats import Format

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
        assert str(list(zip(*change, strict=True))) == str(changed)


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


def _replay(parser: DeltaParser, state: list[tuple], body: bytes, body_format: Format) -> list[tuple]:
    """What a user of the parser knows after `body`: (head, value's bytes, name, labels, times) by slot."""
    change = parser.feed(body, body_format)
    if isinstance(change, Layout):
        return [
            (
                sample.head,
                struct.pack("<d", sample.value),
                sample.name,
                sample.labels,
                sample.timestamp_ms,
                sample.start_ms,
            )
            for sample in change.parsed.samples
        ]
    for slot, value in zip(*change, strict=True):
        head, _, *rest = state[slot]
        state[slot] = (head, struct.pack("<d", value), *rest)
    return state


def check_sequence(bodies: list[bytes | None], body_format: Format = "text", *, honor_timestamps: bool = True) -> int:
    """Hold the parser against `parse` of each body; gives how many bodies took the short path."""
    parser = DeltaParser(honor_timestamps=honor_timestamps)
    state: list[tuple] = []
    short = 0
    for body in bodies:
        if body is None:
            parser.forget()
            continue
        before = state
        state = _replay(parser, state, body, body_format)
        short += state is before
        whole = _replay(DeltaParser(honor_timestamps=honor_timestamps), [], body, body_format)
        assert state == whole
        parsed = grammar_of(body_format).parse(body)
        assert parser.errors == parsed.errors
        assert parser.exemplars == parsed.exemplars
        assert parser.samples == len(whole) == len(parsed.samples) - parser.duplicates
        assert [row[0] for row in whole] == list(dict.fromkeys(sample.head for sample in parsed.samples))
    return short


@given(body_sequences())
def test_any_sequence_of_bodies(bodies: list[bytes | None]) -> None:
    """Both paths give the same samples, errors and duplicates, whatever bodies follow one another."""
    check_sequence(bodies)


@given(body_sequences(), body_sequences())
def test_targets_that_share_what_they_have_in_common(one: list[bytes | None], other: list[bytes | None]) -> None:
    """What one target shows to change is cut out of the other's bodies too; each still says what it would alone."""
    skeletons = Skeletons()
    together = [(DeltaParser(skeletons), []), (DeltaParser(skeletons), [])]
    alone = [(DeltaParser(), []), (DeltaParser(), [])]
    for bodies in zip_longest(one, other):
        for index, body in enumerate(bodies):
            if body is not None:
                for parsers in (together, alone):
                    parser, state = parsers[index]
                    parsers[index] = parser, _replay(parser, state, body, "text")
                assert together[index][1] == alone[index][1]


PLANNED = b"# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE c gauge\nc 1\n"
THIRD_BODIES = [
    # what differs, the body, what changed; None where everything is read anew
    ("nothing", PLANNED, []),
    ("a piece that changed before, longer", PLANNED.replace(b"b 1", b"b 10"), [(1, 10.0)]),
    ("the last piece, longer", PLANNED.replace(b"c 1", b"c 10"), [(2, 10.0)]),
    ("a piece that never changed", PLANNED.replace(b"a 1", b"a 4"), [(0, 4.0)]),
    ("the beginning", b"\n" + PLANNED, None),
    ("a comment in a piece that changes", PLANNED.replace(b"b 1", b"# TYPE b gauge\nb 1"), None),
    ("a comment instead of a line, as long as it", PLANNED.replace(b"\nb 1", b"\n# 1"), None),
    ("a line moved over a comment", b"# TYPE a gauge\na 1\n# TYPE b gauge\n# TYPE c gauge\nb 1\nc 1\n", None),
    ("an end that comes early", PLANNED[:-4], None),
    ("more behind the end", PLANNED + b"d 1\n", None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "changed"), THIRD_BODIES)
def test_a_body_behind_a_plan(what: str, body: bytes, changed: list[tuple[int, float]] | None) -> None:
    """What changed before is cut out of its place, what did not is found to be where it was, or not."""
    parser = DeltaParser()
    for before in (PLANNED, PLANNED.replace(b"b 1", b"b 2").replace(b"c 1", b"c 2"), PLANNED):
        parser.feed(before)
    change = parser.feed(body)
    assert (list(zip(*change, strict=True)) if isinstance(change, Values) else None) == changed, what
    if isinstance(change, Layout):
        assert [sample.head for sample in change.parsed.samples] == [sample.head for sample in parse(body).samples]


@given(openmetrics_sequences())
def test_any_sequence_of_openmetrics_bodies(bodies: list[bytes | None]) -> None:
    """The same in OpenMetrics, exemplars and the times when counters began included."""
    check_sequence(bodies, "openmetrics")


@given(body_sequences(), openmetrics_sequences())
def test_any_sequence_without_its_own_timestamps(text: list[bytes | None], openmetrics: list[bytes | None]) -> None:
    """Where a body's timestamps do not count, a line that has one is read like any other."""
    check_sequence(text, honor_timestamps=False)
    check_sequence(openmetrics, "openmetrics", honor_timestamps=False)


OPENMETRICS_BASE = b"""\
# TYPE c counter
c_total{a="1"} 1 # {t="x"} 1
c_total{a="2"} 2
c_created{a="1"} 5
# TYPE g gauge
g 3
# EOF
"""

SECOND_OPENMETRICS_BODIES = [
    # what happens to OPENMETRICS_BASE, its exemplars, what Values says
    ("nothing", OPENMETRICS_BASE, 1, []),
    ("a value", OPENMETRICS_BASE.replace(b"g 3", b"g 4"), 1, [(3, 4.0)]),
    ("another exemplar", OPENMETRICS_BASE.replace(b'"x"', b'"y"'), 1, [(0, 1.0)]),
    ("no exemplar", OPENMETRICS_BASE.replace(b' # {t="x"} 1', b""), 0, [(0, 1.0)]),
    ("one more exemplar", OPENMETRICS_BASE.replace(b"} 2\n", b"} 2 # {} 1\n"), 2, [(1, 2.0)]),
    ("a broken exemplar", OPENMETRICS_BASE.replace(b"} 2\n", b"} 2 # {} x\n"), 1, None),
    ("a counter that began anew", OPENMETRICS_BASE.replace(b"} 5\n", b"} 6\n"), 1, None),
    ("two blanks", OPENMETRICS_BASE.replace(b"g 3", b"g  3"), 1, None),
    ("no end", OPENMETRICS_BASE.replace(b"# EOF", b"# EO"), 1, None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "exemplars", "changed"), SECOND_OPENMETRICS_BODIES)
def test_second_openmetrics_body(
    what: str, body: bytes, exemplars: int, changed: list[tuple[int, float]] | None
) -> None:
    """Other values and other exemplars are read alone; when a counter began concerns other lines too."""
    parser = DeltaParser()
    assert isinstance(parser.feed(OPENMETRICS_BASE, "openmetrics"), Layout), what
    change = parser.feed(body, "openmetrics")
    assert (list(zip(*change, strict=True)) if isinstance(change, Values) else None) == changed
    assert parser.exemplars == exemplars


def test_another_format_is_read_anew() -> None:
    """Even where the bytes are the same; text has no end that could be missing."""
    parser = DeltaParser()
    parser.feed(b"m 1\n")
    assert not parser.refuses
    assert isinstance(parser.feed(b"m 1\n", "openmetrics"), Layout)
    assert parser.refuses
    assert isinstance(parser.feed(b"m 1\n"), Layout)
    assert not parser.refuses


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
    assert check_sequence(bodies) >= 30


def _recording(shared_dir: Path) -> bytes:
    return (shared_dir / "captures" / "recording-1.36.3-iptables.tar.xz").read_bytes()


def test_what_is_left_out_is_not_read() -> None:
    """Its values are not even looked at, until anything else changes; all other values are."""
    parser = DeltaParser()
    parser.feed(b"a 1\nb 1\n")
    parser.leave_out([0])
    assert parser.feed(b"a x\nb 2\n") == Values([1], [2.0])
    assert parser.samples == 2
    assert isinstance(parser.feed(b"c 1\nb 2\n"), Layout)
    assert parser.feed(b"c 2\nb 2\n") == Values([0], [2.0])
