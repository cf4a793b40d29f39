"""The list of URLs as an OpenAPI 3.1 document: for people who look for a URL, and for programs that make clients. Pure.

Everything comes from the routes' own table; a parameter is described once, here, whatever URL takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpwatch.api.router import Route

_TIME = {"oneOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}
_DURATION = {"oneOf": [{"type": "number"}, {"type": "string", "pattern": "^([0-9]+(y|w|d|h|m|s|ms))+$"}]}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": _TEXT}

# Name -> (what it is, its schema).
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "query": ("A PromQL expression.", _TEXT),
    "time": ("When: Unix seconds or RFC 3339; now, if absent.", _TIME),
    "start": ("From when on: Unix seconds or RFC 3339.", _TIME),
    "end": ("Until when, included: Unix seconds or RFC 3339.", _TIME),
    "step": ("From one evaluation to the next: seconds or a duration such as 15s.", _DURATION),
    "timeout": ("Give up after this time; --query-timeout, if absent or less.", _DURATION),
    "lookback_delta": ("How old a sample may be to count as the present one; 5m, if absent.", _DURATION),
    "limit": ("So many results at most; 0 = all. A warning tells that there are more.", _COUNT),
    "limit_per_metric": ("So many descriptions of a metric at most; 0 = all.", _COUNT),
    "stats": ("Anything: tell what the query took.", _TEXT),
    "match[]": ("A series selector; may come more than once, and means any of them.", _TEXTS),
    "metric": ("Only this metric.", _TEXT),
    "nocache": ("1: evaluate anew, whatever is known of the same question.", _TEXT),
    "state": ("active, dropped or any.", _TEXT),
    "match_target": ("A series selector: only targets with such labels.", _TEXT),
    "labels": ("Labels as a JSON object.", _TEXT),
    "metric_name_pattern": ("A regular expression: only metrics whose whole names it matches.", _TEXT),
    "skip_head": ("Nothing.", _TEXT),
    "scrapePool": ("Only targets of this job.", _TEXT),
    "type": ("alert or record: only such rules.", {"type": "string", "enum": ["alert", "record"]}),
    "rule_name[]": ("Only rules of these names.", _TEXTS),
    "rule_group[]": ("Only groups of these names.", _TEXTS),
    "file[]": ("Only groups of these files.", _TEXTS),
    "exclude_alerts": ("true: leave alerts out.", _TEXT),
    "group_limit": ("So many groups at most.", _COUNT),
    "group_next_token": ("Where the last answer ended.", _TEXT),
    "lang": ("The language of what is said: en or zh.", {"type": "string", "enum": ["en", "zh"]}),
    "file": ("Only this file, by its path in the list.", _TEXT),
    "runbooks": ("Where the alerts' runbooks are: the URL of their folder; `runbooks`, if absent.", _TEXT),
    "url": ("Where agents write to; this hub by the address it was asked at, if absent.", _TEXT),
    "image": ("The agent's image; the one of deploy/kubernetes, if absent.", _TEXT),
    "g0.expr": ("The query.", _TEXT),
    "g0.tab": ("How it is shown: table (or 1), graph (or 0).", _TEXT),
    "g0.moment_input": ("The time of a table, as Prometheus' page writes it.", _TEXT),
    "g0.range_input": ("How much time a graph shows.", _DURATION),
    "g0.end_input": ("Where a graph ends, as Prometheus' page writes it.", _TEXT),
    "g0.stacked": ("1: areas on top of each other.", _TEXT),
    "ignore_host": ("false: where a series has neither ident nor agent_hostname, its host becomes ident.", _TEXT),
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {}).update(
            {method.lower(): _operation(route, method) for method in route.methods if method != "HEAD"}
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "kpwatch hub", "version": __version__},
        "paths": dict(sorted(paths.items())),
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    in_path = route.path.partition("{")[2].partition("}")[0]
    operation: dict[str, Any] = {"summary": route.about, "responses": {"default": {"description": "See the summary."}}}
    described = [_described(name) for name in route.parameters]
    if in_path:
        operation["parameters"] = [{"name": in_path, "in": "path", "required": True, "schema": _TEXT}]
    if method == "POST" and "GET" in route.methods:
        form = {"type": "object", "properties": {one["name"]: one["schema"] for one in described}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    elif described:
        operation["parameters"] = [*operation.get("parameters", ()), *described]
    return operation


def _described(name: str) -> dict[str, Any]:
    bare = name.removesuffix("!")
    description, schema = PARAMETERS[bare]
    return {"name": bare, "in": "query", "description": description, "required": name != bare, "schema": schema}
