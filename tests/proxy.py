"""A plain HTTP proxy on 127.0.0.1: whole URLs for http, CONNECT for anything else; remembers what it was asked."""

from __future__ import annotations

import http.client
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.servers import WAIT_SECONDS, Peer, Server, response

if TYPE_CHECKING:
    from tests.servers import Request


class ProxyServer(Server):
    """`asked` is each request as it came to the proxy, tunnels included; `wants` the credentials it insists on."""

    def __init__(self, wants: str = "") -> None:
        self.asked: list[Request] = []
        self._wants = wants
        super().__init__(self._pass_on)

    @property
    def proxy_url(self) -> str:
        """How a client names it."""
        return f"http://127.0.0.1:{self.port}"

    def _pass_on(self, peer: Peer) -> None:
        peer.head_arrived()
        while True:
            request = peer.request()
            self.asked.append(request)
            if request.headers.get("proxy-authorization", "") != self._wants:
                peer.send(response(b"who are you?", 407))
            elif request.method == "CONNECT":
                self._tunnel(peer, request)
                return
            else:
                peer.send(self._fetch(request))

    def _fetch(self, request: Request) -> bytes:
        url = urlsplit(request.target)
        assert url.scheme == "http", f"{request.target} is no whole URL"
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=WAIT_SECONDS)
        headers = {name: value for name, value in request.headers.items() if not name.startswith("proxy-")}
        connection.request(request.method, url.path + (f"?{url.query}" if url.query else ""), request.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() != "content-length"}
        connection.close()
        return response(body, answer.status, **kept)

    def _tunnel(self, peer: Peer, request: Request) -> None:
        host, _, port = request.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=WAIT_SECONDS) as upstream:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, peer.sock))
            back.start()
            _pump(peer.sock, upstream)
            back.join(WAIT_SECONDS)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Everything from one to the other, the end too."""
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one of them is gone, and so the other will be
