"""THE LIST of the hub's URLs.

Prometheus' API stands under two prefixes (Nightingale and its agents use the longer one), Remote Write under the three
paths its senders are configured with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.api.router import Route

if TYPE_CHECKING:
    from kpwatch.api.admin import AdminApi
    from kpwatch.api.metadata import MetadataApi
    from kpwatch.api.own import OwnApi
    from kpwatch.api.query import QueryApi
    from kpwatch.api.status import StatusApi
    from kpwatch.base.asgi import Handler

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
    query: QueryApi
    metadata: MetadataApi
    status: StatusApi
    own: OwnApi
    admin: AdminApi


def routes(at: Handlers) -> list[Route]:
    """Every URL but the pages'."""
    prometheus = (
        (_FORM, "/query", at.query.instant),
        (_FORM, "/query_range", at.query.range),
        (_FORM, "/series", at.metadata.series),
        (_FORM, "/labels", at.metadata.labels),
        (_GET, "/label/{name}/values", at.metadata.label_values),
        (_GET, "/metadata", at.metadata.metadata),
        (_GET, "/targets", at.metadata.targets),
        (_GET, "/rules", at.metadata.rules),
        (_GET, "/alerts", at.metadata.alerts),
        (_GET, "/status/buildinfo", at.status.buildinfo),
        (_GET, "/status/runtimeinfo", at.status.runtimeinfo),
        (_GET, "/status/flags", at.status.flags),
        (_GET, "/status/tsdb", at.status.tsdb),
        (_CHANGE, "/admin/tsdb/delete_series", at.admin.delete_series),
        (_CHANGE, "/admin/tsdb/clean_tombstones", at.admin.clean_tombstones),
    )
    own = (
        (_GET, OWN_PREFIX + "/fleet", at.own.fleet),
        (_GET, OWN_PREFIX + "/dictionary", at.own.dictionary),
        (_GET, "/metrics", at.own.metrics),
        (_GET, "/-/healthy", at.own.healthy),
        (_GET, "/-/ready", at.own.ready),
    )
    return [
        *(Route(_POST, path, at.write) for path in WRITE_PATHS),
        *(Route(methods, prefix + path, to) for prefix in PROMETHEUS_PREFIXES for methods, path, to in prometheus),
        *(Route(methods, path, to) for methods, path, to in own),
    ]
