"""From a request to its handler, and from whatever happens there to an answer.

Paths are looked up in a dict; a route with one `{name}` matches by what stands before and after it. What a handler
raises on purpose becomes its row of `answers.ERRORS`; what it raises by mistake becomes a 500, a counter and a line in
the log, never a closed connection.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.api.answers import failure
from kpwatch.api.cors import Cors, shares
from kpwatch.base.asgi import Answer, Request, send_answer
from kpwatch.base.errors import ClientGone, KpwatchError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpwatch.api.auth import Gate
    from kpwatch.base.asgi import Handler, Receive, Scope, Send
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry


class Route(NamedTuple):
    """One URL: the methods it knows, its path (at most one `{name}` in it), who answers."""

    methods: tuple[str, ...]
    path: str
    handler: Handler
    about: str = ""
    """What it is for, in one sentence."""
    parameters: tuple[str, ...] = ()
    """Names of its query parameters; those that must be given end in `!`."""


class Router:
    """The hub's ASGI application."""

    def __init__(
        self,
        routes: Iterable[Route],
        pages: Handler,
        gate: Gate | None,
        telemetry: Registry,
        log: Logger,
        cors: Cors | None = None,
    ) -> None:
        self._exact: dict[str, Route] = {}
        self._patterns: list[tuple[str, str, Route]] = []
        for route in routes:
            before, brace, rest = route.path.partition("{")
            if brace:
                self._patterns.append((before, rest.partition("}")[2], route))
            else:
                self._exact[route.path] = route
        self._pages = Route(("GET", "HEAD"), "/", pages)
        self._telemetry = telemetry
        self._log = log
        self._gate = gate
        self._cors = cors or Cors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        request = Request(scope, receive)
        route, request.captured = self._find(request.path)
        try:
            answer = await self._answer(route, request)
        except ClientGone:
            self._count(route, 499)
            return
        self._count(route, answer.status)
        await send_answer(send, self._cors.shared(request, answer))

    async def _answer(self, route: Route | None, request: Request) -> Answer:
        if request.method == "OPTIONS" and shares(request.path):
            return Answer(204)  # a browser asks this before it asks what it was told to, and without credentials
        try:
            refusal = await self._gate.decide(request) if self._gate is not None else None
        except KpwatchError as error:
            refusal = failure(error)
        if refusal is not None:
            return refusal
        if route is None:
            return failure(NotFound(f"there is nothing at {request.path[:200]}"))
        if request.method not in route.methods:
            allowed = ", ".join(route.methods)
            return Answer(405, f"{request.path[:200]} takes {allowed}\n".encode(), headers=(("allow", allowed),))
        return await self._handled(route, request)

    async def _handled(self, route: Route, request: Request) -> Answer:
        try:
            return await route.handler(request)
        except ClientGone:
            raise
        except KpwatchError as error:
            return failure(error)
        except Exception as error:  # noqa: BLE001 - the last place that can still answer
            self._log.error(f"{request.method} {route.path}: {''.join(traceback.format_exception(error))}")
            return failure(error)

    def _find(self, path: str) -> tuple[Route | None, str]:
        route = self._exact.get(path)
        if route is not None:
            return route, ""
        for before, after, candidate in self._patterns:
            middle = path[len(before) : len(path) - len(after)]
            if path.startswith(before) and path.endswith(after) and middle and "/" not in middle:
                return candidate, middle
        is_api = path.startswith(("/api/", "/prometheus/"))
        return (None if is_api else self._pages), ""

    def _count(self, route: Route | None, status: int) -> None:
        self._telemetry.counter(
            "kpwatch_hub_http_requests_total",
            "HTTP requests answered, by route and status (499: the client went away).",
            path=route.path if route is not None else "none",
            status=str(status),
        ).add()
