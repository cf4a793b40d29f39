"""Where the server is, who we are to it, and how much it may cost us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from kpwatch.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

API_SUFFIX = "/api/v1"
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x1f\x7f]*)")


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """One server that speaks Prometheus' HTTP API."""

    url: str
    """Before `/api/v1`, without a slash at the end."""
    write_url: str = ""
    """Of Remote Write, whole; "" = writes are refused."""
    timeout_seconds: float = 120.0
    """For a whole answer."""
    connect_seconds: float = 5.0
    concurrency: int = 16
    """Queries, and as many writes, that are with the server at one time."""
    waiting: int = 256
    """Requests that may wait for their turn; more are answered 503."""
    answer_bytes: int = 256 << 20
    """Of one answer, as it is sent."""
    basic_auth_file: Path | None = None
    """One line user:password."""
    bearer_token_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    tenant: str = ""
    """X-Scope-OrgID, which Mimir, Loki's kin and their gateways ask for."""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_skip_verify: bool = False


def server_url(option: str, text: str) -> str:
    """A URL as it is used: no slash at the end, no `/api/v1`; raises UsageError."""
    parts = _http_url(option, text)
    path = parts.path.rstrip("/").removesuffix(API_SUFFIX).rstrip("/")
    return parts._replace(path=path).geturl()


def write_url(option: str, text: str) -> str:
    """A Remote Write URL as it is used; raises UsageError."""
    return _http_url(option, text, query=True).geturl()


def _http_url(option: str, text: str, *, query: bool = False) -> SplitResult:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from error
    if not is_url or parts.fragment or (parts.query and not query):
        raise UsageError(f"{option} {text!r}: expected a URL such as http://prometheus:9090")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{option}: a URL is shown in logs and pages; give its password by --engine-basic-auth-file")
    return parts


def header(text: str) -> tuple[str, str]:
    """`Name: value`; raises UsageError."""
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UsageError(f"--engine-header {text!r}: expected NAME: VALUE")
    return found[1], found[2].rstrip()
