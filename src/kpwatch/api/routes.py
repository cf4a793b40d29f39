"""THE LIST of the hub's URLs.

Prometheus' API stands under two prefixes (Nightingale and its agents use the longer one), Remote Write under the three
paths its senders are configured with. `about` and parameters become the OpenAPI document (openapi.py) and are held
against docs/reference/http-api.md by a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kpwatch.api import graph
from kpwatch.api.router import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.api.admin import AdminApi
    from kpwatch.api.describing import DescribingApi
    from kpwatch.api.downloads import DownloadsApi
    from kpwatch.api.federate import FederateApi
    from kpwatch.api.metadata import MetadataApi
    from kpwatch.api.own import OwnApi
    from kpwatch.api.query import QueryApi
    from kpwatch.api.rules import RulesApi
    from kpwatch.api.status import StatusApi
    from kpwatch.api.targets import TargetsApi
    from kpwatch.base.asgi import Handler, PushHandler

PROMETHEUS_PREFIXES = ("/api/v1", "/prometheus/api/v1")
WRITE_PATHS = ("/prometheus/v1/write", "/api/v1/write", "/prometheus/api/v1/write")
OWN_PREFIX = "/api/kpwatch/v1"

_GET = ("GET", "HEAD")
_FORM = ("GET", "HEAD", "POST")
_POST = ("POST",)
_CHANGE = ("POST", "PUT")


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who answers what."""

    write: Handler
    push: PushHandler | None
    """As `write`, for bodies that are pushed; None = such are read like others."""
    query: QueryApi
    metadata: MetadataApi
    describing: DescribingApi
    targets: TargetsApi
    federate: FederateApi
    status: StatusApi
    own: OwnApi
    downloads: DownloadsApi
    rules: RulesApi
    admin: AdminApi
    instead: Mapping[str, Handler] = field(default_factory=dict)
    """Who answers URLs of Prometheus' API, by their paths below `/api/v1`, where it is not one of the above."""


_NAMES = ("match[]", "start", "end", "limit")
_QUERY = ("timeout", "limit", "lookback_delta", "stats", "nocache")


