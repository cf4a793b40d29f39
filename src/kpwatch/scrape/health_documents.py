"""What kube-proxy's other pages say, as samples. Pure: an answer goes in, samples come out.

    :10256/healthz, /livez   three shapes, the same on 200 and 503 (k/k pkg/proxy/healthcheck/proxy_health.go)
        up to 1.27     {"lastUpdated": "GO TIME","currentTime": "GO TIME"}
        1.28 to 1.32   the same, and on /healthz , "nodeEligible": true
        1.33 on        {"lastUpdated":"RFC 3339",…,"nodeEligible":true,"status":{"IPv4":{"lastUpdated":…},"IPv6":{…}}}
    :10249/proxyMode         one word
    :10249/configz           the configuration in effect, as JSON

A page that does not answer is itself the news (`kpwatch_healthz_up` 0). /livez answers 404 before 1.28, and /configz
may be switched off: then nothing is said about them. What is answered in another shape gives the samples that can be
read of it and is counted by whoever asks (`Reading.understood`).

From 1.33 each IP family has its own time of the last good sync; before, and without a label, there is the document's
own, which while the proxy is healthy is simply "now".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kpwatch.base.digest import sha256_hex
from kpwatch.base.http import Failure
from kpwatch.base.named import NamedTuple
from kpwatch.scrape.about import OwnSample

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.http import Answer
    from kpwatch.scrape.options import Pairs

PROXY_MODES = ("iptables", "ipvs", "nftables", "kernelspace", "userspace")

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)? ?(?:Z|([+-])(\d\d):?(\d\d))")
"""RFC 3339, and Go's own form: what follows the offset (a zone's name, a monotonic reading) is not needed."""

_DAYS_TO_1970 = 719_468
"""From the first of March of the year 0."""


class Reading(NamedTuple):
    """What one page said."""

    samples: list[OwnSample]
    understood: bool = True
    """False: there was an answer, and its body is not what this page is known to say."""


def read_healthz(outcome: Answer | Failure, asked_seconds: float) -> Reading:
    """/healthz, asked at `asked_seconds` of our own clock (unix time, the middle of the request)."""
    return _read_health("kpwatch_healthz", outcome, asked_seconds)


def read_livez(outcome: Answer | Failure, _asked_seconds: float = 0.0) -> Reading:
    """/livez; nothing where this version has none."""
    if not isinstance(outcome, Failure) and outcome.status == 404:
        return Reading([])
    return _read_health("kpwatch_livez", outcome, None)


def read_proxy_mode(outcome: Answer | Failure, _asked_seconds: float = 0.0) -> Reading:
    """`kpwatch_proxy_mode_info{mode}`, where the answer is one of the modes there are."""
    if isinstance(outcome, Failure) or outcome.status != 200:
        return Reading([])
    mode = outcome.body.decode(errors="replace").strip()
    if mode not in PROXY_MODES:
        return Reading([], understood=False)
    return Reading([OwnSample("kpwatch_proxy_mode_info", (("mode", mode),), 1)])


def read_config(outcome: Answer | Failure, _asked_seconds: float = 0.0) -> Reading:
    """`kpwatch_config_info{sha256}` of the configuration in effect, where it is shown."""
    if isinstance(outcome, Failure) or outcome.status != 200:
        return Reading([])
    if _json_object(outcome.body) is None:
        return Reading([], understood=False)
    return Reading([OwnSample("kpwatch_config_info", (("sha256", sha256_hex(outcome.body.strip())),), 1)])


PAGES: tuple[tuple[str, str, Callable[[Answer | Failure, float], Reading]], ...] = (
    ("health", "/healthz", read_healthz),
    ("health", "/livez", read_livez),
    ("metrics", "/proxyMode", read_proxy_mode),
    ("metrics", "/configz", read_config),
)
"""Port, path, reader."""


def _read_health(prefix: str, outcome: Answer | Failure, asked_seconds: float | None) -> Reading:
    if isinstance(outcome, Failure):
        return Reading([OwnSample(f"{prefix}_up", (), 0)])
    samples = [OwnSample(f"{prefix}_up", (), 1), OwnSample(f"{prefix}_status_code", (), outcome.status)]
    document = _json_object(outcome.body)
    if document is None:
        return Reading(samples, understood=False)
    updated = _last_updates(document)
    samples += [OwnSample(f"{prefix}_last_updated_timestamp_seconds", labels, at) for labels, at in updated]
    eligible = document.get("nodeEligible")
    if isinstance(eligible, bool):
        samples.append(OwnSample("kpwatch_node_eligible", (), float(eligible)))
    now = parse_time(document.get("currentTime"))
    if asked_seconds is not None and now is not None:
        samples.append(OwnSample("kpwatch_clock_offset_seconds", (), now - asked_seconds))
    return Reading(samples, understood=bool(updated))


def _last_updates(document: dict[str, Any]) -> list[tuple[Pairs, float]]:
    """(labels, unix seconds) of each IP family, else of the document itself."""
    status = document.get("status")
    families = status if isinstance(status, dict) else {}
    texts = {str(name): family.get("lastUpdated") for name, family in families.items() if isinstance(family, dict)}
    times = {name: parse_time(text) for name, text in (texts or {"": document.get("lastUpdated")}).items()}
    return [(_family_label(name), at) for name, at in times.items() if at is not None]


def _family_label(name: str) -> Pairs:
    return (("ip_family", name),) if name else ()


def _json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object a body is, or None."""
    try:
        from json import loads  # noqa: PLC0415 - not every target has a health port

        value = loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_time(text: object) -> float | None:
    """Unix seconds of a time as Go prints it or as RFC 3339 has it; 0 for Go's zero time, None where it is neither."""
    match = _TIME.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    if year == 1:
        return 0.0
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        return None
    fraction, sign, offset_hours, offset_minutes = match.group(7, 8, 9, 10)
    offset_seconds = (int(offset_hours) * 3600 + int(offset_minutes) * 60) * (-1 if sign == "-" else 1) if sign else 0
    whole = _days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_seconds
    return whole + float(fraction or 0)


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Of the Gregorian calendar, counted in years that begin in March (`datetime` costs an agent half a megabyte)."""
    march_year = year - (month < 3)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return march_year * 365 + march_year // 4 - march_year // 100 + march_year // 400 + day_of_year - _DAYS_TO_1970
