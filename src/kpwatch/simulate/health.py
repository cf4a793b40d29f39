"""Health documents: what :10256/healthz and /livez say, in the form of each version.

    up to 1.27   {"lastUpdated": "GO TIME","currentTime": "GO TIME"}                      /livez: 404
    1.28 - 1.32  the same and , "nodeEligible": true                                      /livez: without it
    1.33 on      {"lastUpdated":"RFC 3339", …,"nodeEligible":true,"healthy":true,"status":{"IPv4":{…},"IPv6":{…}}}

GO TIME is Go's own form with the monotonic reading, `m=+SECONDS` since the process started. While healthy, lastUpdated
is simply now; only on 503 it is the last good sync. (k/k pkg/proxy/healthcheck/proxy_health.go, releases as above.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

_EXTRA_NS = 27_000
"""From 1.33 the clock is read a second time for lastUpdated."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a document is written from. Times in unix seconds."""

    minor: int
    now: float
    started: float
    healthy: bool
    eligible: bool
    last: float
    """Last good sync of the address family in use."""
    idle_last: float
    """Last sync of the idle family; 0 = there is none."""


def healthz(health: Health) -> tuple[int, str]:
    """(status, body) of /healthz."""
    status = 200 if health.healthy and health.eligible else 503
    if health.minor >= 33:
        return status, _document(health, {"nodeEligible": health.eligible})
    eligible = f', "nodeEligible": {json.dumps(health.eligible)}' if health.minor >= 28 else ""
    return status, _old_document(health, eligible)


def livez(health: Health) -> tuple[int, str] | None:
    """(status, body) of /livez; None = this version has none."""
    if health.minor < 28:
        return None
    status = 200 if health.healthy else 503
    return status, _document(health, {}) if health.minor >= 33 else _old_document(health, "")


def _document(health: Health, eligible: dict[str, bool]) -> str:
    families = {"IPv4": {"lastUpdated": _rfc3339(health.last), "healthy": health.healthy}}
    if health.idle_last:
        families["IPv6"] = {"lastUpdated": _rfc3339(health.idle_last), "healthy": True}
    updated = _rfc3339(health.now, _EXTRA_NS) if health.healthy else _rfc3339(health.last)
    head = {"lastUpdated": updated, "currentTime": _rfc3339(health.now)}
    document = {**head, **eligible, "healthy": health.healthy, "status": families}
    return json.dumps(document, separators=(",", ":"))


def _old_document(health: Health, rest: str) -> str:
    updated = health.now if health.healthy else health.last
    return f'{{"lastUpdated": "{_go(updated, health)}","currentTime": "{_go(health.now, health)}"{rest}}}'


def _split(at: float, extra_ns: int) -> tuple[datetime, str]:
    """(whole second, nine digits of its fraction)."""
    seconds, nanoseconds = divmod(int(at * 1e6) * 1000 + extra_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC), f"{nanoseconds:09d}"


def _rfc3339(at: float, extra_ns: int = 0) -> str:
    """Go's RFC3339Nano: a fraction without trailing zeros."""
    second, fraction = _split(at, extra_ns)
    fraction = fraction.rstrip("0")
    return f"{second:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def _go(at: float, health: Health) -> str:
    second, fraction = _split(at, 0)
    fraction = fraction.rstrip("0")
    whole = f"{second:%Y-%m-%d %H:%M:%S}{'.' if fraction else ''}{fraction} +0000 UTC"
    return f"{whole} m=+{at - health.started:.9f}"
