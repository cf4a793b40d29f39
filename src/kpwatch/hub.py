"""The right half of the map: what arrives is stored, what is stored is asked for.

    receive ──> store ──> promql ──> api ──> page
                  └── names ─────────┘

`build` wires the rooms and starts nothing; `Hub.start` opens the door. Starting quickly is a feature (a restart of the
hub must not cost an agent's patience), so the engine is loaded when the first query comes, or right after the hub is
ready, whichever is first.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from kpwatch.api.admin import AdminApi
from kpwatch.api.auth_file import FileGate
from kpwatch.api.cors import ANY, Cors
from kpwatch.api.describing import DescribingApi
from kpwatch.api.downloads import DownloadsApi, Shelf
from kpwatch.api.federate import FederateApi
from kpwatch.api.fleet import Fleet
from kpwatch.api.fleet_reader import StoreReader
from kpwatch.api.kept import KeptAnswers
from kpwatch.api.metadata import MetadataApi
from kpwatch.api.own import OwnApi
from kpwatch.api.query import QueryApi
from kpwatch.api.router import Router
from kpwatch.api.routes import Handlers, routes
from kpwatch.api.rules import RulesApi
from kpwatch.api.server import HttpServer, loopback
from kpwatch.api.small import SAMPLES_MAX
from kpwatch.api.status import ServerFacts, StatusApi
from kpwatch.api.targets import TargetsApi
from kpwatch.api.workers import Workers
from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import ConfigError, QueryTimeout, UsageError
from kpwatch.base.heap import give_back, keep_freed
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.doctor.standing import OfStore, StandingDoctor
from kpwatch.knowledge.load import knowledge, time_metrics
from kpwatch.receive.handler import WriteHandler
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions
from kpwatch.ui.pages import page_handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpwatch.api.certificate import TlsFiles
    from kpwatch.base.clock import Clock
    from kpwatch.model.results import QueryResult
    from kpwatch.model.source import SeriesSource
    from kpwatch.promql.engine import Engine
    from kpwatch.rules.options import RuleOptions
    from kpwatch.rules.ruler import Ruler
    from kpwatch.upstream.options import UpstreamOptions


ANSWERS_SHARE = 8
"""Whole answers have the part of the cache that this is the denominator of."""
WARM_UP_END_SECONDS = 10.0
"""How long the end of a warm-up is waited for."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What one query and all queries together may cost."""

    timeout_seconds: float = 120.0
    concurrency: int = 4
    waiting: int = 64
    """Queries that may wait for one of the threads; more are answered 503."""
    max_samples: int = 50_000_000
    answer_bytes_max: int = 256 << 20
    """Of the text of one answer, before it is compressed; 0 = no bound."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """One hub."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 19000
    """0 = any free port."""
    retention_seconds: float = 15 * 86_400.0
    """0 = for ever."""
    retention_bytes: int = 0
    """Above it the oldest blocks go; 0 = no bound."""
    cache_bytes: int = 128 << 20
    """What queries leave for the next, decoded samples and whole answers; 0 = nothing."""
    targets_max: int = 100_000
    series_per_target_max: int = 1_000_000
    """Both: 0 = no limit."""
    auth_file: Path | None = None
    allow_anonymous: bool = False
    """Serve other machines without asking who they are."""
    admin_user: str = ""
    """The user of the auth file who may delete series; "" = nobody may."""
    tls: TlsFiles | None = None
    """Certificate and key; None = no TLS."""
    cors_origin: str = ANY
    """Whose pages may read Prometheus' API from a browser: a regular expression of whole origins."""
    rules: RuleOptions | None = None
    """None = none are evaluated."""
    upstream: UpstreamOptions | None = None
    """The engine that keeps the samples instead of a store here; see gateway.py."""
    max_connections: int = 4096
    receive: ReceiveOptions = field(default_factory=ReceiveOptions)
    query: QueryOptions = field(default_factory=QueryOptions)


