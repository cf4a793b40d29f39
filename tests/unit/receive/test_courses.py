"""What a sender changes a little is known all the same, and leaves no trace in memory."""

from __future__ import annotations

import random

import pytest

from kpwatch.receive.walk_v1 import _CHANGES_MAX
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, meaning
from tests.unit.receive.test_tracks import NAMES, decoder, requests, written

ZEROS = {3, 9, 30}


def stream(zeros: set[int], at_ms: int, node: str = "a", names: list[str] = NAMES) -> list[bytes]:
    """The series of a scrape, of which these are zero."""
    values = [0.0 if number in zeros else number + 0.5 for number in range(len(names))]
    return [written(node, name, value, at_ms) for name, value in zip(names, values, strict=True)]


FORMS = [
    ("one counts now", {3, 9}),
    ("one is zero now", {3, 9, 30, 17}),
    ("the first", {0, 3, 9, 30}),
    ("the last", {3, 9, 30, 59}),
    ("neighbours", {3, 9, 30, 16, 17, 18}),
    ("none is zero", set()),
    ("all are zero", set(range(len(NAMES)))),
]


@pytest.mark.parametrize(("what", "zeros"), FORMS, ids=[row[0] for row in FORMS])
@pytest.mark.parametrize("cut", [0, 17, 18, 30])
def test_another_form_is_known_at_once(what: str, zeros: set[int], cut: int) -> None:
    """A zero that counts, or the other way round: nothing is read again, wherever the request is cut."""
    known = decoder()
    for scrape in range(2):
        known.decode(b"".join(stream(ZEROS, NOW_MS + scrape)))
    for scrape, zero in enumerate((zeros, ZEROS, zeros, zeros), start=2):
        for number, body in enumerate(requests(stream(zero, NOW_MS + scrape), [cut])):
            decoded = known.decode(body)
            assert meaning(decoded.frames) == fresh_meaning(body), what
            assert decoded.in_runs == decoded.samples or (scrape == 2 and number), what


def test_a_series_more_is_known_wherever_the_next_request_is_cut() -> None:
    """What was put in at one place of a course is there for all who go on at another."""
    known = decoder()
    more = [*NAMES[:20], "new", *NAMES[20:]]
    for scrape, names in enumerate([NAMES, NAMES, more, more, more, more]):
        cut = (0, 10, 15, 40, 21, 7)[scrape]
        for body in requests(stream(ZEROS, NOW_MS + scrape, names=names), [cut]):
            decoded = known.decode(body)
            assert meaning(decoded.frames) == fresh_meaning(body)
            assert scrape < 4 or decoded.in_runs == decoded.samples


def test_a_restarted_process_is_read() -> None:
    """Of very many changes most are read and learned together; soon everything is known again."""
    known = decoder()
    names = [f"metric_{number}" for number in range(3 * _CHANGES_MAX)]
    for scrape, zeros in enumerate([set(), set(), *[set(range(len(names)))] * 3]):
        body = b"".join(stream(zeros, NOW_MS + scrape, names=names))
        decoded = known.decode(body)
        assert meaning(decoded.frames) == fresh_meaning(body)
    assert decoded.in_runs == decoded.samples


def test_cuts_and_changes_leave_nothing_behind() -> None:
    """However many there were, each node has one course; two where its first scrape was cut."""
    known, chance = decoder(), random.Random(7)
    for scrape in range(60):
        series = [
            one
            for node in "abcd"
            for one in stream(set(chance.sample(range(60), 5)), NOW_MS + 1000 * scrape + ord(node), node)
        ]
        for body in requests(series, chance.sample(range(240), 3)):
            known.decode(body)
    assert len(known._courses._begun) <= 8
