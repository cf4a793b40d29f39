"""A real store with scrapes of real kube-proxies in it, and a clock that stands where the test puts it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from kpwatch.api.fleet import Fleet, FleetOptions
from kpwatch.api.fleet_reader import StoreReader
from kpwatch.base.telemetry import Registry
from kpwatch.doctor.standing import OfStore, StandingDoctor
from kpwatch.exposition.text import parse
from kpwatch.knowledge.load import knowledge, time_metrics
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import v1
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.model.source import SeriesSource

METRICS_URL = "http://127.0.0.1:10249/metrics"


class MovableClock:
    """Tells the time it was set to."""

    def __init__(self, unix_ms: int) -> None:
        self.ms = unix_ms

    def unix_seconds(self) -> float:
        return self.ms / 1000

    def unix_ms(self) -> int:
        return self.ms

    def monotonic_seconds(self) -> float:
        return self.ms / 1000


class Stored:
    """A store, and ways to fill and ask it."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        self.clock = MovableClock(now_ms)
        self.store = Store.open(StoreOptions(folder, commit_wait_seconds=0), Registry(), self.clock)
        self.doctor = StandingDoctor(OfStore(knowledge, self.store, max_samples=50_000_000), self.clock)
        self._decoder = Decoder(ReceiveOptions())

    def fleet(self, **options: float) -> Fleet:
        reader = StoreReader(self.engine, self.store, time_metrics)
        return Fleet(knowledge, reader, self.doctor.brief, self.clock, FleetOptions(**options))

    def engine(self, timeout_seconds: float, source: SeriesSource | None = None) -> Engine:
        return Engine(source or self.store, EngineOptions(timeout_seconds=timeout_seconds), self.clock)

    def rows(self, **options: float) -> dict[str, dict]:
        """The fleet table by ident."""
        return {row["ident"]: row for row in self.fleet(**options).table()["nodes"]}

    def write(self, body: bytes) -> None:
        self.store.append(self._decoder.decode(body).frames).result(timeout=30)

    def sample(self, at_ms: int, value: float, name: str, **labels: str) -> None:
        pairs = sorted({"__name__": name, **labels}.items())
        self.write(v1.encode_series(v1.encode_labels(pairs), [(at_ms, value)]))

    def scrape(self, node: str, capture: Path, at_ms: int, *, without: str = "", value: float | None = None) -> None:
        """What an agent on `node` would write, had kube-proxy answered `capture` (or `value` everywhere)."""
        own = {"ident": node, "instance": METRICS_URL, "job": "kube-proxy"}
        series = [(sample.name, dict(sample.labels), sample.value) for sample in parse(capture.read_bytes()).samples]
        parts = [
            v1.encode_series(
                v1.encode_labels(sorted({"__name__": name, **labels, **own}.items())),
                [(at_ms, scraped if value is None else value)],
            )
            for name, labels, scraped in [*series, ("up", {}, 1.0)]
            if not without or not re.fullmatch(without, name)
        ]
        self.write(b"".join(parts))

    def down(self, node: str, at_ms: int) -> None:
        """What an agent writes when kube-proxy does not answer."""
        self.sample(at_ms, 0.0, "up", ident=node, instance=METRICS_URL, job="kube-proxy")


def taken_ms(capture: Path) -> int:
    """When a capture was taken: the last line of the file beside it."""
    text = capture.with_name(capture.name.replace(".txt", ".endpoints.txt")).read_text().split()[-1]
    return round(datetime.fromisoformat(text).timestamp() * 1000)
