"""Known tracks behind each other are taken together, up to the first that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.receive.buffer import Buffer
from kpwatch.receive.chains import find_links, take
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, meaning
from tests.unit.receive.test_tracks import NAMES, decoder, written

if TYPE_CHECKING:
    from kpwatch.receive.decode import Decoder

NODES = "abcd"


def body(at_ms: int, nodes: str = NODES, step: float = 0.5) -> bytes:
    """A scrape of each node, each at its own time; some are zero."""
    return b"".join(
        written(node, name, number * step if number % 7 else 0.0, at_ms + ord(node))
        for node in nodes
        for number, name in enumerate(NAMES)
    )


@pytest.fixture
def taught() -> Decoder:
    """It has seen two scrapes of each node."""
    known = decoder()
    for scrape in range(2):
        known.decode(body(NOW_MS + 15_000 * scrape))
    return known


def test_all_are_taken_at_once(taught: Decoder) -> None:
    """Each with its target, time and values."""
    content = body(NOW_MS + 30_000, step=0.25)
    links = find_links(taught._courses, content, 0)
    assert [dict(link.track.target)["ident"] for link in links] == list(NODES)
    assert links[-1].end == len(content)
    assert [link.timestamp_ms for link in links] == [NOW_MS + 30_000 + ord(node) for node in NODES]
    buffer = Buffer.holding(content)
    for values in take(links, buffer.content, buffer.words):
        assert values.tolist() == [number * 0.25 if number % 7 else 0.0 for number in range(len(NAMES))]


@pytest.mark.parametrize("number", range(len(NODES)))
def test_one_that_differs_ends_the_chain(taught: Decoder, number: int) -> None:
    """A letter of a label, in the middle of a track: those before it are taken, and every frame is right."""
    content = bytearray(body(NOW_MS + 30_000))
    at = content.index(b"metric_31", number * len(content) // len(NODES))
    content[at : at + 6] = b"METRIC"
    buffer, links = Buffer.holding(bytes(content)), find_links(taught._courses, bytes(content), 0)
    assert len(take(links, buffer.content, buffer.words)) == number
    assert meaning(taught.decode(bytes(content)).frames) == fresh_meaning(bytes(content))


def test_what_may_belong_to_a_track_is_not_cut_from_it(taught: Decoder) -> None:
    """A series more behind a track, and a series of another time: the general path sees to them."""
    at_ms = NOW_MS + 30_000
    for more in (written("a", "new", 1.0, at_ms + ord("a")), written("a", NAMES[0], 1.0, at_ms + 1)):
        content = body(at_ms, "a") + more + body(at_ms, "b")
        links = find_links(taught._courses, content, 0)
        assert len(links) <= 1
        assert meaning(taught.decode(content).frames) == fresh_meaning(content)


def test_the_end_of_a_request_may_be_anywhere(taught: Decoder) -> None:
    """A track that is cut between two series is a link as well; the next request goes on there."""
    content = body(NOW_MS + 30_000)
    cut = content.index(written("c", NAMES[33], 33 * 0.5, NOW_MS + 30_000 + ord("c")))
    first, second = taught.decode(content[:cut]), taught.decode(content[cut:])
    assert (first.in_runs, second.in_runs) == (153, 87)
    assert len(find_links(taught._courses, content[: cut - 1], 0)) == 2