class QueryClock:
    """The clock that queries measure their time with: once the hub stops, everybody's time is over.

    A query looks at its deadline after every step it takes, so this ends those that run; else a hub could be kept from
    ending for as long as the slowest of them takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stopping = False

    def unix_seconds(self) -> float:
        """See Clock."""
        return self._clock.unix_seconds()

    def unix_ms(self) -> int:
        """See Clock."""
        return self._clock.unix_ms()

    def monotonic_seconds(self) -> float:
        """See Clock; later than any deadline once the hub is stopping."""
        return math.inf if self.stopping else self._clock.monotonic_seconds()


class LazyEngine:
    """The engine, loaded by the first who needs it; its parser, numpy and re2 are half of what the hub imports."""

    def __init__(self, store: Store, options: QueryOptions, clock: Clock) -> None:
        self._store = store
        self._options = options
        self._clock = QueryClock(clock)
        self._latest_small: tuple[float, Engine] | None = None
        """The engine that was made last for small queries, and for how long they might take."""

    def __call__(self, timeout_seconds: float, source: SeriesSource | None = None) -> Engine:
        """An engine over `source`, else over the store; engines hold nothing, so making one is free."""
        return self._made(timeout_seconds, self._options.max_samples, source or self._store)

    def small(self, timeout_seconds: float) -> Engine:
        """An engine over the store for queries that nobody has to wait for. Event loop only."""
        if self._latest_small is None or self._latest_small[0] != timeout_seconds:
            made = self._made(timeout_seconds, min(self._options.max_samples, SAMPLES_MAX), self._store)
            self._latest_small = timeout_seconds, made
        return self._latest_small[1]

    def _made(self, timeout_seconds: float, max_samples: int, source: SeriesSource) -> Engine:
        from kpwatch.promql.engine import Engine, EngineOptions  # noqa: PLC0415 - see the class

        return Engine(source, EngineOptions(max_samples=max_samples, timeout_seconds=timeout_seconds), self._clock)

    def warm_up(self) -> None:
        """Load what the first query would have to wait for."""
        from kpwatch.api.warm_up import warm_up  # noqa: PLC0415 - see the class

        with suppress(QueryTimeout):  # the hub was stopped before it was warm
            warm_up(partial(self, self._options.timeout_seconds))
        knowledge()

    def stop(self) -> None:
        """End the queries that run."""
        self._clock.stopping = True


class Hub:
    """The rooms, wired; `start` and `stop` belong to one thread."""

    def __init__(
        self,
        store: Store,
        engine: LazyEngine,
        doctor: OfStore,
        workers: Workers,
        own: OwnApi,
        server: HttpServer,
        telemetry: Registry,
        rules: Ruler | None = None,
    ) -> None:
        self.store = store
        self.telemetry = telemetry
        self._engine = engine
        self._doctor = doctor
        self._workers = workers
        self._own = own
        self._server = server
        self._warming: threading.Thread | None = None
        self.rules = rules

    @property
    def engine(self) -> Engine:
        """An engine over the store."""
        return self._engine(self._workers.timeout_seconds)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where the hub answers, without a slash at the end."""
        return self._server.url

    def start(self) -> None:
        """Listen; raises ConfigError where the address cannot be had, with the store closed again."""
        try:
            self._server.start()
        except ConfigError:
            self._workers.close()
            if self.rules is not None:
                self.rules.stop()
            self.store.close()
            raise
        if self.rules is not None:
            self.rules.start(self._server.outside_url)
        self._warming = threading.Thread(target=self._warm_up, name="warm-up", daemon=True)
        self._warming.start()

    def _warm_up(self) -> None:
        self._engine.warm_up()
        self._doctor.doctor()
        give_back()

    def stop(self) -> None:
        """Answer what is being answered, commit what was taken, close the store: all within bounds."""
        self._own.stopping = True
        self._engine.stop()
        self._server.stop()
        self._workers.close()
        if self.rules is not None:
            self.rules.stop()
        self.store.close()
        if self._warming is not None:  # a thread that is within a C++ library when Python ends takes the process down
            self._warming.join(WARM_UP_END_SECONDS)


