"""The captures of real kube-proxies as the doctor's documents."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from kpwatch.base.http import Answer, Failure
from kpwatch.doctor.documents import Node, Reply, Scrape

if TYPE_CHECKING:
    from pathlib import Path

_SECTION = re.compile(r"^### GET (\S+)\n", re.MULTILINE)
_DOCUMENTS = {":10256/healthz": "healthz", ":10256/livez": "livez", ":10249/proxyMode": "proxy_mode"}


def scrape_of(folder: Path, name: str) -> Scrape:
    """`1.36.3-iptables-churn` of the captures' folder."""
    pages = (folder / f"real-{name}.endpoints.txt").read_text()
    taken = re.findall(r"20\d\d-\S+T\S+", pages)[-1]
    at_seconds = datetime.fromisoformat(f"{taken[:26]}+00:00").timestamp()
    replies = {}
    _, *sections = _SECTION.split(pages)
    for url, section in zip(sections[::2], sections[1::2], strict=True):
        document = next((name for end, name in _DOCUMENTS.items() if url.endswith(end)), None)
        if document:
            replies[document] = Reply(url, _answer(section), at_seconds, 0.0)
    metrics = folder / f"real-{name}.txt"
    url = "http://127.0.0.1:10249/metrics"
    if metrics.exists():
        replies["metrics"] = Reply(url, Answer(200, {}, metrics.read_bytes()), at_seconds, 0.0)
    else:
        replies["metrics"] = Reply(url, Failure("refused", "connection refused"), at_seconds, 0.0)
    return Scrape(at_seconds, replies)


def _answer(section: str) -> Answer | Failure:
    head, _, body = section.partition("\n\n")
    status = re.match(r"HTTP/1\.\d (\d+)", head)
    if status is None:
        return Failure("refused", "connection refused")
    lines = [line.partition(":") for line in head.splitlines()[1:]]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    return Answer(int(status[1]), headers, body.partition("\n")[0].encode())


def node_of(folder: Path, *names: str) -> Node:
    """A node with these captures as its scrapes."""
    return Node(names[-1], tuple(scrape_of(folder, name) for name in names))
