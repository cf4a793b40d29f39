"""An API server of Kubernetes, as far as a list and a watch go: pages, versions, events, bookmarks, 410 Gone.

It answers as the real one does (kubernetes.io/docs/reference/using-api/api-concepts): a list has a version, a watch
from a version tells everything behind it, and what was forgotten (`forget`) is 410, as an answer or as an event. What
it does beside that a test says: `refuse` answers everything with a status, `cut` ends watches in the middle of a line.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.servers import WAIT_SECONDS, Peer, Request, Server, response

if TYPE_CHECKING:
    import ssl

GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
        "message": "too old resource version"}  # fmt: skip


def node(name: str, address: str = "", **labels: str) -> dict[str, Any]:
    """A node with an internal address and a little of what makes real ones large."""
    addresses = [{"type": "Hostname", "address": name}]
    addresses = [{"type": "InternalIP", "address": address}, *addresses] if address else []
    return {
        "metadata": {"name": name, "labels": {label.replace("__", "/"): value for label, value in labels.items()}},
        "status": {"addresses": addresses, "images": [{"names": ["registry/x@sha256:" + "0" * 64]}]},
    }


def pod(name: str, on: str, address: str = "", phase: str = "Running") -> dict[str, Any]:
    """A kube-proxy pod."""
    return {
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": "kube-proxy"}},
        "spec": {"nodeName": on},
        "status": {"phase": phase} | ({"podIP": address} if address else {}),
    }


class KubeApi:
    """Nodes and pods on a port of 127.0.0.1."""

    def __init__(self, *nodes: dict[str, Any], tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._changed = threading.Condition()
        self._objects: dict[str, dict[str, dict[str, Any]]] = {"nodes": {}, "pods": {}}
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._version = 1000
        self._oldest = 0
        self._cuts = 0
        self._ends = 0
        self._closing = False
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.token = ""
        """The one that is accepted; "" accepts all."""
        for one in nodes:
            self.put(one)
        self.server = Server(self._serve, tls=tls, port=port)

    def url(self) -> str:
        """Its URL."""
        return self.server.url("").rstrip("/")

    def put(self, *objects: dict[str, Any]) -> None:
        """These exist from now on, as they are."""
        for one in objects:
            resource = "pods" if "spec" in one else "nodes"
            known = one["metadata"]["name"] in self._objects[resource]
            self._tell(resource, "MODIFIED" if known else "ADDED", one)

    def delete(self, resource: str, name: str) -> None:
        """This one exists no more."""
        self._tell(resource, "DELETED", self._objects[resource][name])

    def bookmark(self) -> None:
        """Tell all watches how far they are."""
        with self._changed:
            self._version += 1
            for resource in self._objects:
                subject = {"kind": resource, "metadata": {"resourceVersion": str(self._version)}}
                self._events.append((self._version, resource, {"type": "BOOKMARK", "object": subject}))
            self._changed.notify_all()

    def forget(self) -> None:
        """Versions up to now are too old; the watches there are learn it by an event."""
        with self._changed:
            self._version += 1
            self._oldest = self._version
            self._changed.notify_all()

    def cut(self) -> None:
        """End all watches in the middle of a line."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def end(self) -> None:
        """End all watches as their time is over."""
        with self._changed:
            self._ends += 1
            self._changed.notify_all()

    def refuse(self, status: int = 0, **headers: str) -> None:
        """Answer everything so from now on, watches included once they are ended; 0: no more."""
        self.refusal = (status, headers) if status else None

    def asked(self, words: str) -> list[Request]:
        """The requests so far whose path or query holds `words`."""
        return [request for request in list(self.server.requests) if words in request.target]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.server.__exit__(*error)  # type: ignore[arg-type]

    def _tell(self, resource: str, kind: str, one: dict[str, Any]) -> None:
        with self._changed:
            self._version += 1
            one = {**one, "metadata": {**one["metadata"], "resourceVersion": str(self._version)}}
            if kind == "DELETED":
                self._objects[resource].pop(one["metadata"]["name"])
            else:
                self._objects[resource][one["metadata"]["name"]] = one
            self._events.append((self._version, resource, {"type": kind, "object": one}))
            self._changed.notify_all()

    def _serve(self, peer: Peer) -> None:
        while True:
            request = peer.request()
            # Read before the refusal is looked at: who refuses and then ends all watches meets one of both.
            cuts_and_ends = self._cuts, self._ends
            if self.refusal is not None:
                status, headers = self.refusal
                said = {"kind": "Status", "message": f"refused for a test with {status}", "code": status}
                peer.send(response(json.dumps(said).encode(), status, **headers))
            elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
                peer.send(response(b'{"kind":"Status","message":"Unauthorized","code":401}', 401))
            else:
                self._answer(peer, request, cuts_and_ends)

    def _answer(self, peer: Peer, request: Request, cuts_and_ends: tuple[int, int]) -> None:
        parts = urlsplit(request.target)
        resource = parts.path.rpartition("/")[2]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "watch" in query:
            self._watch(peer, resource, int(query["resourceVersion"]), *cuts_and_ends)
        else:
            self._list(peer, resource, query)

    def _list(self, peer: Peer, resource: str, query: dict[str, str]) -> None:
        with self._changed:
            version, _, start = query.get("continue", f"{self._version}:0").partition(":")
            if int(version) < self._oldest:
                peer.send(response(json.dumps(GONE).encode(), 410))
                return
            everything = [one for _, one in sorted(self._objects[resource].items())]
        end = int(start) + int(query["limit"])
        metadata = {"resourceVersion": version} | ({"continue": f"{version}:{end}"} if end < len(everything) else {})
        page = {"kind": "List", "metadata": metadata, "items": everything[int(start) : end]}
        peer.send(response(json.dumps(page).encode()))

    def _watch(self, peer: Peer, resource: str, version: int, cuts: int, ends: int) -> None:
        if version < self._oldest:
            peer.send(response(json.dumps(GONE).encode(), 410))
            return
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            with self._changed:
                deadline = time.monotonic() + 3 * WAIT_SECONDS
                while not (self._closing or (cuts, ends) != (self._cuts, self._ends) or self._oldest > version):
                    if self._after(resource, version):
                        break
                    assert self._changed.wait(deadline - time.monotonic()), "nothing happens to this watch"
                events, forgotten = self._after(resource, version), self._oldest > version
                if self._closing:
                    return
            if cuts != self._cuts:
                peer.send(b'a\r\n{"type":"AD\r\n')
                peer.reset()
                return
            if forgotten:
                self._send_line(peer, {"type": "ERROR", "object": GONE})
                return
            for at, event in events:
                version = at
                self._send_line(peer, event)
            if ends != self._ends:
                peer.send(b"0\r\n\r\n")
                return

    def _after(self, resource: str, version: int) -> list[tuple[int, dict[str, Any]]]:
        return [(at, event) for at, of, event in self._events if of == resource and at > version]

    def _send_line(self, peer: Peer, event: dict[str, Any]) -> None:
        """In two pieces, because lines and chunks have nothing to do with each other."""
        line = json.dumps(event).encode() + b"\n"
        for piece in (line[:7], line[7:]):
            peer.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
