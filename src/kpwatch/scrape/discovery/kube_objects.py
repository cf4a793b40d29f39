"""What a Kubernetes API server is asked, and what its objects say. Pure.

Lists come in pages (`limit`, `continue`), changes as lines of JSON (`watch=1`), each `{"type", "object"}`
(kubernetes.io/docs/reference/using-api/api-concepts). Of an object only an `Entry` is kept: nodes are 10 KB each, and
all but some hundred bytes of that is of no interest here.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import BadInput
from kpwatch.base.named import NamedTuple
from kpwatch.base.urls import percent_encoded

if TYPE_CHECKING:
    from kpwatch.scrape.discovery.options import KubernetesOptions

EXPIRED_STATUS = 410
"""The version asked from, or the list a page belongs to, is forgotten: begin anew."""

BOOKMARK = "BOOKMARK"
DELETED = "DELETED"
ERROR = "ERROR"
CHANGES = ("ADDED", "MODIFIED", DELETED)


class Entry(NamedTuple):
    """What is kept of a node or a pod."""

    node: str
    """The node's name, or that of the pod's node; "" while it has none."""
    address: str = ""
    """"" while it has none."""
    labels: tuple[tuple[str, str], ...] = ()
    """As they become a target's."""


class Page(NamedTuple):
    """A piece of a list."""

    objects: list[dict[str, Any]]
    version: str
    """The version of the whole list, to watch from."""
    next_page: str
    """What to continue with; "" behind the last page."""


class Event(NamedTuple):
    """One line of a watch."""

    kind: str
    subject: dict[str, Any]

    @property
    def version(self) -> str:
        """The version to watch from behind this event, or ""."""
        return _text(_table(self.subject.get("metadata")).get("resourceVersion"))

    @property
    def key(self) -> str:
        """Which object it is about."""
        return key_of(self.subject)

    @property
    def expired(self) -> bool:
        """Whether it says that the version asked from is forgotten."""
        return self.kind == ERROR and self.subject.get("code") == EXPIRED_STATUS


class Resource(NamedTuple):
    """A kind of object that is listed and watched."""

    name: str
    path: str
    selector: str


def resources(options: KubernetesOptions) -> tuple[Resource, ...]:
    """What is watched: always the nodes, which there are many reasons to know; pods where they are scraped."""
    nodes = Resource("nodes", "/api/v1/nodes", options.node_selector)
    if options.role == "node" or not options.scrape:
        return (nodes,)
    namespace = f"namespaces/{percent_encoded(options.namespace)}/" if options.namespace else ""
    return nodes, Resource("pods", f"/api/v1/{namespace}pods", options.pod_selector)


def list_path(resource: Resource, limit: int, next_page: str = "") -> str:
    """Path and query of a page. Without a resourceVersion: the newest there is, and a limit that counts."""
    return _path(resource, {"limit": str(limit), "continue": next_page})


def watch_path(resource: Resource, version: str, seconds: int) -> str:
    """Path and query of a watch from `version` on, which the server ends after `seconds`."""
    asked = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
    return _path(resource, asked)


def _path(resource: Resource, asked: dict[str, str]) -> str:
    asked = {**asked, "labelSelector": resource.selector}
    return resource.path + "?" + "&".join(f"{name}={percent_encoded(value)}" for name, value in asked.items() if value)


def parse_page(body: bytes) -> Page:
    """A page; raises BadInput where it is none."""
    document = _parsed(body, "the answer")
    items, metadata = document.get("items"), _table(document.get("metadata"))
    items = [] if items is None and str(document.get("kind")).endswith("List") else items
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadInput("the answer is no list of objects; is this an API server?")
    return Page(items, _text(metadata.get("resourceVersion")), _text(metadata.get("continue")))


def parse_event(line: bytes) -> Event:
    """One line of a watch; raises BadInput where it is none."""
    document = _parsed(line, "a line of the watch")
    kind, subject = document.get("type"), document.get("object")
    if not isinstance(kind, str) or not isinstance(subject, dict):
        raise BadInput("a line of the watch is no event")
    return Event(kind, subject)


def said_in(body: bytes) -> str:
    """What a Status says, in the API server's words, or ""."""
    try:
        return _text(_parsed(body, "").get("message"))[:300]
    except BadInput:
        return ""


def key_of(subject: dict[str, Any]) -> str:
    """NAMESPACE/NAME, or the name of what is in no namespace."""
    metadata = _table(subject.get("metadata"))
    namespace, name = _text(metadata.get("namespace")), _text(metadata.get("name"))
    return f"{namespace}/{name}" if namespace else name


def entry_of(resource: Resource, subject: dict[str, Any], options: KubernetesOptions) -> Entry:
    """What is kept of an object."""
    return _node(subject, options) if resource.name == "nodes" else _pod(subject)


def is_ours(entry: Entry, options: KubernetesOptions) -> bool:
    """Whether this agent is for it: each shard has its nodes, whatever order they come in."""
    return bool(entry.node) and zlib.crc32(entry.node.encode()) % options.shards == options.shard


def _node(node: dict[str, Any], options: KubernetesOptions) -> Entry:
    metadata, addresses = _table(node.get("metadata")), _table(node.get("status")).get("addresses")
    by_type: dict[str, str] = {}
    for address in addresses if isinstance(addresses, list) else ():
        if isinstance(address, dict):
            by_type.setdefault(_text(address.get("type")), _text(address.get("address")))
    own = _table(metadata.get("labels"))
    return Entry(
        _text(metadata.get("name")),
        next((by_type[kind] for kind in options.address_types if by_type.get(kind)), ""),
        tuple((name, _text(own[label])) for name, label in options.node_labels if _text(own.get(label))),
    )


def _pod(pod: dict[str, Any]) -> Entry:
    """A pod that runs; else one without an address."""
    status = _table(pod.get("status"))
    address = _text(status.get("podIP")) if status.get("phase") == "Running" else ""
    return Entry(_text(_table(pod.get("spec")).get("nodeName")), address)


def _parsed(text: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadInput(f"{what} is no object")
    return document


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
