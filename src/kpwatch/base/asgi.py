"""ASGI without a framework: a request to read, an answer to send.

A handler is `async (Request) -> Answer`. Where the client goes away, reading raises ClientGone and nobody answers.
Bodies are read in chunks against a limit and never held beyond it. That is all the hub's rooms need of HTTP; a web
framework would be the slowest import of the hub's start and would give nothing else.

A handler of many small requests may have their bodies pushed to it instead (`Upload`): that takes no task, no
coroutine and no message between the socket and the handler, which together cost more than the handler does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kpwatch.base.errors import ClientGone, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Stream(Protocol):
    """A body that comes in pieces; closed by whoever sends it, whatever happens."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, none empty."""
        ...

    async def aclose(self) -> None:
        """Let go of what gives the pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; complete, or with a stream instead of a body (and a content-length, where it is known)."""

    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    stream: Stream | None = None


class Head:
    """What a request says before its body; names of headers in lower case."""

    __slots__ = ("headers", "method", "path", "query")

    def __init__(self, method: str, path: str, query: bytes, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers

    def header(self, name: bytes) -> str:
        """Value of the header (name in lower case), or ""."""
        return self.headers.get(name, b"").decode("latin-1").strip()


class Request(Head):
    """One HTTP request; `captured` holds what the route's path named (`{name}`)."""

    __slots__ = ("_receive", "captured")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope["method"], scope["path"], scope["query_string"], dict(scope["headers"]))
        self.captured = ""
        self._receive = receive

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises ClientGone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def gone(self) -> None:
        """Returns once the client has gone; for after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body; raises ClientGone, and TooLarge once it exceeds `limit_bytes`."""
        parts = []
        held = 0
        async for chunk in self.chunks():
            held += len(chunk)
            if held > limit_bytes:
                raise too_long(limit_bytes, self.path)
            parts.append(chunk)
        return b"".join(parts)


def too_long(limit_bytes: int, path: str) -> TooLarge:
    """Of a body over its limit."""
    return TooLarge(f"the body is longer than {limit_bytes} bytes, the limit of {path}")


class Upload(Protocol):
    """A request on its way in, whose body is pushed; all calls come from the event loop.

    It replies once, at any time from its making on, with an answer or with the error it met; what is pushed after that
    it passes over.
    """

    def feed(self, piece: bytes) -> None:
        """Some bytes of the body."""
        ...

    def end(self) -> None:
        """The body is complete."""
        ...

    def unfinished(self) -> None:
        """All that has arrived was fed, the rest has to come: may be called again and again."""
        ...

    def gone(self) -> None:
        """The client went away within the body."""
        ...


Reply = Callable[[Answer | Exception], None]
Handler = Callable[[Request], Awaitable[Answer]]
PushHandler = Callable[[Head, Reply], Upload]


def answer_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """All headers of `answer`."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.stream is not None or has_length(answer):
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if has_length(answer):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    return headers


def has_length(answer: Answer) -> bool:
    """Whether the answer says how long its body is."""
    return answer.stream is None and (bool(answer.body) or answer.status not in (204, 304))


async def send_answer(send: Send, answer: Answer) -> None:
    """Send `answer` whole; raises what its stream raises, when the connection can only be closed."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer_headers(answer)})
    if answer.stream is not None:
        try:
            async for piece in answer.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await answer.stream.aclose()
    await send({"type": "http.response.body", "body": answer.body})
