"""A bundle: a directory with what a kube-proxy answered, to judge later or to hand to somebody else.

    bundle.json   {"version": 1, "ident": …, "scrapes": [{"time": RFC 3339, "metrics": R, "healthz": R, …}, …]}
    R             {"url": …, "status": 200 | null, "error": null | "timeout" | …, "file": "0-metrics.txt" | null,
                   "seconds": 0.012, "time": RFC 3339 (optional), "headers": {…} (optional)}

Files are named relative to the directory and lie in it. No secret gets in: URLs are written without user and password,
of the headers only those that the doctor reads.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, redact_url
from kpwatch.doctor.documents import Node, Reply, Scrape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VERSION = 1
MANIFEST = "bundle.json"
LARGEST_FILE_BYTES = 64 << 20
_KEPT_HEADERS = ("content-type", "date", "process-start-time-unix")
_SUFFIXES = {"metrics": "txt", "proxy_mode": "txt"}
_REASONS = (
    ("refused", "refused"),
    ("timeout", "timeout"),
    ("timed out", "timeout"),
    ("deadline", "timeout"),
    ("reset", "reset"),
    ("no such host", "dns"),
    ("resolve", "dns"),
    ("name resolution", "dns"),
    ("name or service", "dns"),
    ("no route", "unreachable"),
    ("unreachable", "unreachable"),
    ("too large", "too_large"),
    ("eof", "cut"),
    ("cut", "cut"),
    ("incomplete", "cut"),
)
"""Words of an error, in lower case -> what kind of failure it is."""
_SAID = {"refused": "connection refused"}
"""How a kind of failure is written; others as they are."""


def read_bundle(directory: Path) -> Node:
    """The node in a bundle; raises ConfigError naming the file, the place in it and the rule."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; a bundle is a directory that `kpwatch doctor --save` made"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    try:
        return _node(manifest, directory)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path}: {said}; expected a bundle of version {VERSION}") from error


def _node(manifest: dict[str, Any], directory: Path) -> Node:
    if manifest["version"] != VERSION:
        raise ValueError(f"version {manifest['version']!r}")
    scrapes = [_scrape(number, entry, directory) for number, entry in enumerate(manifest["scrapes"])]
    if not scrapes:
        raise ValueError("it holds no scrape")
    return Node(str(manifest["ident"]), tuple(sorted(scrapes, key=lambda scrape: scrape.at_seconds)))


def _scrape(number: int, entry: dict[str, Any], directory: Path) -> Scrape:
    at_seconds = _seconds(entry["time"], f"scrapes[{number}].time")
    replies = {
        name: _reply(f"scrapes[{number}].{name}", reply, at_seconds, directory)
        for name, reply in entry.items()
        if isinstance(reply, dict)
    }
    return Scrape(at_seconds, replies)


def _reply(place: str, entry: dict[str, Any], at_seconds: float, directory: Path) -> Reply:
    url, status, error = str(entry.get("url", "")), entry.get("status"), entry.get("error")
    asked = _seconds(entry["time"], f"{place}.time") if entry.get("time") else at_seconds
    took = float(entry.get("seconds") or 0.0)
    if not 0 <= took < math.inf:
        raise ValueError(f"{place}.seconds {took}: expected how long it took")
    if status is None or error:
        return Reply(url, failure_of(str(error or "no answer")), asked, took)
    headers = {str(name).lower(): str(value) for name, value in (entry.get("headers") or {}).items()}
    return Reply(url, Answer(int(status), headers, _body(place, entry.get("file"), directory)), asked, took)


def _body(place: str, file: object, directory: Path) -> bytes:
    if file is None:
        return b""
    path = directory / str(file)
    if "\0" in str(file) or path.resolve().parent != directory.resolve():
        raise ValueError(f"{place}.file {file!r} is not in the bundle's directory")
    try:
        with path.open("rb") as stream:
            body = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{place}.file {file!r}: {error.strerror}") from error
    if len(body) > LARGEST_FILE_BYTES:
        raise ValueError(f"{place}.file {file!r} is larger than {LARGEST_FILE_BYTES >> 20} MiB")
    return body


def failure_of(error: str) -> Failure:
    """What kind of failure an error's words mean."""
    words = error.lower()
    return Failure(next((reason for word, reason in _REASONS if word in words), "error"), error)


def _seconds(text: object, place: str) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ValueError(f"{place} {text!r}: expected a time such as 2026-11-22T19:01:27.5Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def require_new(directory: Path) -> None:
    """Raise ConfigError where a bundle cannot be written for it holds one: to be known before anybody is asked."""
    if (directory / MANIFEST).exists():
        raise ConfigError(f"{directory / MANIFEST} exists; --save needs a new directory")


def write_bundle(node: Node, directory: Path) -> None:
    """Write `node` into `directory`, which is made if need be; raises ConfigError where it cannot, or holds one."""
    path = directory / MANIFEST
    require_new(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        scrapes = []
        for number, scrape in enumerate(node.scrapes):
            entry: dict[str, Any] = {"time": rfc3339(scrape.at_seconds)}
            for name, reply in scrape.replies.items():
                entry[name], body = _manifest_of(reply, f"{number}-{name}.{_SUFFIXES.get(name, 'json')}")
                if body is not None:
                    (directory / entry[name]["file"]).write_bytes(body)
            scrapes.append(entry)
        manifest = {"version": VERSION, "ident": node.ident, "scrapes": scrapes}
        path.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{directory}: cannot save the bundle: {error.strerror}") from error


def _manifest_of(reply: Reply, file: str) -> tuple[dict[str, Any], bytes | None]:
    entry: dict[str, Any] = {"url": redact_url(reply.url), "status": None, "error": None, "file": None}
    entry |= {"seconds": round(reply.took_seconds, 6), "time": rfc3339(reply.asked_seconds)}
    outcome = reply.outcome
    if isinstance(outcome, Failure):
        return entry | {"error": _SAID.get(outcome.reason, outcome.reason)}, None
    return entry | {"status": outcome.status, "file": file, "headers": dict(_kept(outcome.headers))}, outcome.body


def _kept(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in headers.items() if name in _KEPT_HEADERS)


def rfc3339(unix_seconds: float) -> str:
    """A time as JSON has it, to the microsecond."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat().replace("+00:00", "Z")
