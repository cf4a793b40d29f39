"""From a request to its parameters: what every handler shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.params import Form
from kpwatch.base.asgi import too_long
from kpwatch.base.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.asgi import Head, Reply, Request

FORM_LIMIT_BYTES = 1 << 20
_FORM_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Form:
    """Parameters of a GET or of a form POST; raises BadQuery, TooLarge, ClientGone."""
    return _form(request, await request.body(FORM_LIMIT_BYTES) if request.method == "POST" else b"")


def _form(head: Head, body: bytes) -> Form:
    is_form = body and head.header(b"content-type").partition(";")[0].strip().lower() == _FORM_TYPE
    return Form(head.query, body if is_form else b"")


class FormUpload:
    """A request whose parameters are pushed, see `base.asgi.Upload`; `serve` gets them where they are complete."""

    __slots__ = ("_body", "_head", "_reply", "_serve")

    def __init__(self, head: Head, reply: Reply, serve: Callable[[Head, Form, Reply], None]) -> None:
        """`serve` replies, or raises what the reply is to be."""
        self._head = head
        self._reply: Reply | None = reply
        """None once `serve` has it, or there was an answer."""
        self._serve = serve
        self._body = b""

    def feed(self, piece: bytes) -> None:
        """See Upload; what comes with a GET is nobody's."""
        if self._head.method != "POST":
            return
        self._body += piece
        if len(self._body) > FORM_LIMIT_BYTES:
            self._body = b""
            self._answer(too_long(FORM_LIMIT_BYTES, self._head.path))

    def unfinished(self) -> None:
        """See Upload."""

    def gone(self) -> None:
        """See Upload."""
        self._answer(ClientGone())

    def end(self) -> None:
        """See Upload."""
        reply, self._reply = self._reply, None
        if reply is None:
            return
        try:
            self._serve(self._head, _form(self._head, self._body), reply)
        except Exception as error:  # noqa: BLE001 - whoever answers judges it
            reply(error)

    def _answer(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply(error)
