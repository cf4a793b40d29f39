"""What is asked of a target, and what its answer means. Pure but for the bearer token's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch import __version__
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, Url, basic_auth, format_request
from kpwatch.base.looks import read_file
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.formats import accept_header, format_of

if TYPE_CHECKING:
    from kpwatch.exposition.formats import Format
    from kpwatch.exposition.text import LineError
    from kpwatch.scrape.options import TargetOptions

_NOT_METRICS = {
    "text/html": "the answer is an HTML page; is this the metrics port (10249), path /metrics?",
    "application/vnd.google.protobuf": "the answer is protobuf, which was not asked for and is not read",
}
"""Media types that are not even looked at."""

_LOOPBACK_HOSTS = ("localhost", "127.", "::1")


UNMAKEABLE = (OSError, UnicodeDecodeError, ConfigError)
"""What `scrape_request` raises."""


class ScrapeError(NamedTuple):
    """Why a scrape gave no samples. `reason` is short and closed (a label value); `detail` is for the log."""

    reason: str
    detail: str


def scrape_request(options: TargetOptions, url: Url, *, secrets: bool = True) -> bytes:
    """The request's bytes; without `secrets` nothing but what anybody may see.

    Raises OSError or UnicodeDecodeError where the bearer token's file cannot be read, ConfigError where a header (such
    as the token) holds a line break.
    """
    headers = {"Accept": accept_header(options.scrape_protocols), "User-Agent": f"kpwatch/{__version__}"}
    if not url.host.lower().startswith(_LOOPBACK_HOSTS):
        headers["Accept-Encoding"] = "gzip"  # on loopback it costs both sides CPU and saves nobody a byte
    if not secrets:
        return format_request("GET", url, headers)
    token = options.bearer_token
    if options.bearer_token_file:
        token = read_file(options.bearer_token_file).decode().strip()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif options.username and options.password:
        headers["Authorization"] = basic_auth(f"{options.username}:{options.password}")
    headers.update(options.headers)
    return format_request("GET", url, headers)


def judge(outcome: Answer | Failure) -> bytes | ScrapeError:
    """The body of a good answer, else why there is none."""
    if isinstance(outcome, Failure):
        return ScrapeError(outcome.reason, outcome.detail)
    if outcome.status != 200:
        return ScrapeError(f"http_{outcome.status}", f"status code: {outcome.status}")
    content_type = outcome.headers.get("content-type", "").lower()
    for media_type, what_it_is in _NOT_METRICS.items():
        if content_type.startswith(media_type):
            return ScrapeError("not_metrics", what_it_is)
    return outcome.body


def answered_format(outcome: Answer | Failure) -> Format:
    """The format an answer says it is in."""
    return "text" if isinstance(outcome, Failure) else format_of(outcome.headers.get("content-type", ""))


def refused(errors: list[LineError]) -> ScrapeError:
    """Why a body whose format knows no half bodies makes no scrape."""
    first = errors[0]
    return ScrapeError(
        "bad_openmetrics",
        f"line {first.line_number}, column {first.column}: {first.reason} ({len(errors)} broken lines; an OpenMetrics "
        f"body counts as a whole or not at all)",
    )


def unusable(options: TargetOptions, samples: int, body_bytes: int, body_format: Format = "text") -> ScrapeError | None:
    """Why a body with so many samples makes no scrape, or None where it does."""
    if samples == 0 and body_format == "text":  # the end of OpenMetrics says that there really is nothing
        return ScrapeError("not_metrics", f"nothing in {body_bytes} bytes is a metric; is this a metrics page?")
    if 0 < options.sample_limit < samples:
        return ScrapeError("sample_limit", f"{samples} samples, the limit is {options.sample_limit}")
    return None
