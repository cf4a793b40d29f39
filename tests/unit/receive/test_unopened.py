"""Blocks that are known as they came: what they say is what is in them, and no other is taken for one of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import KpwatchError, TooLarge
from kpwatch.exposition.delta import DeltaParser
from kpwatch.receive import unopened
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.relabel.identity import Identity
from kpwatch.remote_write.snappy import compress, decompress
from kpwatch.remote_write.standing import LEARNING_SCRAPES
from kpwatch.scrape.encoder import SeriesEncoder
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, meaning
from tests.unit.receive.test_whole import zeros_omitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.encoded import Protocol

LIMIT_BYTES = ReceiveOptions().decoded_bytes
PROTOCOLS: list[Protocol] = ["1.0", "2.0"]
BEGIN = [0.0, -0.0, 1.5, *(float(number) for number in range(37))]
STANDS_AFTER = 2 * LEARNING_SCRAPES + unopened.CAME_TIMES


class Node:
    """A node's agent."""

    def __init__(self, name: str, protocol: Protocol) -> None:
        identity = Identity((("instance", "http://127.0.0.1:10249/metrics"),), (("job", "kube-proxy"),), (), name)
        self._encoder = SeriesEncoder(identity, "rename", protocol=protocol)
        self._parser = DeltaParser()
        self._scrapes = 0

    def block(self, values: Sequence[float]) -> bytes:
        """The next request."""
        self._scrapes += 1
        lines = [f"kubeproxy_metric_{number} {value!r}\n" for number, value in enumerate(values)]
        self._encoder.feed(self._parser.feed("".join(lines).encode()))
        return self._encoder.encode(NOW_MS + 15_000 * self._scrapes, []).block


def moved(scrape: int) -> list[float]:
    """Every third value moves."""
    return [value + scrape if number % 3 == 0 else value for number, value in enumerate(BEGIN)]


def taught(protocol: Protocol) -> tuple[Decoder, list[Node]]:
    """A decoder that knows the blocks of two nodes."""
    decoder, nodes = Decoder(ReceiveOptions()), [Node(name, protocol) for name in ("node-a", "node-b")]
    for scrape in range(STANDS_AFTER):
        for node in nodes:
            decoder.decode_block(node.block(moved(scrape)), protocol)
    return decoder, nodes


@cache
def with_a_block(protocol: Protocol) -> tuple[Decoder, bytes]:
    """One that is used for many examples, and a node's next block."""
    decoder, (node, _) = taught(protocol)
    return decoder, node.block(moved(STANDS_AFTER))


def is_known(decoder: Decoder, block: bytes, protocol: Protocol) -> bool:
    return decoder._unopened.read(block, protocol) is not None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_known_is_not_opened(protocol: Protocol) -> None:
    """Each node's next scrape: every bit of every value, the new time, its own names, all that is counted."""
    decoder, nodes = taught(protocol)
    for scrape in (STANDS_AFTER, STANDS_AFTER + 1):
        for node in nodes:
            block = node.block(moved(scrape))
            content = decompress(block, LIMIT_BYTES)
            known = decoder._unopened.read(block, protocol)
            assert known is not None
            assert meaning(known.frames) == fresh_meaning(content, protocol)
            opened = decoder.decode(content, protocol)
            assert known._replace(frames=[]) == opened._replace(frames=[])
            assert [(one.target, one.layout.columns) for one in known.frames] == [
                (one.target, one.layout.columns) for one in opened.frames
            ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_changed_block_means_what_it_says(protocol: Protocol, data: st.DataObject) -> None:
    """Bytes others, cut or longer anywhere: the frames, or the refusal, of who opens every block."""
    decoder, good = with_a_block(protocol)
    block = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(block) - 1))
        match data.draw(st.sampled_from(["byte", "byte", "byte", "cut", "insert"])):
            case "byte":
                block[place] = data.draw(st.integers(0, 255))
            case "cut":
                del block[max(1, place) :]
            case "insert":
                block[place:place] = data.draw(st.binary(min_size=1, max_size=9))
    try:
        expected = fresh_meaning(decompress(bytes(block), LIMIT_BYTES), protocol)
    except KpwatchError as error:
        with pytest.raises(type(error)):
            decoder.decode_block(bytes(block), protocol)
    else:
        assert meaning(decoder.decode_block(bytes(block), protocol).frames) == expected
    if not is_known(decoder, good, protocol):  # one of the changed ones has taken its place
        with_a_block.cache_clear()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=15, deadline=None)
@given(scrapes=st.lists(st.dictionaries(st.integers(0, 39), st.floats(width=64)), max_size=40))
def test_whatever_a_node_sends(protocol: Protocol, scrapes: list[dict[int, float]]) -> None:
    """Blocks that stand, are learnt anew and stand again."""
    decoder, (node, _) = taught(protocol)
    values = moved(STANDS_AFTER)
    for changed in scrapes:
        for number, value in changed.items():
            values[number] = value
        block = node.block(values)
        expected = fresh_meaning(decompress(block, LIMIT_BYTES), protocol)
        assert meaning(decoder.decode_block(block, protocol).frames) == expected


def test_a_block_of_the_other_protocol_is_refused_as_ever() -> None:
    """A 1.0 request that calls itself 2.0 is not known."""
    decoder, (node, _) = taught("1.0")
    block = node.block(moved(STANDS_AFTER))
    assert is_known(decoder, block, "1.0")
    assert not is_known(decoder, block, "2.0")


def test_senders_that_omit_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's block has a form as well, where it comes with the same length."""
    monkeypatch.setattr(unopened, "SHORTEST_BYTES", 1)
    decoder = Decoder(ReceiveOptions())
    bodies = [zeros_omitted("a", BEGIN, NOW_MS + step) for step in range(2 * unopened.CAME_TIMES)]
    for body in bodies:
        assert meaning(decoder.decode_block(compress(body)).frames) == fresh_meaning(body)
    assert is_known(decoder, compress(bodies[-1]), "1.0")


def test_a_form_that_was_of_no_use_is_not_made_soon_again() -> None:
    """To find one out takes as long as it saves in some requests."""
    decoder, node = Decoder(ReceiveOptions()), Node("node-a", "1.0")
    made = 0
    for scrape in range(60):
        values = [*BEGIN[:-1], float(scrape // (STANDS_AFTER + 2) * 1000)]
        before = [*decoder._unopened._forms._young.values()]
        decoder.decode_block(node.block(values))
        made += [*decoder._unopened._forms._young.values()] != before
    assert made <= 2


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More samples than a request may have are refused, however often they come; so many lengths of keys are known."""
    node = Node("node-a", "1.0")
    decoder = Decoder(ReceiveOptions(samples_per_request=39))
    for scrape in range(STANDS_AFTER):
        with pytest.raises(TooLarge):
            decoder.decode_block(node.block(moved(scrape)))
    monkeypatch.setattr(unopened, "_KEY_LENGTHS_MAX", 0)
    decoder, (node, _) = taught("1.0")
    assert not is_known(decoder, node.block(moved(STANDS_AFTER)), "1.0")
