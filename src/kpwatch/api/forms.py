"""From a request to its parameters: what every handler shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.params import Form

if TYPE_CHECKING:
    from kpwatch.base.asgi import Request

FORM_LIMIT_BYTES = 1 << 20
_FORM_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Form:
    """Parameters of a GET or of a form POST; raises BadQuery, TooLarge, ClientGone."""
    if request.method != "POST":
        return Form(request.query)
    body = await request.body(FORM_LIMIT_BYTES)
    is_form = request.header(b"content-type").partition(";")[0].strip().lower() == _FORM_TYPE
    return Form(request.query, body if is_form else b"")
