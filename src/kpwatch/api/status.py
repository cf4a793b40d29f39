"""/status/*: what this server is, in the shapes Prometheus' clients look for."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.api.answers import success
from kpwatch.api.forms import read_form
from kpwatch.base.clock import utc_text
from kpwatch.base.errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.base.clock import Clock

COMPATIBLE_VERSION = "3.0.0"
"""The first Prometheus whose PromQL and API this is: clients (Grafana) choose what to ask for by it.

What later versions added is here as far as it is about floats (docs/reference/promql.md); but who reads a later number
may expect what is not: native histograms, OTLP, and whatever the next one adds.
"""


TOP, TOP_MAX = 10, 10_000
"""Entries of each list of /status/tsdb, unless asked for more; Prometheus has these bounds."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the status pages tell about the process."""

    clock: Clock
    flags: Mapping[str, str]
    retention: str
    store: Callable[[], Mapping[str, Any]]
    """What the store says of itself; asked on a thread."""
    tops: Callable[[int], Mapping[str, Any]]
    """The largest so many metrics, labels and targets; asked on a thread."""


class StatusApi:
    """Handlers of /status/*."""

    def __init__(self, facts: ServerFacts, workers: Workers) -> None:
        self._facts = facts
        self._workers = workers
        self._started_ms = facts.clock.unix_ms()

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
                "startTime": utc_text(self._started_ms / 1000),
                "CWD": os.getcwd(),  # noqa: PTH109 - a string is all that is wanted
                "hostname": os.uname().nodename,
                "serverTime": utc_text(self._facts.clock.unix_seconds()),
                "reloadConfigSuccess": True,
                "lastConfigTime": utc_text(self._started_ms / 1000),
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

    async def config(self, _: Request) -> Answer:
        """GET /status/config: the options in YAML; there is no file behind them."""
        lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in self._facts.flags.items()]
        return success({"yaml": "".join(lines)})

    async def blocks(self, _: Request) -> Answer:
        """GET /status/tsdb/blocks: none of Prometheus' kind."""
        return success({"blocks": []})

    async def notifications(self, _: Request) -> Answer:
        """GET /notifications: none."""
        return success([])

    async def walreplay(self, _: Request) -> Answer:
        """GET /status/walreplay: nothing is replayed once the hub answers."""
        return success({"min": 0, "max": 0, "current": 0})

    async def tsdb(self, request: Request) -> Answer:
        """GET /status/tsdb?limit=: Prometheus' statistics in its words, and under `store` ours."""
        form = await read_form(request)
        try:
            limit = form.whole("limit")
        except BadQuery:
            limit = 0
        limit = TOP if limit is None else limit
        if limit < 1:
            raise BadQuery("limit must be a positive number")
        if limit > TOP_MAX:
            raise BadQuery(f"limit must not exceed {TOP_MAX}")
        facts = self._facts
        store, tops = await self._workers.run(lambda: (facts.store(), facts.tops(limit)))
        return success(
            {
                "headStats": {
                    "numSeries": store["series"],
                    "numLabelPairs": store["columns"] + store["targets"],
                    "chunkCount": store["blocks"]["count"],
                    "minTime": store["minTime"] or 0,
                    "maxTime": store["maxTime"] or 0,
                },
                **tops,
                "memoryBytes": memory_bytes(),
                "store": store,
            }
        )


def memory_bytes() -> int:
    """What of this process is in memory now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - one read of a file of the kernel's
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
