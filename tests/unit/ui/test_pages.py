"""The page's files are served with their types, a strict policy, and once per version."""

from __future__ import annotations

import asyncio
import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.asgi import Answer, Request
from kpwatch.ui.pages import CONTENT_TYPES, VIEWS, page_handler

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

PAGE = resources.files("kpwatch.ui").joinpath("page")
FILES = sorted(entry.name for entry in PAGE.iterdir())
FOREIGN = re.compile(r"""(?:src|href|url|fetch|import|from)\s*[=(]?\s*["'(]?\s*(?:https?:)?//""")


def get(path: str, etag: str = "") -> Answer:
    """The handler's answer to GET `path`."""

    async def nothing() -> MutableMapping[str, Any]:
        raise AssertionError("the page reads no bodies")

    headers = [(b"if-none-match", etag.encode())] if etag else []
    scope = {"method": "GET", "path": path, "query_string": b"", "headers": headers}
    answer = asyncio.run(_ask(Request(scope, nothing)))
    assert answer is not None
    return answer


async def _ask(request: Request) -> Answer | None:
    return await page_handler()(request)


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_the_same_document(path: str) -> None:
    """A view's URL can be opened, reloaded and sent: it answers the document that draws it."""
    answer = get(path)
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    assert answer.body == PAGE.joinpath("index.html").read_bytes()


def test_script_and_server_know_the_same_views() -> None:
    """What the menu links to is served, and what is served is in the menu."""
    listed = re.findall(r'\{ path: "(\w*)"', PAGE.joinpath("main.js").read_text())
    assert tuple(f"/{path}" for path in listed) == VIEWS


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_every_file_is_served_with_its_type(name: str) -> None:
    """Each file of the page folder has a URL and a content type; browsers must not guess (nosniff)."""
    answer = get(f"/assets/{name}")
    assert (answer.status, answer.content_type) == (200, CONTENT_TYPES[name.rpartition(".")[2]])
    assert dict(answer.headers)["x-content-type-options"] == "nosniff"


def test_the_policy_lets_nothing_foreign_or_inline_in() -> None:
    """default-src 'self' and no exception from it."""
    policy = dict(get("/").headers)["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_foreign_origin(name: str) -> None:
    """No address outside the hub is loaded; an XML namespace is a name, not an address."""
    text = PAGE.joinpath(name).read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert FOREIGN.findall(text) == []


@pytest.mark.parametrize(
    ("etag", "status"),
    [("{}", 304), ("W/{}", 304), ('"other", {}', 304), ('"other"', 200), ("", 200)],
)
def test_a_browser_with_the_same_bytes_gets_none(etag: str, status: int) -> None:
    """The ETag decides: the same bytes are not sent twice, other bytes always are."""
    known = dict(get("/assets/main.js").headers)["etag"]
    answer = get("/assets/main.js", etag.format(known))
    assert answer.status == status
    assert (answer.body == b"") == (status == 304)


@pytest.mark.parametrize("path", ["/nothing", "/assets/", "/assets/index.html", "/assets/../pages.py", "/table/x"])
def test_other_paths_are_not_found(path: str) -> None:
    """404 in plain words."""
    answer = get(path)
    assert answer.status == 404
    assert path.encode() in answer.body
