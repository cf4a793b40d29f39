"""The page as handlers, one for each of its URLs.

The page is a handful of static files in `page/`: no template, no build. They are read once and answered from memory
with a content hash as ETag, so a browser asks again cheaply and never runs yesterday's script against today's hub.
Each view's URL answers the same document; its script draws the view that the URL names.

The policy lets the page load nothing that this hub did not serve: no inline script or style, no foreign origin, no
frame around it. What the page shows it asks of the hub's API (`kpwatch.api`), which this room does not know.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from kpwatch.base.asgi import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.base.asgi import Handler, Request

VIEWS = ("/", "/table")  # page/main.js has the same list
DOCUMENT = "index.html"
CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
HEADERS = (
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),  # keep it, but ask whether it is still so
)


def page_handlers() -> dict[str, Handler]:
    """Path -> handler of every URL of the page: the views and /assets/NAME. For GET and HEAD.

    A handler answers 304 to a browser that has the same bytes.
    """
    handlers = {f"/assets/{name}": _handler(answer) for name, answer in _files()}
    document = handlers.pop(f"/assets/{DOCUMENT}")
    return {path: document for path in VIEWS} | handlers


def _files() -> Iterator[tuple[str, Answer]]:
    for entry in resources.files("kpwatch.ui").joinpath("page").iterdir():
        content_type = CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if content_type is None:
            continue  # an editor's leftover is no part of the page
        body = entry.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        yield entry.name, Answer(200, body, content_type, (("etag", etag), *HEADERS))


def _handler(whole: Answer) -> Handler:
    unchanged = Answer(304, headers=whole.headers)
    etag = dict(whole.headers)["etag"]

    async def answer(request: Request) -> Answer:
        return unchanged if etag in request.header(b"if-none-match") else whole

    return answer
