"""The page's files are served with their types, a strict policy, and once per version; without them a hub says so."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.asgi import Answer, Request
from kpwatch.ui.pages import VIEWS, page_handler

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path
    from typing import Any

SCRIPT = b"export const x = 1;\n" * 200


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A built page in small."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "licenses.txt").write_text("MIT")
    (tmp_path / "assets" / "index-Ab12.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-Cd34.css").write_text("body {}")
    (tmp_path / "assets" / "left.swp").write_text("an editor's")
    return tmp_path


def get(static: Path, path: str, **headers: str) -> Answer:
    """The handler's answer to GET `path`."""

    async def nothing() -> MutableMapping[str, Any]:
        raise AssertionError("the page reads no bodies")

    async def ask() -> Answer | None:
        return await page_handler(static)(Request(scope, nothing))

    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": "GET", "path": path, "query_string": b"", "headers": sent}
    answer = asyncio.run(ask())
    assert answer is not None
    return answer


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_the_same_document(static: Path, path: str) -> None:
    """A view's URL can be opened, reloaded and sent: it answers the document that draws it, never one from a cache."""
    answer = get(static, path)
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    assert answer.body == (static / "index.html").read_bytes()
    assert dict(answer.headers)["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/assets/index-Ab12.js", "text/javascript; charset=utf-8"),
        ("/assets/index-Cd34.css", "text/css; charset=utf-8"),
    ],
)
def test_files_with_a_hash_are_kept_for_ever(static: Path, path: str, content_type: str) -> None:
    """Their names change with their bytes; browsers must not guess their types (nosniff)."""
    answer = get(static, path)
    assert (answer.status, answer.content_type) == (200, content_type)
    headers = dict(answer.headers)
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_policy_lets_nothing_foreign_or_inline_in(static: Path) -> None:
    """default-src 'self' and no exception from it."""
    policy = dict(get(static, "/").headers)["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("etag", "status"),
    [("{}", 304), ("W/{}", 304), ('"other", {}', 304), ('"other"', 200), ("", 200)],
)
def test_a_browser_with_the_same_bytes_gets_none(static: Path, etag: str, status: int) -> None:
    """The ETag decides: the same bytes are not sent twice, other bytes always are."""
    known = dict(get(static, "/").headers)["etag"]
    answer = get(static, "/", if_none_match=etag.format(known))
    assert answer.status == status
    assert (answer.body == b"") == (status == 304)


@pytest.mark.parametrize(
    ("path", "accepted", "coding"),
    [
        ("/assets/index-Ab12.js", "br, gzip", "gzip"),
        ("/assets/index-Ab12.js", "br", None),
        ("/", "gzip", None),  # smaller than a packet
    ],
)
def test_large_files_are_compressed_for_who_takes_it(
    static: Path, path: str, accepted: str, coding: str | None
) -> None:
    """gzip, said so; what it holds is the file."""
    answer = get(static, path, accept_encoding=accepted)
    headers = dict(answer.headers)
    assert headers.get("content-encoding") == coding
    assert headers["vary"] == "accept-encoding"
    assert (gzip.decompress(answer.body) if coding else answer.body) == get(static, path).body


@pytest.mark.parametrize(
    "path", ["/nothing", "/assets/", "/assets/index.html", "/assets/left.swp", "/assets/../pages.py", "/table/x"]
)
def test_other_paths_are_not_found(static: Path, path: str) -> None:
    """404 in plain words."""
    answer = get(static, path)
    assert answer.status == 404
    assert path.encode() in answer.body


@pytest.mark.parametrize("path", VIEWS)
def test_a_hub_without_the_built_page_says_how_to_build_it(tmp_path: Path, path: str) -> None:
    """Installed from a checkout in which nobody ran make: the command, in both languages, and where the API is."""
    answer = get(tmp_path / "absent", path)
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    for words in ("make page", "页面尚未构建", "api/kpwatch/v1/fleet"):
        assert words in answer.body.decode()
