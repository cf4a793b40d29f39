"""What is asked of a target, and what its answer means. Pure but for the bearer token's file."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kpwatch import __version__
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, Url, format_request

if TYPE_CHECKING:
    from kpwatch.scrape.options import TargetOptions

ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"

_LOOPBACK_HOSTS = ("localhost", "127.", "::1")


UNMAKEABLE = (OSError, UnicodeDecodeError, ConfigError)
"""What `scrape_request` raises."""


class ScrapeError(NamedTuple):
    """Why a scrape gave no samples. `reason` is short and closed (a label value); `detail` is for the log."""

    reason: str
    detail: str


def scrape_request(options: TargetOptions, url: Url) -> bytes:
    """The request's bytes.

    Raises OSError or UnicodeDecodeError where the bearer token's file cannot be read, ConfigError where a header (such
    as the token) holds a line break.
    """
    headers = {"Accept": ACCEPT, "User-Agent": f"kpwatch/{__version__}"}
    if not url.host.startswith(_LOOPBACK_HOSTS):
        headers["Accept-Encoding"] = "gzip"  # on loopback it costs both sides CPU and saves nobody a byte
    token = options.bearer_token
    if options.bearer_token_file:
        token = Path(options.bearer_token_file).read_text(encoding="utf-8").strip()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif options.username and options.password:
        credentials = b64encode(f"{options.username}:{options.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    headers.update(options.headers)
    return format_request("GET", url, headers)


def judge(outcome: Answer | Failure) -> bytes | ScrapeError:
    """The body of a good answer, else why there is none."""
    if isinstance(outcome, Failure):
        return ScrapeError(outcome.reason, outcome.detail)
    if outcome.status != 200:
        return ScrapeError(f"http_{outcome.status}", f"status code: {outcome.status}")
    if outcome.headers.get("content-type", "").lower().startswith("text/html"):
        return ScrapeError(
            "not_metrics", "the answer is an HTML page; is this the metrics port (10249), path /metrics?"
        )
    return outcome.body


def unusable(options: TargetOptions, samples: int, body_bytes: int) -> ScrapeError | None:
    """Why a body with so many samples makes no scrape, or None where it does."""
    if samples == 0:
        return ScrapeError("not_metrics", f"nothing in {body_bytes} bytes is a metric; is this a metrics page?")
    if 0 < options.sample_limit < samples:
        return ScrapeError("sample_limit", f"{samples} samples, the limit is {options.sample_limit}")
    return None
