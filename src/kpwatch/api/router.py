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
    from collections.abc import Callable, Iterable

    from kpwatch.api.auth import Gate
    from kpwatch.base.asgi import Handler, Head, PushHandler, Receive, Scope, Send, Upload
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Counter, Registry


class Route(NamedTuple):
    """One URL: the methods it knows, its path (at most one `{name}` in it), who answers."""

    methods: tuple[str, ...]
    path: str
    handler: Handler
    about: str = ""
    """What it is for, in one sentence."""
    parameters: tuple[str, ...] = ()
    """Names of its query parameters; those that must be given end in `!`."""
    push: PushHandler | None = None
    """Answers the same, for requests whose bodies are pushed."""


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
        self.pushed = frozenset(path.encode() for path, route in self._exact.items() if route.push is not None)
        """Paths whose requests `open` may take."""
        self._pages = Route(("GET", "HEAD"), "/", pages)
        self._counters: dict[tuple[str, int], Counter] = {}
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
        try:
            await send_answer(send, self._cors.shared(request, answer))
        except KpwatchError as error:  # in the middle of a stream: what is left is to close the connection
            self._telemetry.counter(
                "kpwatch_hub_answers_cut_total", "Answers that ended before they were complete."
            ).add()
            self._log.warning(f"{request.method} {request.path[:200]}: the answer ended early: {error}")

    def open(self, head: Head, reply: Callable[[Answer], None]) -> Upload | None:
        """Begin to answer a request whose body will be pushed; None, and nothing done, where it is not one of those."""
        route = self._exact.get(head.path)
        if route is None or route.push is None or head.method not in route.methods or head.method == "HEAD":
            return None
        if self._gate is not None and not self._gate.knows(head):
            return None  # a hash has to be computed first

        def finish(outcome: Answer | Exception) -> None:
            if isinstance(outcome, ClientGone):
                self._count(route, 499)
                return
            answer = outcome if isinstance(outcome, Answer) else self._failed(head, route, outcome)
            self._count(route, answer.status)
            reply(self._cors.shared(head, answer))

        refusal = self._gate.refusal(head) if self._gate is not None else None
        if refusal is not None:
            finish(refusal)
            return PASSED_OVER
        return route.push(head, finish)

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
        except Exception as error:  # noqa: BLE001 - the last place that can still answer
            return self._failed(request, route, error)

    def _failed(self, request: Head, route: Route, error: Exception) -> Answer:
        if not isinstance(error, KpwatchError):
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
        path = route.path if route is not None else "none"
        counter = self._counters.get((path, status))
        if counter is None:
            counter = self._counters[path, status] = self._telemetry.counter(
                "kpwatch_hub_http_requests_total",
                "HTTP requests answered, by route and status (499: the client went away).",
                path=path,
                status=str(status),
            )
        counter.add()


class _PassedOver:
    """The rest of a request that was answered before its body came."""

    def feed(self, piece: bytes) -> None:
        """See Upload."""

    def end(self) -> None:
        """See Upload."""

    def unfinished(self) -> None:
        """See Upload."""

    def gone(self) -> None:
        """See Upload."""


PASSED_OVER = _PassedOver()
