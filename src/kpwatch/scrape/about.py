"""What is said about every scrape beside its samples: `up`, Prometheus' own `scrape_*` names, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.scrape.fetch import ScrapeError
    from kpwatch.scrape.target import Outcome


class OwnSample(NamedTuple):
    """A sample of ours (`up`, health, the agent itself): a counter where its name ends in `_total`, else a gauge."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class ScrapeSize:
    """How much one scrape was; what was not reached stays 0."""

    __slots__ = ("duration_seconds", "response_bytes", "samples", "samples_kept", "series_added")

    def __init__(self, outcome: Outcome) -> None:
        self.duration_seconds = outcome.duration_seconds
        self.response_bytes = 0
        """Decompressed."""
        self.samples = 0
        self.samples_kept = 0
        """By the rules."""
        self.series_added = 0


_ABOUT: dict[str, Callable[[ScrapeSize, ScrapeError | None], float]] = {
    "up": lambda _, error: 0 if error is not None else 1,
    "scrape_duration_seconds": lambda size, _: size.duration_seconds,
    "scrape_samples_scraped": lambda size, _: size.samples,
    "scrape_samples_post_metric_relabeling": lambda size, _: size.samples_kept,
    "scrape_series_added": lambda size, _: size.series_added,
    "scrape_response_size_bytes": lambda size, _: size.response_bytes,
}
ABOUT_NAMES = frozenset(_ABOUT)
"""What is said of every scrape, so that nobody else may say it."""


def about_scrape(size: ScrapeSize, error: ScrapeError | None) -> list[OwnSample]:
    """The samples; `scrape_error_info{reason}` only where there is an `error`."""
    said = [OwnSample(name, (), value_of(size, error)) for name, value_of in _ABOUT.items()]
    if error is not None:
        said.append(OwnSample("scrape_error_info", (("reason", error.reason),), 1))
    return said
