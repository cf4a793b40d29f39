"""Files of targets are Prometheus' (file_sd_config); what is wrong is named by its entry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.scrape.discovery.target_files import parse_targets

GOOD = [
    # entry, what is found
    ({"targets": ["a:1", "b:2"]}, [("http://a:1/metrics", ()), ("http://b:2/metrics", ())]),
    ({"targets": ["a:1"], "labels": {"rack": "r"}}, [("http://a:1/metrics", (("rack", "r"),))]),
    ({"targets": ["https://a/x?y=1"], "labels": {"__scheme__": "http"}}, [("https://a/x?y=1", ())]),
    ({"targets": ["a:1"], "labels": {"__scheme__": "https", "__metrics_path__": "/m"}}, [("https://a:1/m", ())]),
    ({"targets": ["a:1"], "labels": {"__metrics_path__": "m", "__param_x": "a b"}}, [("http://a:1/m?x=a%20b", ())]),
    ({"targets": ["a:1"], "labels": {"__meta_x": "y", "__scheme__": ""}}, [("http://a:1/metrics", ())]),
    ({"targets": [], "labels": None}, []),
    ({}, []),
]


@pytest.mark.parametrize(("entry", "found"), GOOD)
def test_an_entry(entry: object, found: list) -> None:
    """HOST:PORT or a whole URL; labels that begin with __ shape the URL or are dropped."""
    assert parse_targets(json.dumps([entry]).encode()) == found


BAD = [
    (b"", "not JSON: "),
    (b"\xff", "not JSON: "),
    (b"- targets: [a:1]", "not JSON: "),
    (b"{}", 'expected a list: [{"targets"'),
    (b"[1]", "entry 1: "),
    (b'[{}, {"targets": "a:1"}]', 'entry 2: expected "targets"'),
    (b'[{"targets": [1]}]', 'entry 1: expected "targets"'),
    (b'[{"labels": {"a": 1}}]', 'entry 1: expected "labels"'),
    (b'[{"labels": ["a"]}]', 'entry 1: expected "labels"'),
    (b"[" * 100_000, "not"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_what_is_wrong(text: bytes, reason: str) -> None:
    """With the entry where it stands."""
    with pytest.raises(BadInput) as caught:
        parse_targets(text)
    assert str(caught.value).startswith(reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["targets", "labels", "a", "__param_a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_list_or_an_error(document: object) -> None:
    """No other exception."""
    try:
        found = parse_targets(json.dumps(document).encode())
    except BadInput:
        return
    assert all("://" in url for url, _ in found)
