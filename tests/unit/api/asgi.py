"""An ASGI application, called directly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        import json

        return json.loads(self.body)


async def call(
    app: Any,
    method: str,
    url: str,
    body: bytes | Iterable[bytes] = b"",
    headers: dict[str, str] | None = None,
    *,
    goes_away: bool = False,
) -> Reply | None:
    """One request; None where the application answers nothing."""
    parts = urlsplit(url)
    chunks = [body] if isinstance(body, bytes) else list(body)
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": goes_away or place < len(chunks) - 1}
        for place, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    await app(scope, receive, send)
    if not sent:
        return None
    start, *rest = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], answered, b"".join(message["body"] for message in rest))


def ask(app: Any, method: str, url: str, body: Any = b"", headers: dict[str, str] | None = None, **more: Any) -> Reply:
    """`call` from where no event loop runs."""
    reply = asyncio.run(call(app, method, url, body, headers, **more))
    assert reply is not None, "the application answered nothing"
    return reply
