"""/status/*: what this server is, in the shapes Prometheus' clients look for."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.api.answers import success

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.base.clock import Clock

COMPATIBLE_VERSION = "3.0.0"
"""The Prometheus whose PromQL and API this is: clients (Grafana) choose what to ask for by it."""


@dataclass(frozen=True, slots=True)
class HeadStatus:
    """How much is kept."""

    series: int = 0
    label_pairs: int = 0
    chunks: int = 0
    earliest_ms: int = 0
    latest_ms: int = 0
    series_by_metric: tuple[tuple[str, int], ...] = ()
    """Largest first."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the status pages tell about the process."""

    clock: Clock
    flags: Mapping[str, str]
    retention: str
    head: Callable[[], HeadStatus]
    started_ms: int = field(default=0)


class StatusApi:
    """Handlers of /status/*."""

    def __init__(self, facts: ServerFacts, workers: Workers) -> None:
        self._facts = facts
        self._workers = workers
        self._started_ms = facts.started_ms or facts.clock.unix_ms()

    async def buildinfo(self, _: Request) -> Answer:
        """GET /status/buildinfo; `version` is the Prometheus this is compatible with."""
        return success(
            {
                "version": COMPATIBLE_VERSION,
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
                "application": "kpwatch",
                "applicationVersion": __version__,
                "pythonVersion": sys.version.split()[0],
            }
        )

    async def runtimeinfo(self, _: Request) -> Answer:
        """GET /status/runtimeinfo."""
        return success(
            {
                "startTime": _rfc3339(self._started_ms),
                "CWD": os.getcwd(),  # noqa: PTH109 - a string is all that is wanted
                "hostname": os.uname().nodename,
                "serverTime": _rfc3339(self._facts.clock.unix_ms()),
                "reloadConfigSuccess": True,
                "lastConfigTime": _rfc3339(self._started_ms),
                "corruptionCount": 0,
                "goroutineCount": 0,
                "GOMAXPROCS": os.cpu_count() or 1,
                "GOMEMLIMIT": 0,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": self._facts.retention,
            }
        )

    async def flags(self, _: Request) -> Answer:
        """GET /status/flags: every option and its value; secrets are files, and only their names are here."""
        return success(dict(self._facts.flags))

    async def tsdb(self, _: Request) -> Answer:
        """GET /status/tsdb."""
        head = await self._workers.run(self._facts.head)
        return success(
            {
                "headStats": {
                    "numSeries": head.series,
                    "numLabelPairs": head.label_pairs,
                    "chunkCount": head.chunks,
                    "minTime": head.earliest_ms,
                    "maxTime": head.latest_ms,
                },
                "seriesCountByMetricName": _counts(head.series_by_metric),
                "labelValueCountByLabelName": [],
                "memoryInBytesByLabelName": [],
                "seriesCountByLabelValuePair": [],
            }
        )


def _counts(pairs: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
    return [{"name": name, "value": count} for name, count in pairs]


def _rfc3339(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
