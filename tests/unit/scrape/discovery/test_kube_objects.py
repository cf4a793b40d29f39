"""What is asked of an API server, and what its objects say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.kube_objects import (
    Entry,
    entry_of,
    is_ours,
    list_path,
    parse_event,
    parse_page,
    resources,
    watch_path,
)
from kpwatch.scrape.discovery.options import KubernetesOptions
from kpwatch.scrape.options import TargetOptions
from tests.kube_api import node, pod

INSTANCE = Instance(TargetOptions(""))
NODES = KubernetesOptions(INSTANCE, "http://api")
PODS = KubernetesOptions(INSTANCE, "http://api", role="pod", node_selector="role=edge")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (NODES, ["nodes"]),
        (PODS, ["nodes", "pods"]),
        (KubernetesOptions(INSTANCE, "", role="pod", scrape=False), ["nodes"]),
    ],
)
def test_what_is_watched(options: KubernetesOptions, names: list[str]) -> None:
    """Nodes always, pods where they are scraped."""
    assert [resource.name for resource in resources(options)] == names


def test_paths() -> None:
    """A list names its page and its selector, a watch the version it goes on from; what is empty is left out."""
    nodes, pods = resources(PODS)
    assert list_path(nodes, 100) == "/api/v1/nodes?limit=100&labelSelector=role%3Dedge"
    assert list_path(pods, 5, "a/b") == (
        "/api/v1/namespaces/kube-system/pods?limit=5&continue=a%2Fb&labelSelector=k8s-app%3Dkube-proxy"
    )
    assert watch_path(resources(NODES)[0], "7", 300) == (
        "/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=300"
    )
    everywhere = KubernetesOptions(INSTANCE, "", role="pod", namespace="", pod_selector="")
    assert list_path(resources(everywhere)[1], 1) == "/api/v1/pods?limit=1"


LABELLED = KubernetesOptions(INSTANCE, "", node_labels=(("zone", "topology.kubernetes.io/zone"), ("gone", "x")))
HOSTNAME_FIRST = KubernetesOptions(INSTANCE, "", address_types=("Hostname",))


@pytest.mark.parametrize(
    ("options", "subject", "entry"),
    [
        (NODES, node("a", "10.0.0.1"), Entry("a", "10.0.0.1")),
        (HOSTNAME_FIRST, node("a", "10.0.0.1"), Entry("a", "a")),
        (NODES, node("a"), Entry("a")),
        (LABELLED, node("a", "::1", topology__x="no"), Entry("a", "::1")),
        (LABELLED, node("a", "::1", **{"topology.kubernetes.io__zone": "z"}), Entry("a", "::1", (("zone", "z"),))),
        (NODES, {"metadata": {"name": 7}, "status": {"addresses": [None, 3, {"type": 1}]}}, Entry("")),
        (NODES, {}, Entry("")),
    ],
)
def test_what_is_kept_of_a_node(options: KubernetesOptions, subject: dict[str, object], entry: Entry) -> None:
    """Its name, the first address of the types asked for, the labels asked for; whatever is no text is not there."""
    assert entry_of(resources(options)[0], subject, options) == entry


@pytest.mark.parametrize(
    ("subject", "entry"),
    [
        (pod("p", "a", "10.0.0.1"), Entry("a", "10.0.0.1")),
        (pod("p", "a", "10.0.0.1", phase="Failed"), Entry("a")),
        (pod("p", "", phase="Pending"), Entry("")),
    ],
)
def test_what_is_kept_of_a_pod(subject: dict[str, object], entry: Entry) -> None:
    """Its node, and its address while it runs."""
    assert entry_of(resources(PODS)[1], subject, PODS) == entry


@given(st.text(min_size=1), st.integers(1, 7))
def test_every_node_has_one_shard(name: str, shards: int) -> None:
    """However many agents there are, exactly one of them is for a node."""
    try:
        entry = Entry(name.encode().decode())
    except UnicodeEncodeError:
        return
    ours = [is_ours(entry, KubernetesOptions(INSTANCE, "", shard=shard, shards=shards)) for shard in range(shards)]
    assert ours.count(True) == 1


def test_a_node_keeps_its_shard() -> None:
    """Also from version to version: who has it is written down here."""
    names = [f"10.206.0.{number}" for number in range(6)]
    options = [KubernetesOptions(INSTANCE, "", shard=number, shards=3) for number in range(3)]
    shards = [[is_ours(Entry(name), one) for one in options].index(True) for name in names]
    assert shards == [1, 1, 0, 2, 2, 0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no object"),
        (b'{"items": 3}', "no list of objects"),
        (b'{"items": [3]}', "no list of objects"),
        (b'{"healthz": "ok"}', "no list of objects"),
    ],
)
def test_no_page(body: bytes, words: str) -> None:
    """What is no list is said to be none."""
    with pytest.raises(BadInput, match=words):
        parse_page(body)


def test_pages() -> None:
    """Go writes null for a list without anything in it."""
    assert parse_page(b'{"kind":"NodeList","metadata":{"resourceVersion":"5"},"items":null}') == ([], "5", "")
    assert parse_page(b'{"items":[{}],"metadata":{"continue":"x"}}') == ([{}], "", "x")


@pytest.mark.parametrize("line", [b"{", b"{}", b'{"type":"ADDED"}', b'{"type":1,"object":{}}'])
def test_no_event(line: bytes) -> None:
    """What is no event is said to be none."""
    with pytest.raises(BadInput):
        parse_event(line)


def test_events() -> None:
    """An event has a version and a key; only an ERROR with 410 has expired."""
    metadata = {"name": "a", "namespace": "n", "resourceVersion": "9"}
    event = parse_event(json.dumps({"type": "ADDED", "object": {"metadata": metadata}}).encode())
    assert (event.kind, event.version, event.key, event.expired) == ("ADDED", "9", "n/a", False)
    assert parse_event(b'{"type":"ERROR","object":{"code":410}}').expired
    assert not parse_event(b'{"type":"ERROR","object":{"code":500}}').expired
