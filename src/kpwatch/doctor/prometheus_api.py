"""One request to a server with Prometheus' HTTP API."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from kpwatch import __version__
from kpwatch.base.errors import KpwatchError, QueryFailed, UsageError
from kpwatch.base.http import basic_auth, redact_url

_ANSWER_LIMIT_BYTES = 1 << 30


def ask_server(url: str, path: str, parameters: dict[str, str], timeout_seconds: float) -> dict[str, Any]:
    """The server's answer as JSON.

    Raises UsageError for a URL that is none, QueryFailed where the server refuses the query, KpwatchError where it does
    not answer as Prometheus' API does.
    """
    place, authorization = without_secret(url)
    headers = {"User-Agent": f"kpwatch/{__version__}", "Accept": "application/json", **authorization}
    request = Request(place + path, urlencode(parameters).encode(), headers, method="POST")  # noqa: S310 - checked below
    try:
        with urlopen(request, timeout=timeout_seconds) as response:  # noqa: S310
            body = response.read(_ANSWER_LIMIT_BYTES)
    except HTTPError as error:
        with error:
            body = error.read(1 << 20)
        raise QueryFailed(f"{place}: {error.code} {reason_of(body) or error.reason}") from error
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise KpwatchError(f"{place} does not answer: {reason}; is the hub running there? (--url)") from error
    try:
        answer: dict[str, Any] = json.loads(body)
        answer["data"]["resultType"]
    except (ValueError, KeyError, TypeError) as error:
        raise KpwatchError(f"{place}{path} is no Prometheus API: {body[:80]!r}") from error
    return answer


def ask_hub(url: str, path: str, timeout_seconds: float) -> dict[str, Any] | None:
    """A document of a hub's own API; None from a server that is none. Raises UsageError, KpwatchError."""
    place, authorization = without_secret(url)
    headers = {"User-Agent": f"kpwatch/{__version__}", "Accept": "application/json", **authorization}
    try:
        with urlopen(Request(place + path, headers=headers), timeout=timeout_seconds) as response:  # noqa: S310
            body = response.read(_ANSWER_LIMIT_BYTES)
    except HTTPError:
        return None  # another server, or a hub that cannot: the queries will tell
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise KpwatchError(f"{place} does not answer: {reason}; is the server running there? (--prometheus)") from error
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def without_secret(url: str) -> tuple[str, dict[str, str]]:
    """(URL without user and slash, the header that says who we are); raises UsageError."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise UsageError(f"{redact_url(url)!r}: expected http://HOST:PORT or https://HOST:PORT")
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    if parts.username is None:
        return place, {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return place, {"Authorization": basic_auth(credentials)}


def reason_of(body: bytes) -> str:
    """The sentence in a server's error answer."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace").strip()
