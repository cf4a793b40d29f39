"""The page: one handler for everything that is not an API.

The page is built from `web/` into `static/` (by `make`; not in git, carried in the wheel). Its files are read once and
answered from memory. A file of `assets/` has a hash of its bytes in its name, so browsers keep it for ever; the one
document that names them has an ETag, so no browser runs yesterday's page against today's hub. Each view's URL answers
that document; its script draws the view that the URL names. Without `static/` each view says how to build it.

The policy lets the page load nothing that this hub did not serve: no inline script or style, no eval, no foreign
origin, no frame around it. What the page shows it asks of the hub's API (`kpwatch.api`), which this room does not know.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING

from kpwatch.base.asgi import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from kpwatch.base.asgi import Handler, Request

# web/src/app.tsx has the same list.
VIEWS = ("/", "/node", "/slo", "/table", "/dictionary", "/alerts", "/targets", "/about")
CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
ASK_AGAIN = ("cache-control", "no-cache")  # keep it, but ask whether it is still so
FOR_EVER = ("cache-control", "public, max-age=31536000, immutable")
WORTH_COMPRESSING_BYTES = 1400

NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>kpwatch: the page is not built</title></head><body>
<h1>This hub runs; its page is not built</h1>
<p>In the checkout that kpwatch was installed from, run <code>make page</code>, then start the hub again.
It needs no Node.js: where there is none, make fetches it from PyPI. Wheels of releases carry the page.</p>
<h1 lang="zh-CN">hub 正在运行，但页面尚未构建</h1>
<p lang="zh-CN">请在安装所用的代码目录中执行 <code>make page</code>，再重启 hub。</p>
<p>The API answers: <a href="api/kpwatch/v1/fleet">fleet</a>, <a href="api/kpwatch/v1/findings">findings</a>,
<a href="api/kpwatch/v1/openapi.json">every URL</a>.</p>
</body></html>
""".encode()


class PageFile:
    """One file of the page, and its answers."""

    def __init__(self, name: str, body: bytes, *, kept: tuple[str, str]) -> None:
        """`kept`: how long a browser may keep it, as a header."""
        self.body = body
        self._content_type = CONTENT_TYPES[name.rpartition(".")[2]]
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = (("etag", self._etag), kept, ("vary", "accept-encoding"), *HEADERS)

    @cached_property
    def _gzipped(self) -> bytes:
        return gzip.compress(self.body, mtime=0)

    def answer(self, request: Request) -> Answer:
        """200, or 304 where the browser has the same bytes."""
        if self._etag in request.header(b"if-none-match"):
            return Answer(304, headers=self._headers)
        if len(self.body) < WORTH_COMPRESSING_BYTES or "gzip" not in request.header(b"accept-encoding"):
            return Answer(200, self.body, self._content_type, self._headers)
        return Answer(200, self._gzipped, self._content_type, (("content-encoding", "gzip"), *self._headers))


def page_handler(static: Traversable | None = None) -> Handler:
    """GET and HEAD of the views and of the page's files; 404 for other paths. `static`: where the built page is."""
    files = dict(_files(static or resources.files("kpwatch.ui").joinpath("static")))
    document = files.pop("/index.html", None) or PageFile("index.html", NOT_BUILT, kept=ASK_AGAIN)
    urls = dict.fromkeys(VIEWS, document) | files

    async def answer(request: Request) -> Answer:
        found = urls.get(request.path)
        if found is None:
            return Answer(
                404, f"no page at {request.path[:200]}; the first one is /\n".encode(), headers=(*HEADERS, ASK_AGAIN)
            )
        return found.answer(request)

    return answer


def _files(static: Traversable) -> Iterator[tuple[str, PageFile]]:
    for folder, kept in ((static, ASK_AGAIN), (static.joinpath("assets"), FOR_EVER)):
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.is_file() and entry.name.rpartition(".")[2] in CONTENT_TYPES:
                path = f"/{entry.name}" if folder is static else f"/assets/{entry.name}"
                yield path, PageFile(entry.name, entry.read_bytes(), kept=kept)
