"""Health documents: what :10256/healthz and /livez say, in the form of each version.

    up to 1.27   {"lastUpdated": "GO TIME","currentTime": "GO TIME"}                      /livez: 404
    1.28 - 1.32  the same and , "nodeEligible": true                                      /livez: without it
    1.33 on      {"lastUpdated":"RFC 3339", …,"nodeEligible":true,"healthy":true,"status":{"IPv4":{…},"IPv6":{…}}}

GO TIME is Go's own form with the monotonic reading, `m=+SECONDS` since the process started. While healthy, lastUpdated
is simply now; only on 503 it is the last good sync of any family (up to 1.32 of the one that is late).
(k/k pkg/proxy/healthcheck/proxy_health.go, releases as above.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXTRA_NS = 27_000
"""From 1.33 the clock is read a second time for lastUpdated."""


@dataclass(frozen=True, slots=True)
class Family:
    """One address family of a proxy."""

    last: float
    """Last good sync, unix seconds; 0 = never."""
    age_seconds: float
    """How old the process was then."""
    healthy: bool


@dataclass(frozen=True, slots=True)
class Health:
    """What a document is written from. Times are the node's."""

    minor: int
    now: float
    age_seconds: float
    """How old the process is."""
    eligible: bool
    families: Mapping[str, Family]

    @property
    def healthy(self) -> bool:
        """Whether no family is late."""
        return all(family.healthy for family in self.families.values())

    @property
    def updated(self) -> Family:
        """What an unhealthy document calls lastUpdated."""
        late = [family for family in self.families.values() if not family.healthy]
        if late and self.minor < 33:
            return late[0]
        return max(self.families.values(), key=lambda family: family.last)


def healthz(health: Health) -> tuple[int, str]:
    """(status, body) of /healthz."""
    good = health.healthy and health.eligible
    if health.minor >= 33:
        return 200 if good else 503, _document(health, good, {"nodeEligible": health.eligible})
    eligible = f', "nodeEligible": {json.dumps(health.eligible)}' if health.minor >= 28 else ""
    return 200 if good else 503, _old_document(health, good, eligible)


def livez(health: Health) -> tuple[int, str] | None:
    """(status, body) of /livez; None = this version has none."""
    if health.minor < 28:
        return None
    good = health.healthy
    document = _document(health, good, {}) if health.minor >= 33 else _old_document(health, good, "")
    return 200 if good else 503, document


def _document(health: Health, good: bool, eligible: dict[str, bool]) -> str:
    families = {
        name: {"lastUpdated": _rfc3339(family.last), "healthy": family.healthy}
        for name, family in health.families.items()
    }
    updated = _rfc3339(health.now, _EXTRA_NS) if good else _rfc3339(health.updated.last)
    head = {"lastUpdated": updated, "currentTime": _rfc3339(health.now)}
    document = {**head, **eligible, "healthy": health.healthy, "status": families}
    return json.dumps(document, separators=(",", ":"))


def _old_document(health: Health, good: bool, rest: str) -> str:
    now = _go(health.now, health.age_seconds)
    updated = now if good else _go(health.updated.last, health.updated.age_seconds)
    return f'{{"lastUpdated": "{updated}","currentTime": "{now}"{rest}}}'


def _split(at: float, extra_ns: int) -> tuple[datetime, str]:
    """(whole second, nine digits of its fraction)."""
    seconds, nanoseconds = divmod(int(at * 1e6) * 1000 + extra_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC), f"{nanoseconds:09d}"


def _rfc3339(at: float, extra_ns: int = 0) -> str:
    """Go's RFC3339Nano: a fraction without trailing zeros."""
    if not at:
        return "0001-01-01T00:00:00Z"
    second, fraction = _split(at, extra_ns)
    fraction = fraction.rstrip("0")
    return f"{second:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def _go(at: float, age_seconds: float) -> str:
    if not at:
        return "0001-01-01 00:00:00 +0000 UTC"
    second, fraction = _split(at, 0)
    fraction = fraction.rstrip("0")
    whole = f"{second:%Y-%m-%d %H:%M:%S}{'.' if fraction else ''}{fraction} +0000 UTC"
    return f"{whole} m=+{age_seconds:.9f}"