def routes(at: Handlers) -> list[Route]:
    """Every URL but the pages'."""
    prometheus = (
        Route(_FORM, "/query", at.query.instant, "PromQL at one time.", ("query!", "time", *_QUERY),
              at.query.push_instant),
        Route(
            _FORM, "/query_range", at.query.range, "PromQL at every step of a range, 11,000 points at most.",
            ("query!", "start!", "end!", "step!", *_QUERY), at.query.push_range,
        ),
        Route(_FORM, "/query_exemplars", at.describing.exemplars, "None: exemplars are not kept.",
              ("query!", "start", "end")),
        Route(_FORM, "/format_query", at.describing.format_query, "A query, laid out.", ("query!",)),
        Route(_FORM, "/parse_query", at.describing.parse_query, "The syntax tree of a query.", ("query!",)),
        Route(_FORM, "/series", at.metadata.series, "Label sets of series.", ("match[]!", "start", "end", "limit")),
        Route(_FORM, "/labels", at.metadata.labels, "Names of labels.", _NAMES),
        Route(_GET, "/label/{name}/values", at.metadata.label_values, "Values of a label.", _NAMES),
        Route(_GET, "/metadata", at.describing.metadata, "Type, unit and help of metrics.",
              ("metric", "limit", "limit_per_metric")),
        Route(_GET, "/targets", at.targets.targets, "What the agents scrape, as they report it.",
              ("state", "scrapePool")),
        Route(_GET, "/targets/metadata", at.targets.metadata, "Type, unit and help of metrics, for each target.",
              ("match_target", "metric", "limit")),
        Route(_GET, "/targets/relabel_steps", at.targets.relabel_steps, "None: agents keep their configuration.",
              ("scrapePool!", "labels!")),
        Route(_GET, "/scrape_pools", at.targets.scrape_pools, "The jobs that agents scrape."),
        Route(_GET, "/scrape_pools/config", at.targets.pool_config, "None: agents keep their configuration.",
              ("scrapePool!",)),
        Route(_GET, "/alertmanagers", at.rules.alertmanagers, "The Alertmanagers that alerts are sent to."),
        Route(_GET, "/rules", at.rules.rules, "Rules, how they fare, and their alerts.",
              ("type", "rule_name[]", "rule_group[]", "file[]", "match[]", "exclude_alerts", "group_limit",
               "group_next_token")),
        Route(_GET, "/alerts", at.rules.alerts, "Alerts that are pending or fire."),
        Route(_GET, "/status/buildinfo", at.status.buildinfo, "Which Prometheus this is compatible with."),
        Route(_GET, "/status/runtimeinfo", at.status.runtimeinfo, "When and where the hub was started."),
        Route(_GET, "/status/config", at.status.config, "The options as YAML."),
        Route(_GET, "/status/flags", at.status.flags, "Every option and its value."),
        Route(_GET, "/status/tsdb", at.status.tsdb, "What is stored: counts, the largest metrics, labels and targets.",
              ("limit",)),
        Route(_GET, "/status/tsdb/blocks", at.status.blocks, "None: the hub's blocks are not Prometheus'."),
        Route(_GET, "/status/self_metrics", at.own.self_metrics, "The hub's own metrics as JSON.",
              ("metric_name_pattern",)),
        Route(_GET, "/features", at.describing.features, "What of Prometheus' language and API there is."),
        Route(_GET, "/notifications", at.status.notifications, "None: the page says what is wrong."),
        Route(_GET, "/status/walreplay", at.status.walreplay, "Zeros: a hub that answers has replayed."),
        Route(_CHANGE, "/admin/tsdb/delete_series", at.admin.delete_series, "Delete samples of series.",
              ("match[]!", "start", "end")),
        Route(_CHANGE, "/admin/tsdb/snapshot", at.admin.snapshot, "None: `kpwatch backup` makes a copy.",
              ("skip_head",)),
        Route(_CHANGE, "/admin/tsdb/clean_tombstones", at.admin.clean_tombstones, "Nothing: there are none."),
    )  # fmt: skip
    found: list[Route] = []
    own = (
        Route(_GET, OWN_PREFIX + "/fleet", at.own.fleet, "The fleet table: a row for each node.", ("lang",)),
        Route(
            _GET, OWN_PREFIX + "/findings", at.own.findings, "What is wrong with which node, and what to do.", ("lang",)
        ),
        Route(_GET, OWN_PREFIX + "/dictionary", at.own.dictionary, "What kube-proxy's metrics mean, in two languages."),
        Route(_GET, OWN_PREFIX + "/panels", at.own.panels, "What boards show: panels and queries.", ("lang",)),
        Route(_GET, OWN_PREFIX + "/downloads", at.downloads.listed, "What can be taken along, file by file."),
        Route(
            _GET,
            OWN_PREFIX + "/downloads/{name}",
            at.downloads.one,
            "The agent as YAML for `kubectl apply`; boards, rules or runbooks as a zip, or one file of them.",
            ("file", "runbooks", "url", "image"),
        ),
        Route(_GET, OWN_PREFIX + "/openapi.json", at.own.openapi(lambda: found), "This list of URLs, as OpenAPI 3.1."),
        Route(_GET, OWN_PREFIX + "/rules/problems", at.rules.problems, "What is wrong with the rule files."),
        Route(
            _GET,
            OWN_PREFIX + "/alerts/history",
            at.rules.history,
            "Alerts that fired and were resolved.",
            ("start", "end", "limit"),
        ),
        Route(_FORM, OWN_PREFIX + "/silences", at.rules.silences, "Silences of the hub's own; POST makes one."),
        Route(("DELETE",), OWN_PREFIX + "/silences/{id}", at.rules.silence, "End a silence."),
        Route(_CHANGE, "/-/reload", at.rules.reload, "Read the rule files again."),
        Route(_GET, "/federate", at.federate, "The newest samples as text, for another Prometheus.", ("match[]",)),
        Route(_GET, "/prometheus/federate", at.federate, "The same.", ("match[]",)),
        Route(_GET, "/graph", graph.graph, "Prometheus' address of a query: leads to the explorer.", graph.PARAMETERS),
        Route(_GET, "/metrics", at.own.metrics, "The hub's own metrics."),
        Route(_GET, "/-/healthy", at.own.healthy, "200 while the process answers."),
        Route(_GET, "/-/ready", at.own.ready, "200 while requests are served, 503 while shutting down."),
    )
    write = "Remote Write 1.0 or 2.0; 204 = on disk."
    found += (Route(_POST, path, at.write, write, ("ignore_host",), at.push) for path in WRITE_PATHS)
    found += (
        route._replace(path=prefix + route.path, **_answered(route, at.instead))
        for prefix in PROMETHEUS_PREFIXES
        for route in prometheus
    )
    found += own
    return found


def _answered(route: Route, instead: Mapping[str, Handler]) -> dict[str, Any]:
    """What changes in a route that somebody else answers."""
    return {"handler": instead[route.path], "push": None} if route.path in instead else {}
