"""What a target is told to do: one URL of one `[[instances]]` table, everything expanded and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.http import redact_url
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.formats import PROTOCOLS
from kpwatch.relabel.options import NO_RULES

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions
    from kpwatch.relabel.options import SampleRules

Pairs = tuple[tuple[str, str], ...]

DELETE_LABEL = "-"
"""A value in `labels` that deletes the label instead of setting it."""


class TargetOptions(NamedTuple):
    """One URL to scrape. Secrets are here in clear: `repr` hides them, nothing else may print them."""

    url: str
    interval_seconds: float = 15.0
    timeout_seconds: float = 3.0
    """For the whole request, body included."""
    url_labels: Pairs = ()
    """What the URL itself adds (usually `instance`); overwrites a scraped label of the same name."""
    labels: Pairs = ()
    """Forced on every sample; the value "-" deletes the label."""
    headers: Pairs = ()
    username: str = ""
    password: str = ""
    bearer_token: str = ""
    bearer_token_file: str = ""
    """Read again before every scrape; wins over `bearer_token`."""
    tls: TlsOptions | None = None
    body_limit_bytes: int = 64 << 20
    """Of the decompressed body; above it the scrape fails as `too_large`."""
    sample_limit: int = 0
    """Samples per scrape; 0 = no limit."""
    scrape_protocols: tuple[str, ...] = tuple(PROTOCOLS)
    """What is asked for, by `formats.PROTOCOLS`' names, the first one most; whatever comes is read."""
    honor_timestamps: bool = True
    """A body's own timestamps count; else its samples are of the time of the scrape."""
    rules: SampleRules = NO_RULES
    """Which samples count, what they are worth and what they are called."""
    health_url: str = ""
    """Base of the health port (`http://HOST:10256`), "" = not asked."""

    def __repr__(self) -> str:
        return f"TargetOptions(url={redact_url(self.url)!r}, interval_seconds={self.interval_seconds})"
