"""A new node's 2.0 request is read by what its like has sent, and means what a fresh decoder makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write.codecs import CodecV2
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels

NAMES = [f"metric_{number}" for number in range(40)]


def body(series: Sequence[dict[str, str]], values: Sequence[float] | None = None) -> bytes:
    """A request of our encoder's."""
    codec = CodecV2()
    blocks = [codec.label_block(sorted_labels(one), "counter", f"About {one['__name__']}.") for one in series]
    chosen = values or [float(number) for number in range(len(series))]
    return codec.request(
        b"".join(codec.encode_series(block, [(NOW_MS, value)]) for block, value in zip(blocks, chosen, strict=True))
    )


def sorted_labels(pairs: dict[str, str]) -> Labels:
    """As labels are sent."""
    return tuple(sorted(pairs.items()))


def node(ident: str, **more: str) -> list[dict[str, str]]:
    """A scrape of one node."""
    return [{"__name__": name, "code": "200", "ident": ident, "job": "kube-proxy", **more} for name in NAMES]


def known_and_new(first: Sequence[dict[str, str]], second: Sequence[dict[str, str]]) -> int:
    """How much of the second is known after the first; both mean what they say."""
    known = Decoder(ReceiveOptions())
    known.decode(body(first), "2.0")
    content = body(second)
    decoded = known.decode(content, "2.0")
    assert meaning(decoded.frames) == fresh_meaning(content, "2.0")
    again = known.decode(content, "2.0")
    assert again.in_runs == again.samples
    assert meaning(again.frames) == fresh_meaning(content, "2.0")
    return decoded.in_runs


NEW_NODES = [
    # what, its scrape, whether it is known at once
    ("another name", node("b"), True),
    ("a long name", node("b" * 300), True),
    ("another instance too", node("b", job="other"), True),
    ("a name that is a column's value", node("200"), False),
    ("a name that is a metric's", node("metric_3"), False),
    ("another label", node("b", code="500"), False),
    ("a series more", [*node("b"), {"__name__": "more", "ident": "b", "job": "kube-proxy"}], False),
]


@pytest.mark.parametrize(("what", "scrape", "at_once"), NEW_NODES, ids=[row[0] for row in NEW_NODES])
def test_a_new_node(what: str, scrape: list[dict[str, str]], at_once: bool) -> None:
    """Known where it differs in who it is and in nothing else."""
    assert known_and_new(node("a"), scrape) == (len(NAMES) if at_once else 0), what


def test_a_symbol_with_two_uses_is_not_the_node_s_own() -> None:
    """The name of the first node is a column's value too: whoever differs there differs in its columns."""
    assert known_and_new(node("a", code="a"), node("b", code="b")) == 0


def test_series_of_several_targets_are_no_kind() -> None:
    """Nothing is known of a new node from a request that two nodes share."""
    assert known_and_new([*node("a")[:20], *node("z")[20:]], node("b")) == 0


TEXTS = st.sampled_from(["a", "b", "200", "job", "metric_1", "longer-than-the-others"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.integers(16, 20)), min_size=2, max_size=6))
def test_whoever_was_there_before(nodes: list[tuple[str, str, str, int]]) -> None:
    """A decoder that knows some gives the frames of one that knows nobody (property)."""
    known = Decoder(ReceiveOptions())
    for ident, code, job, count in nodes:
        content = body(node(ident, code=code, job=job)[:count])
        assert meaning(known.decode(content, "2.0").frames) == fresh_meaning(content, "2.0")
