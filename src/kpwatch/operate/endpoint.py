"""The agent's HTTP endpoint: what each URL answers, and where it is served.

    /healthz    200 while the loop turns: that it answers is the answer
    /readyz     200 or 503, with the reasons (`reports`)
    /metrics    our own counters, text exposition 0.0.4
    /targets    every target and its latest scrape

It shows no secret and changes nothing, so it asks nobody who they are; who may reach it is the address's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.server import DROPPED, Asked, HttpServer, Said
from kpwatch.operate.reports import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.base.server_options import ServerOptions
    from kpwatch.base.telemetry import Registry
    from kpwatch.operate.status import Status

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE = "application/json"
PUSH_PATH = "/api/push/"
NO_PUSH = b"Nothing is pushed through this agent: it scrapes. Write to a receiver of your own instead.\n"


class Endpoint:
    """Serves where the options say, or nowhere."""

    def __init__(self, status: Status, *, loop: Loop, log: Logger, registry: Registry) -> None:
        self._loop = loop
        self._log = log
        self._registry = registry
        self._server: HttpServer | None = None
        self._routes: dict[str, Callable[[], Said]] = {
            "/healthz": lambda: Said(200, b"ok\n"),
            "/readyz": lambda: self._readyz(status.readiness()),
            "/metrics": lambda: Said(200, status.metrics().encode(), METRICS_TYPE),
            "/targets": lambda: Said(200, self._json(status.targets()), JSON_TYPE),
        }

    @property
    def port(self) -> int:
        """Where it listens; 0: nowhere."""
        return self._server.port if self._server is not None else 0

    def adopt(self, options: ServerOptions | None) -> None:
        """Serve there from now on; raises ConfigError where that cannot be, and then nothing changes."""
        before = self._server
        if before is not None and options is not None and _address(before.options) == _address(options):
            before.change(options)
            return
        self._server = self._open(options) if options is not None else None
        if before is not None:
            before.close()

    def close(self) -> None:
        """Serve nobody any more."""
        if self._server is not None:
            self._server.close()

    def answer(self, asked: Asked) -> Said:
        """What is said to a request."""
        if asked.path.startswith(PUSH_PATH):
            return Said(501, NO_PUSH)
        route = self._routes.get(asked.path)
        if route is None:
            return Said(404, f"there is nothing here but {', '.join(self._routes)}\n".encode())
        if asked.method != "GET":
            return Said(405, b"only GET is answered here\n", headers=(("Allow", "GET"),))
        return route()

    # What the server counts.

    def answered(self, status: int) -> None:
        """A request was."""
        self._registry.counter("kpwatch_agent_http_requests_total", "Requests answered.", code=str(status)).add()

    def dropped(self, reason: str) -> None:
        """A connection was closed on somebody."""
        self._drops[reason].add()

    def _readyz(self, document: dict[str, Any]) -> Said:
        return Said(200 if document["ready"] else 503, self._json(document), JSON_TYPE)

    def _json(self, document: dict[str, Any]) -> bytes:
        """Errors repeat words of others, who may repeat ours."""
        return self._log.scrub(to_json(document)).encode(errors="replace")

    def _note_access(self, line: str) -> None:
        self._log.unthrottled(line)

    def _open(self, options: ServerOptions) -> HttpServer:
        registry = self._registry
        self._drops = {
            reason: registry.counter(
                "kpwatch_agent_http_dropped_total", "Connections closed on somebody, and why.", reason=reason
            )
            for reason in DROPPED
        }
        registry.gauge(
            "kpwatch_agent_http_connections", "Open.", lambda: self._server.connections if self._server else 0
        )
        server = HttpServer(options, self.answer, self._loop, self, self._note_access)
        scheme = "https" if options.cert_file else "http"
        self._log.info(f"{scheme}://{options.host or '*'}:{server.port}: /healthz, /readyz, /metrics, /targets")
        return server


def _address(options: ServerOptions) -> tuple[str, int]:
    return options.host, options.port
