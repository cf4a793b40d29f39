"""From a request to its parameters, and from an answer to what the client can take: the parts every handler shares."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

from kpwatch.api.params import Form

if TYPE_CHECKING:
    from kpwatch.base.asgi import Answer, Request

FORM_LIMIT_BYTES = 1 << 20
_FORM_TYPE = "application/x-www-form-urlencoded"
_WORTH_ZIPPING_BYTES = 1400
_FAST = 1


async def read_form(request: Request) -> Form:
    """Parameters of a GET or of a form POST; raises BadQuery, TooLarge, ClientGone."""
    if request.method != "POST":
        return Form(request.query)
    body = await request.body(FORM_LIMIT_BYTES)
    is_form = request.header(b"content-type").partition(";")[0].strip().lower() == _FORM_TYPE
    return Form(request.query, body if is_form else b"")


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip: named and not with a weight of zero."""
    for offer in request.header(b"accept-encoding").lower().split(","):
        name, _, weight = offer.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.strip().removeprefix("q=").strip("0.") != "" or not weight.strip()
    return False


def zipped(answer: Answer) -> Answer:
    """The answer gzipped, where that is worth it; slow for big ones, so not for the event loop."""
    if len(answer.body) < _WORTH_ZIPPING_BYTES:
        return answer
    headers = (*answer.headers, ("content-encoding", "gzip"), ("vary", "accept-encoding"))
    return replace(answer, body=gzip.compress(answer.body, _FAST, mtime=0), headers=headers)
