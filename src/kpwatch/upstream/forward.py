"""Requests of the hub's clients, passed on: queries as they are, writes after the `ident` rule; answers passed back.

A query's text is never read here. Its answer goes back piece by piece, in the coding the client takes, so that a large
one costs no memory. Who goes away while the server still works has the request to it ended.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from kpwatch.base.asgi import JSON, TEXT, Answer
from kpwatch.base.errors import (
    BadInput,
    ClientGone,
    KpwatchError,
    TooBusy,
    TooLarge,
    TooSlow,
    UpstreamDown,
    UpstreamSlow,
)
from kpwatch.base.http import redact_url
from kpwatch.remote_write.renaming import NODE_LABELS_WITH_HOST, Renamer
from kpwatch.remote_write.snappy import compress, decompress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kpwatch.base.asgi import Handler, Request
    from kpwatch.base.telemetry import Registry
    from kpwatch.upstream.client import Passed, Upstream

FORM_BYTES = 1 << 20
_BACK = ("content-encoding", "content-length", "retry-after", "vary")
_BACK_FROM_WRITES = ("retry-after",)
_WRITTEN = "x-prometheus-remote-write-"
_FOR_WRITES = ("content-type", "content-encoding", "x-prometheus-remote-write-version")
_REFUSES_US = (401, 403)
_KINDS = {404: "not_found", 429: "unavailable"}
_BIG_BODY_BYTES = 64 << 10
"""A compressed body above this is looked into on a thread."""
_SHOWN_CHARACTERS = 300


class _Body:
    """The rest of an answer, with what has to be let go when it has been sent."""

    def __init__(self, chunks: AsyncIterator[bytes], stack: AsyncExitStack) -> None:
        self._chunks = chunks
        self._stack = stack

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """See Stream."""
        await self._stack.aclose()


class QueryForwarder:
    """Makes handlers that pass a URL on."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def handler(self, path: str) -> Handler:
        """For a URL below `/api/v1`; `{name}` in it is what the request's URL has there."""

        async def answer(request: Request) -> Answer:
            before, brace, rest = path.partition("{")
            name = quote(request.captured, safe="") if brace else ""
            return await self._passed(request, before + name + rest.partition("}")[2])

        return answer

    async def _passed(self, request: Request, path: str) -> Answer:
        url = f"{self._upstream.options.url}/api/v1{path}"
        if request.query:
            url += "?" + request.query.decode("latin-1")
        body, headers = b"", {"accept-encoding": request.header(b"accept-encoding") or "identity"}
        if request.method == "POST":
            body = await request.body(FORM_BYTES)
            headers["content-type"] = request.header(b"content-type")
        method = "GET" if request.method == "HEAD" else request.method
        stack = AsyncExitStack()
        try:
            asked = self._upstream.request("query", method, url, body, headers)
            passed = await _unless_gone(request, stack.enter_async_context(asked))
            answer = await self._answer(passed, stack, url)
        except BaseException:
            await stack.aclose()
            raise
        return answer

    async def _answer(self, passed: Passed, stack: AsyncExitStack, url: str) -> Answer:
        kind = passed.header("content-type")
        if passed.status < 300 or (kind.startswith(JSON) and passed.status not in _REFUSES_US):
            headers = tuple((name, passed.header(name)) for name in _BACK if passed.header(name))
            return Answer(passed.status, b"", kind or JSON, headers, _Body(passed.chunks, stack))
        said = await _text(passed)
        await stack.aclose()
        problem = _misunderstanding(passed, url)
        if problem is not None:
            raise problem
        status = passed.status if passed.status < 500 else 502
        text = f"the engine at {redact_url(url)} answers {passed.status}: {said}"
        document = {"status": "error", "errorType": _error_type(status), "error": text}
        wait = (("retry-after", passed.header("retry-after")),) if passed.header("retry-after") else ()
        return Answer(status, json.dumps(document, ensure_ascii=False).encode(), JSON, wait)


