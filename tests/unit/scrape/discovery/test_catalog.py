"""A Consul catalog is asked as its HTTP API says, and its entries become targets by the query's templates."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput, ConfigError
from kpwatch.scrape.discovery.catalog import catalog_path, found_in, parse_catalog
from kpwatch.scrape.discovery.options import ConsulQuery

PATHS = [
    (ConsulQuery("kube-proxy"), "/v1/catalog/service/kube-proxy"),
    (ConsulQuery("a/b c", tag="x&y", datacenter="dc1"), "/v1/catalog/service/a%2Fb%20c?dc=dc1&tag=x%26y"),
]


@pytest.mark.parametrize(("query", "path"), PATHS)
def test_what_is_asked(query: ConsulQuery, path: str) -> None:
    """Everything encoded that could mean something else."""
    assert catalog_path(query) == path


ENTRY = {
    "Node": "node-a",
    "Address": "10.0.0.1",
    "ServiceID": "kp-1",
    "ServiceAddress": "",
    "ServicePort": 10249,
    "ServiceTags": ["a", "b"],
    "ServiceMeta": {"metrics_path": "m", "zone": "z1"},
    "TaggedAddresses": {"wan": "1.2.3.4"},
    "ServiceTaggedAddresses": {"lan_ipv4": {"Address": "10.9.9.9", "Port": 1}},
    "NodeMeta": None,
    "Unheard": [1],
}
URL = 'http://{{if ne .ServiceAddress ""}}{{.ServiceAddress}}{{else}}{{.Address}}{{end}}:{{.ServicePort}}'

TEMPLATES = [
    (URL, "http://10.0.0.1:10249"),
    (URL + "/{{with .ServiceMeta.metrics_path}}{{.}}{{else}}metrics{{end}}", "http://10.0.0.1:10249/m"),
    ("http://{{.TaggedAddresses.wan}}/{{.NodeMeta.x}}", "http://1.2.3.4/<no value>"),
    ("http://{{.ServiceTaggedAddresses.lan_ipv4.Address}}", "http://10.9.9.9"),
    ('{{join .ServiceTags "-"}}{{.ModifyIndex}}{{.Namespace}}', "a-b0"),
]


@pytest.mark.parametrize(("template", "url"), TEMPLATES)
def test_an_entry_becomes_a_target(template: str, url: str) -> None:
    """By the fields of Consul's own client; what an entry leaves out is empty."""
    (entry,) = parse_catalog(json.dumps([ENTRY]).encode())
    query = ConsulQuery("x", url=template, tags=(("host", "{{.Node}}"), ("zone", "{{.ServiceMeta.zone}}")))
    assert found_in(query, entry) == (url, (("host", "node-a"), ("zone", "z1")))


def test_a_field_that_does_not_exist() -> None:
    """Is an error that lists those that do."""
    (entry,) = parse_catalog(b"[{}]")
    with pytest.raises(ConfigError, match=r"there is no field \.Host; the fields are \.ID \.Node"):
        found_in(ConsulQuery("x", url="http://{{.Host}}"), entry)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"null", b"[" * 100_000])
def test_what_is_no_catalog(body: bytes) -> None:
    """Says so."""
    with pytest.raises(BadInput, match="the answer is"):
        parse_catalog(body)


@given(
    st.dictionaries(
        st.sampled_from([*ENTRY, "ServiceWeights"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=3)
        | st.lists(st.text(max_size=2), max_size=2)
        | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    )
)
def test_fields_of_any_kind(entry: dict) -> None:
    """A field that is not of its kind is empty; nothing fails."""
    (record,) = parse_catalog(json.dumps([entry]).encode())
    found_in(ConsulQuery("x", url=URL, tags=(("t", '{{join .ServiceTags ","}}'),)), record)
