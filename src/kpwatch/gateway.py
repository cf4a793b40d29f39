"""The right half of the map without a store: an engine elsewhere keeps the samples and evaluates the queries.

    agents ──> write: the ident rule ──> --engine-write
    Grafana, Nightingale ──> queries, whole ──> --engine
    page, fleet table, targets ──> PromQL ──────^

Prometheus' API and the write URLs are passed on (upstream/); the hub's own URLs ask the engine by PromQL. Nothing is
kept here, so any number of such hubs may stand before one engine.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kpwatch.api.admin import AdminApi
from kpwatch.api.cors import Cors
from kpwatch.api.describing import DescribingApi
from kpwatch.api.federate import FederateApi
from kpwatch.api.fleet import Fleet
from kpwatch.api.fleet_reader import EngineReader
from kpwatch.api.metadata import MetadataApi
from kpwatch.api.own import OwnApi
from kpwatch.api.query import QueryApi
from kpwatch.api.router import Router
from kpwatch.api.routes import Handlers, routes
from kpwatch.api.rules import RulesApi
from kpwatch.api.server import HttpServer
from kpwatch.api.status import ServerFacts, StatusApi
from kpwatch.api.targets import TargetsApi
from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import UsageError
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.doctor.standing import OfEngine, StandingDoctor
from kpwatch.hub import looks_of, make_downloads, make_gate, make_workers, shown_flags
from kpwatch.knowledge.load import knowledge
from kpwatch.ui.pages import page_handler
from kpwatch.upstream.client import Upstream
from kpwatch.upstream.evaluate import UpstreamEngine, UpstreamSource
from kpwatch.upstream.forward import QueryForwarder, WriteForwarder, no_writes

if TYPE_CHECKING:
    from kpwatch.api.workers import Workers
    from kpwatch.base.clock import Clock
    from kpwatch.hub import HubOptions
    from kpwatch.model.source import SeriesSource
    from kpwatch.rules.ruler import Ruler
    from kpwatch.upstream.options import UpstreamOptions

PASSED_ON = (
    "/query", "/query_range", "/query_exemplars", "/series", "/labels", "/label/{name}/values", "/metadata", "/rules",
    "/alerts", "/alertmanagers", "/status/buildinfo", "/status/tsdb", "/features", "/targets/metadata",
)  # fmt: skip
"""URLs below `/api/v1` that the engine answers. The others are about the hub, the agents, or a query's text."""


OF_RULES = ("/rules", "/alerts", "/alertmanagers")
"""Of these, the ones that a hub with rules of its own answers."""


class Gateway:
    """The rooms, wired; `start` and `stop` belong to one thread."""

    def __init__(
        self,
        upstream: Upstream,
        workers: Workers,
        own: OwnApi,
        server: HttpServer,
        telemetry: Registry,
        rules: Ruler | None = None,
    ) -> None:
        self.telemetry = telemetry
        self._upstream = upstream
        self._workers = workers
        self._own = own
        self._server = server
        self.rules = rules

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where the hub answers, without a slash at the end."""
        return self._server.url

    def start(self) -> None:
        """Listen; raises ConfigError where the address cannot be had."""
        self._server.start()
        if self.rules is not None:
            self.rules.start(self._server.outside_url)
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        self._upstream.warm_up()
        knowledge()

    def stop(self) -> None:
        """Answer what is being answered, within bounds."""
        self._own.stopping = True
        self._server.stop()
        self._workers.close()
        if self.rules is not None:
            self.rules.stop()
        self._upstream.close()


def build(options: HubOptions, *, clock: Clock = SYSTEM_CLOCK, log: Logger | None = None) -> Gateway:
    """A hub before `options.upstream` that listens to nothing yet; raises UsageError, ConfigError."""
    assert options.upstream is not None, "a gateway needs something behind it"
    if options.admin_user:
        raise UsageError("--enable-admin-api: with --engine nothing is kept here; delete in the engine")
    log = log or Logger(clock=clock)
    telemetry = Registry()
    gate = make_gate(options, telemetry, log)
    upstream = Upstream(options.upstream, telemetry, clock)
    query = options.query
    workers = make_workers(query, telemetry)
    names = UpstreamSource(upstream, query.timeout_seconds)

    def engine(timeout_seconds: float, source: SeriesSource | None = None) -> UpstreamEngine:
        assert source is None, "an engine elsewhere evaluates over its own samples"
        return UpstreamEngine(upstream, timeout_seconds)

    findings = StandingDoctor(OfEngine(knowledge, engine(query.timeout_seconds)), clock)
    fleet = Fleet(knowledge, EngineReader(engine, names), findings.brief, clock)
    own = OwnApi(fleet, findings.document, knowledge, workers, telemetry)
    rules = _rules(options, upstream, telemetry, clock, log) if options.rules is not None else None
    flags = shown_flags(options) | _flags(options.upstream)
    forwarder = QueryForwarder(upstream)
    write = WriteForwarder(upstream, options.receive.body_bytes, options.receive.decoded_bytes, telemetry)
    describing = DescribingApi(workers, knowledge, dict)
    handlers = Handlers(
        write=write if options.upstream.write_url else no_writes,
        push=None,
        query=QueryApi(engine, workers, clock),
        metadata=MetadataApi(names, workers),
        describing=describing,
        targets=TargetsApi(engine, workers, clock, describing.families),
        federate=FederateApi(engine, workers, clock),
        status=StatusApi(ServerFacts(clock, flags, "", dict, lambda _: {}), workers),
        own=own,
        downloads=make_downloads(options, workers),
        rules=RulesApi(rules),
        admin=AdminApi(None, gate, "", log),
        instead={path: forwarder.handler(path) for path in PASSED_ON if rules is None or path not in OF_RULES},
    )
    router = Router(routes(handlers), page_handler(), gate, telemetry, log, Cors(options.cors_origin))
    server = HttpServer(router, options.host, options.port, options.max_connections, log, options.tls, looks_of(gate))
    return Gateway(upstream, workers, own, server, telemetry, rules)


def _rules(options: HubOptions, upstream: Upstream, telemetry: Registry, clock: Clock, log: Logger) -> Ruler:
    from kpwatch.rules.build import EngineSink, NoSink, make_ruler  # noqa: PLC0415 - most hubs have no rules

    assert options.rules is not None, "there are rules"
    engine = UpstreamEngine(upstream, options.rules.timeout_seconds)
    writes = bool(upstream.options.write_url)
    if not writes:
        log.warning("rules: without --engine-write recorded series and ALERTS are kept nowhere; alerts are sent")
    return make_ruler(
        options.rules,
        engine.instant,
        EngineSink(upstream.push) if writes else NoSink(telemetry),
        options.data,
        telemetry=telemetry,
        clock=clock,
        log=log,
    )


def _flags(options: UpstreamOptions) -> dict[str, str]:
    """Secrets are files, and of headers only the names are shown."""
    return {
        "engine": options.url,
        "engine-write": options.write_url,
        "engine-timeout": f"{options.timeout_seconds:g}s",
        "engine-concurrency": str(options.concurrency),
        "engine-max-answer": str(options.answer_bytes),
        "engine-basic-auth-file": str(options.basic_auth_file or ""),
        "engine-bearer-token-file": str(options.bearer_token_file or ""),
        "engine-header": ", ".join(name for name, _ in options.headers),
        "engine-tenant": options.tenant,
        "engine-tls-ca": str(options.tls_ca or ""),
        "engine-tls-cert": str(options.tls_cert or ""),
        "engine-tls-key": str(options.tls_key or ""),
        "engine-tls-skip-verify": str(options.tls_skip_verify).lower(),
    }
