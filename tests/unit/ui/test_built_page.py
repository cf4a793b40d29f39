"""What the build made of web/: nothing foreign or inline, small before the query editor, the same list of views."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from kpwatch.ui.pages import CONTENT_TYPES, VIEWS
from tests.parts import built_page

WEB = Path(__file__).parents[3] / "web"
FOREIGN = re.compile(r"""(?:\b(?:src|href)=|url\(|fetch\(|import\(|from)\s*["'`]?(?:https?:)?//""")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", re.IGNORECASE)
EVAL = re.compile(r"\beval\(|\bnew Function\(")
MOST_BYTES_BEFORE_THE_EXPLORER = 100 * 1024
EDITOR = "editor-"


@pytest.fixture(scope="module")
def static() -> Path:
    """Where the built page is."""
    return built_page()


def test_script_and_server_know_the_same_views() -> None:
    """What the menu links to is served, and what is served has a page."""
    listed = re.findall(r'\{ path: "(\w*)"', (WEB / "src" / "app.tsx").read_text())
    assert tuple(f"/{path}" for path in listed) == VIEWS


def test_no_file_names_a_foreign_origin_or_evaluates_text(static: Path) -> None:
    """Neither addresses outside the hub nor text that becomes code: the policy would stop both in a browser."""
    for file in [static / "index.html", *(static / "assets").iterdir()]:
        text = file.read_text()
        assert FOREIGN.findall(text) == [], file.name
        assert EVAL.findall(text) == [], file.name


def test_the_document_has_nothing_inline(static: Path) -> None:
    """No script, style or handler in the document itself."""
    assert INLINE.findall((static / "index.html").read_text()) == []


def test_every_file_has_a_hash_and_a_type(static: Path) -> None:
    """So it can be kept for ever, and is served at all."""
    for file in (static / "assets").iterdir():
        assert re.fullmatch(r"[\w.-]+-[\w-]{8}\.\w+", file.name)
        assert file.suffix[1:] in CONTENT_TYPES


def test_all_scripts_before_the_explorer_are_small(static: Path) -> None:
    """Every page's script together, without the query editor: 100 KB as gzip sends it."""
    sizes = {
        file.name: len(gzip.compress(file.read_bytes(), mtime=0))
        for file in (static / "assets").glob("*.js")
        if not file.name.startswith(EDITOR)
    }
    assert sum(sizes.values()) <= MOST_BYTES_BEFORE_THE_EXPLORER, sizes
    assert len(list((static / "assets").glob(f"{EDITOR}*.js"))) == 1


def test_licences_of_what_is_built_in_go_along(static: Path) -> None:
    """Name, licence and text of each package in the bundle."""
    text = (static / "licenses.txt").read_text()
    for package in ("preact", "@prometheus-io/codemirror-promql", "@codemirror/view"):
        assert re.search(rf"^{re.escape(package)} \S+ \((MIT|Apache-2.0)\)$", text, re.MULTILINE), package
