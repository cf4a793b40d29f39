"""ASGI without a framework: a request to read, an answer to send.

A handler is `async (Request) -> Answer`. Where the client goes away, reading raises ClientGone and nobody answers.
Bodies are read in chunks against a limit and never held beyond it. That is all the hub's rooms need of HTTP; a web
framework would be the slowest import of the hub's start and would give nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ClientGone, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete HTTP answer."""

    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


class Request:
    """One HTTP request; `captured` holds what the route's path named (`{name}`)."""

    __slots__ = ("_receive", "captured", "headers", "method", "path", "query")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.captured = ""
        self._receive = receive

    def header(self, name: bytes) -> str:
        """Value of the header (name in lower case), or ""."""
        return self.headers.get(name, b"").decode("latin-1").strip()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises ClientGone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body; raises ClientGone, and TooLarge once it exceeds `limit_bytes`."""
        parts = []
        held = 0
        async for chunk in self.chunks():
            held += len(chunk)
            if held > limit_bytes:
                raise TooLarge(f"the body is longer than {limit_bytes} bytes, the limit of {self.path}")
            parts.append(chunk)
        return b"".join(parts)


Handler = Callable[[Request], Awaitable[Answer]]


async def send_answer(send: Send, answer: Answer) -> None:
    """Send `answer` whole."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.body or answer.status not in (204, 304):
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
