"""One connection: uvicorn's HTTP/1.1, with bounded heads, and a short way for requests that are pushed.

An ordinary Remote Write request or query (HTTP/1.1, GET or a Content-Length, nothing before it still unanswered) goes
from the parser's callbacks to its handler and back: no scope, task or coroutine. Whatever is out of the ordinary, such
as a chunked body, `Expect: 100-continue`, a second request before the first is answered, too many connections, goes
uvicorn's way to the same handler, so there is one set of rules and one place for each oddity of HTTP. A write request
whose head is the one before is not even parsed (`repeated.py`).

To uvicorn a request on the short way looks like a cycle of its own (`_Pushed`): it queues what is pipelined behind it,
ends the connection after it where the hub stops, and times out the connection when it is idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from kpwatch.api.repeated import RepeatedHead
from kpwatch.base.asgi import Head, answer_headers, has_length

if TYPE_CHECKING:
    from kpwatch.api.router import Router
    from kpwatch.base.asgi import Answer, Upload

HEAD_LIMIT_BYTES = 64 << 10
"""Of a request's line and headers together."""

LARGE_BYTES = 64 << 10
"""Of an answer: it is not copied to stand behind its head."""


_TOO_LONG = f"request head longer than {HEAD_LIMIT_BYTES} bytes"
_LENGTH = b"content-length"


class _NoEvent:
    """Nobody waits for a pushed request's messages."""

    def set(self) -> None:
        """See asyncio.Event."""


class _Pushed:
    """What uvicorn wants to know of a request."""

    message_event = _NoEvent()

    def __init__(self, protocol: HubProtocol) -> None:
        self._protocol = protocol
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True

    def reply(self, answer: Answer) -> None:
        """Send the one answer."""
        self.response_complete = True
        self._protocol.answer(answer, keep_alive=self.keep_alive)


class HubProtocol(HttpToolsProtocol):
    """Raising in a parser's callback makes the answer a 400 and closes."""

    def __init__(self, router: Router, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._router = router
        self._head_bytes = 0
        self._upload: Upload | None = None
        """The request whose body is being pushed."""
        self._latest: tuple[object, list[tuple[bytes, bytes]], bytes] = (None, [], b"")
        """A kind of answer, uvicorn's own headers, and the head they make but for its length."""
        self._within = False
        """Whether the parser has begun with a request and not seen its end."""
        self._pushed_head: Head | None = None
        """Of the latest request that was parsed, where its body was pushed."""
        self._repeated: RepeatedHead | None = None

    def on_message_begin(self) -> None:
        """Another head; what uvicorn makes of it is made where it is needed."""
        self._within = True
        self._pushed_head = None
        self._head_bytes = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """A piece of the request's line."""
        self.url += url
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise ValueError(_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise ValueError(_TOO_LONG)

    def on_headers_complete(self) -> None:
        """Choose the way."""
        path, _, query = self.url.partition(b"?")
        if path in self._router.pushed and self._is_ordinary():
            headers, method = dict(self.headers), self.parser.get_method().decode("ascii")
            if (b"content-length" in headers or method == "GET") and b"transfer-encoding" not in headers:
                head = Head(method, path.decode("ascii"), query, headers)
                self._upload = self._open(head)
                if self._upload is not None:
                    self._pushed_head = head
                    return
        url, expect, found = self.url, self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += found
        super().on_headers_complete()

    def _open(self, head: Head) -> Upload | None:
        """Begin to answer a request on the short way; None, and nothing done, where that is not for it."""
        pushed, before = _Pushed(self), self.cycle
        self.cycle = pushed  # type: ignore[assignment]
        upload = self._router.open(head, pushed.reply)
        if upload is None:
            self.cycle = before
        return upload

    def _is_ordinary(self) -> bool:
        return (
            self._is_free()
            and not self.expect_100_continue
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    def _is_free(self) -> bool:
        """Whether the next request could be answered at once."""
        limit = self.limit_concurrency
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and (limit is None or (len(self.connections) < limit and len(self.tasks) < limit))
        )

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        if self._upload is not None:
            self._upload.feed(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole body was there."""
        self._within = False
        if self._upload is not None:
            upload, self._upload = self._upload, None
            upload.end()
        else:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        is_begin = not self._within
        if is_begin and self._repeated is not None and self._take_repeated(data, self._repeated):
            return
        super().data_received(data)
        if is_begin and not self._within and self._pushed_head is not None:
            self._repeated, self._pushed_head = RepeatedHead.of(data, self._pushed_head), None
        if self._upload is not None:
            self._upload.unfinished()

    def _take_repeated(self, data: bytes, repeated: RepeatedHead) -> bool:
        """Take a request without parsing it, if it is one with this head."""
        found = repeated.split(data) if self._is_free() else None
        if found is None:
            return False
        head, body = found
        self._unset_keepalive_if_required()
        upload = self._open(head)
        if upload is None:
            return False
        upload.feed(body)
        upload.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        if self._upload is not None:
            upload, self._upload = self._upload, None
            upload.gone()

    def answer(self, answer: Answer, *, keep_alive: bool) -> None:
        """Send an answer whole, and be ready for the next request."""
        if self.transport.is_closing():
            return
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        head = self._head_of(answer) + end
        if len(answer.body) < LARGE_BYTES:
            self.transport.write(head + answer.body)
        else:
            self.transport.writelines((head, answer.body))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _head_of(self, answer: Answer) -> bytes:
        """All but its last line. Most answers have no headers of their own and differ in their length alone."""
        common = self.server_state.default_headers  # made anew each second
        kind = (answer.status, answer.content_type, bool(answer.body), answer.headers)
        if kind != self._latest[0] or common is not self._latest[1]:
            fields = [b"%b: %b\r\n" % field for field in (*common, *answer_headers(answer)) if field[0] != _LENGTH]
            self._latest = kind, common, STATUS_LINE[answer.status] + b"".join(fields)
        head = self._latest[2]
        return head + b"%b: %d\r\n" % (_LENGTH, len(answer.body)) if has_length(answer) else head
