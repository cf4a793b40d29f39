"""Runbooks and dictionary in Markdown, and the copies in docs/."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from kpwatch.knowledge.load import knowledge
from kpwatch.publish.catalogue import Wishes, documents_for

REPOSITORY = Path(__file__).resolve().parents[3]


def test_docs_runbooks_are_current() -> None:
    """`make generate` would change nothing."""
    script = REPOSITORY / "scripts/make-runbooks"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "current\n"), done.stderr


def test_every_check_has_a_runbook_in_each_language_and_every_link_leads_somewhere() -> None:
    """Also those from one to the other language."""
    pages = {document.path: document.text for document in documents_for("markdown", Wishes())}
    for check in knowledge().checks:
        for name in (f"{check.id}.md", f"{check.id}.zh-CN.md"):
            assert check.id in pages[f"markdown/runbooks/{name}"]
    for path, text in pages.items():
        for link in re.findall(r"\]\(([^)#:]+\.md)\)", text):
            assert f"{path.rpartition('/')[0]}/{link}" in pages, path


def test_the_dictionary_explains_what_kube_proxy_says() -> None:
    """Each metric has a heading."""
    pages = {document.path: document.text for document in documents_for("markdown", Wishes())}
    ours = {group.id for group in knowledge().metric_groups if group.exposed_by in ("kube-proxy", "scraper")}
    for name in ("kube-proxy.md", "kube-proxy.zh-CN.md"):
        headings = re.findall("^### `(.+)`$", pages[f"markdown/dictionary/{name}"], re.MULTILINE)
        assert set(headings) == {row.name for row in knowledge().metrics if row.group in ours}