def build(options: HubOptions, *, clock: Clock = SYSTEM_CLOCK, log: Logger | None = None) -> Hub:
    """A hub that listens to nothing yet; raises UsageError, ConfigError, StoreError."""
    log = log or Logger(clock=clock)
    telemetry = Registry()
    gate = make_gate(options, telemetry, log)

    store = Store.open(_store_options(options), telemetry, clock)
    engine = LazyEngine(store, options.query, clock)
    workers = make_workers(options.query, telemetry)
    kept = KeptAnswers(store, options.cache_bytes // ANSWERS_SHARE, telemetry)
    of_store = OfStore(knowledge, store, max_samples=options.query.max_samples)
    findings = StandingDoctor(of_store, clock)
    own = OwnApi(
        Fleet(knowledge, StoreReader(engine, store, time_metrics), findings.brief, clock),
        findings.document,
        knowledge,
        workers,
        telemetry,
    )
    rules = _rules(options, engine, store, telemetry, clock, log) if options.rules is not None else None
    write = WriteHandler(store, options.receive, telemetry)
    describing = DescribingApi(
        workers,
        knowledge,
        write.descriptions,
        has_admin=bool(options.admin_user),
        has_rules=options.rules is not None,
    )
    handlers = Handlers(
        write=write,
        push=write.upload,
        query=QueryApi(engine, workers, clock, engine.small, kept),
        metadata=MetadataApi(store, workers),
        describing=describing,
        targets=TargetsApi(engine, workers, clock, describing.families),
        federate=FederateApi(engine, workers, clock),
        status=StatusApi(_facts(options, store, clock), workers),
        own=own,
        downloads=make_downloads(options, workers),
        rules=RulesApi(rules),
        admin=AdminApi(store, gate, options.admin_user, log),
    )
    router = Router(routes(handlers), page_handler(), gate, telemetry, log, Cors(options.cors_origin))
    server = HttpServer(router, options.host, options.port, options.max_connections, log, options.tls, looks_of(gate))
    return Hub(store, engine, of_store, workers, own, server, telemetry, rules)


def _rules(
    options: HubOptions, engine: LazyEngine, store: Store, telemetry: Registry, clock: Clock, log: Logger
) -> Ruler:
    from kpwatch.rules.build import StoreSink, make_ruler  # noqa: PLC0415 - most hubs have no rules

    assert options.rules is not None, "there are rules"
    timeout_seconds = options.rules.timeout_seconds

    def ask(query: str, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        return engine(timeout_seconds).instant(query, at_ms, lookback_ms=lookback_ms)

    data = options.data
    return make_ruler(options.rules, ask, StoreSink(store), data, telemetry=telemetry, clock=clock, log=log)


def _store_options(options: HubOptions) -> StoreOptions:
    return StoreOptions(
        options.data,
        options.retention_seconds,
        options.retention_bytes,
        cache_bytes=options.cache_bytes - options.cache_bytes // ANSWERS_SHARE,
        targets_max=options.targets_max,
        series_per_target_max=options.series_per_target_max,
    )


def make_workers(options: QueryOptions, telemetry: Registry) -> Workers:
    """Where queries are evaluated."""
    bounds = (options.concurrency, options.waiting, options.timeout_seconds)
    return Workers(*bounds, telemetry, options.answer_bytes_max, keep_freed, give_back)


def make_downloads(options: HubOptions, workers: Workers) -> DownloadsApi:
    """What can be taken along."""

    def shelf() -> Shelf:
        from kpwatch.publish.catalogue import TARGETS  # noqa: PLC0415 - few ask
        from kpwatch.publish.downloads import downloads  # noqa: PLC0415
        from kpwatch.publish.manifest import agent_manifest  # noqa: PLC0415

        return Shelf(TARGETS, downloads, partial(agent_manifest, asks_who=options.auth_file is not None))

    return DownloadsApi(shelf, workers, "https" if options.tls else "http")


def make_gate(options: HubOptions, telemetry: Registry, log: Logger) -> FileGate | None:
    """Who may ask; raises UsageError for a hub that is open to other machines without anybody having said so."""
    if options.auth_file is not None:
        return FileGate(options.auth_file, options.admin_user, telemetry, log)
    if options.admin_user:
        raise UsageError(
            "--enable-admin-api needs --auth-file FILE with a line for the admin: not everybody who writes may delete"
        )
    if loopback(options.host):
        return None
    if not options.allow_anonymous:
        raise UsageError(
            f"--listen {options.host}:{options.port} can be reached by other machines: give --auth-file FILE "
            "(user:secret lines), or --allow-anonymous if everybody may write and read"
        )
    log.warning(f"everybody who reaches {options.host}:{options.port} may write and read: --allow-anonymous")
    return None


def looks_of(gate: FileGate | None) -> list[Callable[[], None]]:
    """What the server has to call now and then."""
    return [gate.look] if gate is not None else []


def shown_flags(options: HubOptions) -> dict[str, str]:
    """Every option as /status/flags shows it."""
    return {
        "listen": f"{options.host}:{options.port}",
        "data": str(options.data),
        "retention": f"{options.retention_seconds:.0f}s",
        "retention-size": str(options.retention_bytes),
        "cache-size": str(options.cache_bytes),
        "max-targets": str(options.targets_max),
        "max-series-per-target": str(options.series_per_target_max),
        "max-labels-per-series": str(options.receive.labels_per_series),
        "max-label-name-bytes": str(options.receive.label_name_bytes),
        "max-label-value-bytes": str(options.receive.label_value_bytes),
        "auth-file": str(options.auth_file or ""),
        "allow-anonymous": str(options.allow_anonymous).lower(),
        "enable-admin-api": str(bool(options.admin_user)).lower(),
        "admin-user": options.admin_user,
        "tls-cert": str(options.tls.cert if options.tls else ""),
        "tls-key": str(options.tls.key if options.tls else ""),
        "cors-origin": options.cors_origin,
        **_rule_flags(options.rules),
        "query-timeout": f"{options.query.timeout_seconds:g}s",
        "query-concurrency": str(options.query.concurrency),
        "query-max-samples": str(options.query.max_samples),
        "query-max-answer": str(options.query.answer_bytes_max),
    }


def _rule_flags(rules: RuleOptions | None) -> dict[str, str]:
    if rules is None:
        return {"rules": ""}
    return {
        "rules": ", ".join(rules.files),
        "alertmanager": ", ".join(address.shown for address in rules.notifying.alertmanagers),
        "webhooks": ", ".join(webhook.name for webhook in rules.notifying.webhooks),
        "rules-interval": f"{rules.interval_seconds:g}s",
        "rules-query-offset": f"{rules.query_offset_seconds:g}s",
        "rules-resend-delay": f"{rules.resend_seconds:g}s",
        "rules-outage-tolerance": f"{rules.outage_seconds:g}s",
        "rules-grace-period": f"{rules.grace_seconds:g}s",
        "rules-concurrency": str(rules.concurrency),
        "external-label": ", ".join(f"{name}={value}" for name, value in rules.external_labels),
        "external-url": rules.external_url,
    }


def _facts(options: HubOptions, store: Store, clock: Clock) -> ServerFacts:
    flags = shown_flags(options)
    return ServerFacts(clock=clock, flags=flags, retention=flags["retention"], store=store.status, tops=store.tops)
