"""What one kube-proxy answered: scrapes, each a set of documents, each an answer or the reason why there is none.

A document is `metrics`, `healthz`, `livez` or `proxy_mode`; others (`configz`, …) are carried and not read. Times are
unix seconds by the clock of whoever asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.base.http import Answer, Failure

PATHS = {
    "metrics": ("metrics", "/metrics"),
    "proxy_mode": ("metrics", "/proxyMode"),
    "healthz": ("health", "/healthz"),
    "livez": ("health", "/livez"),
}
"""Document -> (port, path)."""


class Reply(NamedTuple):
    """One request and what came of it."""

    url: str
    outcome: Answer | Failure
    asked_seconds: float
    took_seconds: float

    @property
    def middle_seconds(self) -> float:
        """When, as well as can be known, the other side wrote its answer."""
        return self.asked_seconds + self.took_seconds / 2


class Scrape(NamedTuple):
    """Everything asked at about the same time."""

    at_seconds: float
    replies: Mapping[str, Reply]


class Node(NamedTuple):
    """One kube-proxy and its scrapes, in order of time."""

    ident: str
    scrapes: tuple[Scrape, ...]

    @property
    def url(self) -> str:
        """Of its metrics; "" where they were never asked for."""
        return next((scrape.replies["metrics"].url for scrape in self.scrapes if "metrics" in scrape.replies), "")
