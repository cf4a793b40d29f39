"""What an agent says of itself as JSON: why it is not ready, how its targets are.

Ready is an agent whose first round of scrapes is over and whose writers deliver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.base.clock import utc_text
from kpwatch.base.http import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpwatch.operate.lanes import LaneState
    from kpwatch.scrape.watch import TargetWatch


def reasons_not_ready(unscraped: int, targets: int, lanes: Iterable[LaneState], max_lag_seconds: float) -> list[str]:
    """In sentences. `unscraped` targets of the first round; `max_lag_seconds` 0: any lag will do."""
    reasons = []
    if unscraped:
        reasons.append(f"{unscraped} of {targets} targets were not scraped yet")
    for lane in lanes:
        if max_lag_seconds and lane.lag_seconds > max_lag_seconds:
            because = f": {lane.problem}" if lane.problem else ""
            reasons.append(
                f"writer {lane.url} lags {lane.lag_seconds:.0f} s behind (at most {max_lag_seconds:g}), "
                f"{lane.waiting_samples} samples wait{because}"
            )
    return reasons


def targets_document(watches: Iterable[TargetWatch]) -> dict[str, Any]:
    """The document of /targets."""
    return {"targets": [_target(watch) for watch in watches]}


def _target(watch: TargetWatch) -> dict[str, Any]:
    latest = watch.latest
    report: dict[str, Any] = {
        "url": redact_url(watch.options.url),
        "labels": watch.labels,
        "labels_relabelled": watch.labels_relabelled,
        "interval_seconds": watch.options.interval_seconds,
        "next_scrape": utc_text(watch.next_ms / 1000) if watch.next_ms else None,
        "last_scrape": None,
        "up": None,
        "error": None,
        "duration_seconds": None,
        "samples": None,
        "samples_kept": None,
    }
    if latest is not None:
        report |= {
            "last_scrape": utc_text(latest.timestamp_ms / 1000),
            "up": latest.error is None,
            "error": f"{latest.error.reason}: {latest.error.detail}" if latest.error is not None else None,
            "duration_seconds": round(latest.size.duration_seconds, 6),
            "samples": latest.size.samples,
            "samples_kept": latest.size.samples_kept,
        }
    return report


def to_json(document: dict[str, Any]) -> str:
    """As it is sent."""
    from json import dumps  # noqa: PLC0415 - for who asks

    return dumps(document, ensure_ascii=False, indent=1) + "\n"
