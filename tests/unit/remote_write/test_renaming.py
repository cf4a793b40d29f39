"""The ident rule on bytes: what of a request changes, and that nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.remote_write import v1, v2
from kpwatch.remote_write.renaming import NODE_LABELS, NODE_LABELS_WITH_HOST, Renamer, renamed

SAMPLES = [(1000, 1.5), (2000, float("inf"))]

Labels = dict[str, str]


def rename_nodes(body: bytes, protocol: str) -> bytes:
    """By one that has seen nothing yet; what it makes the second time is the same."""
    renamer = Renamer()
    after = renamer.rename(body, protocol)
    assert renamer.rename(body, protocol) == after
    return after


def body_v1(*series: Labels, more: bytes = b"") -> bytes:
    """Each series with two samples and, in `more`, fields nobody here knows."""
    parts = []
    for labels in series:
        content = v1.encode_labels(labels.items()) + v1.encode_samples(SAMPLES) + more
        parts.append(b"\x0a" + bytes([len(content)]) + content)
    return b"".join(parts)


def body_v2(*series: Labels, symbols_first: bool = False) -> bytes:
    table = v2.SymbolTable()
    parts = []
    for labels in series:
        block = v2.encode_labels(tuple(labels.items()), table)
        block += v2.encode_metadata("gauge", "what it is", "seconds", table)
        parts.append(v2.encode_series(block, SAMPLES, 500))
    return table.encode() + b"".join(parts) if symbols_first else b"".join(parts) + table.encode()


@pytest.mark.parametrize(
    ("labels", "after"),
    [
        ({"__name__": "m", "agent_hostname": "a"}, {"__name__": "m", "ident": "a"}),
        ({"agent_hostname": "a", "job": "j", "zone": "z"}, {"ident": "a", "job": "j", "zone": "z"}),
        ({"agent_hostname": "a", "cluster": "c"}, {"cluster": "c", "ident": "a"}),
        ({"agent_hostname": "a", "ident": ""}, {"ident": "a"}),
        ({"agent_hostname": "a", "ident": "b"}, None),
        ({"agent_hostname": "", "job": "j"}, None),
        ({"host": "h"}, None),
        ({"__name__": "agent_hostname"}, None),
        ({}, None),
    ],
)
def test_the_rule(labels: Labels, after: Labels | None) -> None:
    """As Nightingale has it; labels stay sorted."""
    expected = None if after is None else tuple(sorted(after.items()))
    assert renamed(tuple(labels.items()), NODE_LABELS) == expected


def test_host_where_it_was_asked_for() -> None:
    """agent_hostname comes first."""
    pairs = (("agent_hostname", "a"), ("host", "h"))
    assert renamed(pairs, NODE_LABELS_WITH_HOST) == (("host", "h"), ("ident", "a"))
    assert renamed(pairs[1:], NODE_LABELS_WITH_HOST) == (("ident", "h"),)


def test_labels_that_come_twice_are_left_to_the_engine() -> None:
    """Which of them was meant nobody knows."""
    assert renamed((("agent_hostname", "a"), ("agent_hostname", "b")), NODE_LABELS) is None


NODE = {"__name__": "up", "agent_hostname": "node-a", "job": "kube-proxy"}
PLAIN = {"__name__": "up", "ident": "node-b"}
RENAMED = {"__name__": "up", "ident": "node-a", "job": "kube-proxy"}


def test_version_1() -> None:
    """Other series, and a series' other fields, keep their bytes; so does the order."""
    exemplar = b"\x1a\x03abc"
    body = body_v1(PLAIN, more=exemplar) + body_v1(NODE, more=exemplar) + b"\x1a\x02md"
    after = body_v1(PLAIN, more=exemplar) + body_v1(RENAMED, more=exemplar) + b"\x1a\x02md"
    assert rename_nodes(body, "1.0") == after


@pytest.mark.parametrize("symbols_first", [True, False])
def test_version_2(symbols_first: bool) -> None:
    """Names are symbols: what was read before reads the same, samples, start and metadata included."""
    body = body_v2(PLAIN, NODE, symbols_first=symbols_first)
    found = list(v2.decode_request(rename_nodes(body, "2.0")))
    assert found == list(v2.decode_request(body_v2(PLAIN, RENAMED)))
    alone = body_v2(NODE, symbols_first=symbols_first)
    assert list(v2.decode_request(rename_nodes(alone, "2.0"))) == list(v2.decode_request(body_v2(RENAMED)))


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_what_needs_no_renaming_is_the_same_object(protocol: str) -> None:
    """Byte for byte, and at no cost."""
    make = body_v1 if protocol == "1.0" else body_v2
    body = make(PLAIN)
    assert rename_nodes(body, protocol) is body
    for labels in ({"__name__": "agent_hostname"}, {"agent_hostname": "a", "ident": "b"}):
        unchanged = make(labels)
        assert rename_nodes(unchanged, protocol) is unchanged


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_damaged_bodies_are_told(protocol: str) -> None:
    """Cut anywhere, changed anywhere: BadInput or another valid request, never anything else."""
    body = body_v1(NODE, PLAIN) if protocol == "1.0" else body_v2(NODE, PLAIN)
    for place in range(len(body)):
        for damaged in (body[:place], body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :]):
            try:
                rename_nodes(damaged, protocol)
            except BadInput:
                continue  # told


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["agent_hostname", "ident", "job", "host", "a", "z"]), st.text(max_size=3))
    )
)
def test_both_versions_say_the_same(series: list[Labels]) -> None:
    """Whatever the labels, in 1.0 and 2.0."""
    texts = [{name: value for name, value in labels.items() if value.isprintable()} for labels in series]
    first = [v1.decode_labels(one.label_block) for one in v1.decode_series(rename_nodes(body_v1(*texts), "1.0"))]
    second = [one.labels for one in v2.decode_request(rename_nodes(body_v2(*texts), "2.0"))]
    assert first == list(second)


@pytest.mark.parametrize("protocol", ["1.0", "2.0"])
def test_what_is_known_is_renamed_with_new_samples(protocol: str) -> None:
    """A Renamer that has seen other values and times, and other senders, says what a new one says."""
    renamer = Renamer()
    table = v2.SymbolTable()
    for value in (1.0, 2.5, float("nan")):
        samples = [(1_700_000_000_000, value)]
        for node in ("a", "b"):
            labels = [{"__name__": f"m{number}", "agent_hostname": node, "job": "j"} for number in range(20)]
            if protocol == "1.0":
                parts = [v1.encode_series(v1.encode_labels(one.items()), samples) for one in labels]
                body = b"".join(parts)
            else:
                blocks = [v2.encode_labels(tuple(one.items()), table) for one in labels]
                body = b"".join(v2.encode_series(block, samples) for block in blocks)
                body += table.encode()
            assert renamer.rename(body, protocol) == Renamer().rename(body, protocol)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much is forgotten whole; the rule goes on."""
    monkeypatch.setattr("kpwatch.remote_write.renaming.REMEMBERED_BYTES", 1000)
    renamer = Renamer()
    for number in range(50):
        sample = [(1_700_000_000_000, 1.0)]
        body = v1.encode_series(v1.encode_labels((("__name__", "m"), ("agent_hostname", f"n{number}"))), sample)
        assert b"agent_hostname" not in renamer.rename(body, "1.0")
    assert renamer._known_bytes < 2000
