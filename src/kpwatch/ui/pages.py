"""The page: one handler for everything that is not an API.

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


def page_handler() -> Handler:
    """GET and HEAD of the views and of /assets/NAME; 304 where the browser has the same bytes, 404 for other paths."""
    files = {f"/assets/{name}": answer for name, answer in _files()}
    document = files.pop(f"/assets/{DOCUMENT}")
    urls = dict.fromkeys(VIEWS, document) | files

    async def answer(request: Request) -> Answer:
        whole = urls.get(request.path)
        if whole is None:
            return Answer(404, f"no page at {request.path[:200]}; the first one is /\n".encode(), headers=HEADERS)
        etag = dict(whole.headers)["etag"]
        return Answer(304, headers=whole.headers) if etag in request.header(b"if-none-match") else whole

    return answer


def _files() -> Iterator[tuple[str, Answer]]:
    for entry in resources.files("kpwatch.ui").joinpath("page").iterdir():
        content_type = CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if content_type is None:
            continue  # an editor's leftover is no part of the page
        body = entry.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        yield entry.name, Answer(200, body, content_type, (("etag", etag), *HEADERS))