class WriteForwarder:
    """Handler of the write URLs."""

    def __init__(self, upstream: Upstream, body_bytes: int, decoded_bytes: int, telemetry: Registry) -> None:
        self._upstream = upstream
        self._body_bytes = body_bytes
        self._decoded_bytes = decoded_bytes
        self._renamers = {False: Renamer(), True: Renamer(NODE_LABELS_WITH_HOST)}
        self._held_bytes = 0
        self._most_held_bytes = body_bytes * 4
        self._renamed = telemetry.counter(
            "kpwatch_hub_engine_writes_renamed_total", "Writes handed on after agent_hostname had become ident."
        )
        telemetry.gauge(
            "kpwatch_hub_engine_write_held_bytes", "Bytes of write bodies being read or handed on.",
            lambda: self._held_bytes,
        )  # fmt: skip

    async def __call__(self, request: Request) -> Answer:
        """Answer one write; raises ClientGone."""
        try:
            return await self._take(request)
        except ClientGone:
            raise
        except KpwatchError as error:
            status = next((status for kind, status in _WRITE_REFUSALS if isinstance(error, kind)), 500)
            wait = (("retry-after", "5"),) if status in (429, 502, 503, 504) else ()
            return Answer(status, f"{error}\n".encode(), TEXT, wait)

    async def _take(self, request: Request) -> Answer:
        if self._held_bytes > self._most_held_bytes:
            raise TooBusy(f"writes of {self._held_bytes} bytes are on their way already; send this one again later")
        body = await request.body(self._body_bytes)
        held = len(body)
        self._held_bytes += held
        try:
            body = await self._ruled(request, body)
            headers = {name: request.header(name.encode()) for name in _FOR_WRITES if request.header(name.encode())}
            asked = self._upstream.request("write", "POST", self._upstream.options.write_url, body, headers)
            async with asked as passed:
                said = await _text(passed, _SHOWN_CHARACTERS * 4)
        finally:
            self._held_bytes -= held
        problem = _misunderstanding(passed, self._upstream.options.write_url)
        if problem is not None:
            raise problem
        back = {name: passed.header(name) for name in _BACK_FROM_WRITES} | passed.headers_like(_WRITTEN)
        answered = tuple((name, value) for name, value in back.items() if value)
        return Answer(passed.status, said.encode(), passed.header("content-type") or TEXT, answered)

    async def _ruled(self, request: Request, body: bytes) -> bytes:
        """The body after the `ident` rule; the same object where nothing was to be renamed."""
        coding = request.header(b"content-encoding").lower()
        if coding not in ("", "snappy"):
            raise BadInput(f"Content-Encoding {coding[:40]!r}: the ident rule needs snappy (block format); send that")
        is_v2 = "io.prometheus.write.v2" in request.header(b"content-type").lower()
        with_host = dict(parse_qsl(request.query.decode("latin-1"), max_num_fields=32)).get("ignore_host") in _FALSE
        renamer = self._renamers[with_host]

        def apply() -> bytes:
            content = decompress(body, self._decoded_bytes)
            after = renamer.rename(content, "2.0" if is_v2 else "1.0")
            return body if after is content else compress(after)

        ruled = await asyncio.to_thread(apply) if len(body) > _BIG_BODY_BYTES else apply()
        if ruled is not body:
            self._renamed.add()
        return ruled


_FALSE = ("0", "f", "F", "FALSE", "false", "False")
# First row that fits.
_WRITE_REFUSALS: tuple[tuple[type[KpwatchError], int], ...] = (
    (TooLarge, 413),
    (TooSlow, 408),
    (BadInput, 400),
    (UpstreamDown, 502),
    (UpstreamSlow, 504),
    (TooBusy, 429),
)


async def no_writes(_: Request) -> Answer:
    """POST /write of a hub with an engine, but without --engine-write."""
    return Answer(404, b"this hub passes queries on to an engine; writes need --engine-write, or go to the engine\n")


async def _unless_gone(request: Request, asking: object) -> Passed:
    """What `asking` gives; raises ClientGone, and ends it, where the client goes away first."""
    asked = asyncio.ensure_future(asking)  # type: ignore[call-overload]
    gone = asyncio.ensure_future(request.gone())
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ClientGone
        return asked.result()  # type: ignore[no-any-return]
    finally:
        for task in (asked, gone):
            task.cancel()
        if not asked.done():
            with suppress(asyncio.CancelledError, KpwatchError):
                await asked


def _misunderstanding(passed: Passed, url: str) -> KpwatchError | None:
    """What of the server's answers is between it and us, and no answer to who asked."""
    if passed.status in _REFUSES_US:
        return UpstreamDown(
            f"the engine at {redact_url(url)} refuses the hub's credentials ({passed.status});"
            " see --engine-basic-auth-file, --engine-bearer-token-file, --engine-tenant"
        )
    if 300 <= passed.status < 400:
        to = redact_url(passed.header("location"))[:_SHOWN_CHARACTERS]
        return UpstreamDown(f"the engine at {redact_url(url)} sends elsewhere ({passed.status}, {to}); give that URL")
    return None


def _error_type(status: int) -> str:
    return _KINDS.get(status, "bad_data" if status < 500 else "unavailable")


async def _text(passed: Passed, most: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a body as text; only what was not compressed can be shown."""
    body = await passed.whole()
    if passed.header("content-encoding") not in ("", "identity"):
        return f"{len(body)} bytes"
    return body.decode("utf-8", "replace")[:most]
