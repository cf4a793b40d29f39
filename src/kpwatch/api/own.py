"""The hub's own URLs: the fleet, the dictionary, its metrics and its health."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kpwatch.api.answers import success
from kpwatch.api.encoding import accepted_coding, encoded, unless_known
from kpwatch.api.params import Form
from kpwatch.base.asgi import JSON, Answer
from kpwatch.base.errors import BadQuery
from kpwatch.knowledge.document import check_document, group_document, metric_document, prefix_document
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.model.matchers import compile_anchored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.api.fleet import Fleet
    from kpwatch.api.router import Route
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Handler, Request
    from kpwatch.base.telemetry import LabelPairs, Registry
    from kpwatch.knowledge.rows import Knowledge

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class OwnApi:
    """Handlers of /api/kpwatch/v1/*, /metrics and /-/*."""

    def __init__(
        self,
        fleet: Fleet,
        findings: Callable[[str], dict[str, Any]],
        knowledge: Callable[[], Knowledge],
        workers: Workers,
        telemetry: Registry,
    ) -> None:
        """`findings`: what is wrong, in a language, as `kpwatch doctor --json` has it."""
        self._fleet = fleet
        self._findings = findings
        self._knowledge = knowledge
        self._workers = workers
        self._telemetry = telemetry
        self.stopping = False

    async def fleet(self, request: Request) -> Answer:
        """GET /fleet: what `Fleet.table` gives; `lang` is zh or en."""
        language = _language(request)
        return await self._json(request, lambda: self._fleet.table(language))

    async def findings(self, request: Request) -> Answer:
        """GET /findings: the verdict on every node and on the fleet, as `kpwatch doctor --json`; `lang` is zh or en."""
        language = _language(request)
        return await self._json(request, lambda: self._findings(language))

    async def dictionary(self, request: Request) -> Answer:
        """GET /dictionary: lists `groups`, `prefixes`, `metrics` and `checks`, as `knowledge/document.py` has them."""
        return await self._json(request, lambda: _dictionary(self._knowledge()), keeps=True)

    async def panels(self, request: Request) -> Answer:
        """GET /panels: what boards show, as `knowledge/panels.py` has it; `lang` is zh or en."""
        from kpwatch.knowledge.panels import panels, panels_document  # noqa: PLC0415 - not loaded at the start

        language = _language(request)
        return await self._json(request, lambda: panels_document(panels(), self._knowledge(), language), keeps=True)

    def openapi(self, routes: Callable[[], Iterable[Route]]) -> Handler:
        """GET /openapi.json: what stands in `routes`."""

        async def answer(request: Request) -> Answer:
            from kpwatch.api.openapi import document  # noqa: PLC0415 - asked for rarely, so not loaded at the start

            return await self._json(request, lambda: document(routes()), keeps=True)

        return answer

    async def metrics(self, _: Request) -> Answer:
        """GET /metrics: text exposition 0.0.4 of the hub itself."""
        return Answer(200, self._telemetry.render().encode(), _EXPOSITION)

    async def self_metrics(self, request: Request) -> Answer:
        """GET /status/self_metrics?metric_name_pattern=: the same as JSON, in Prometheus' shape."""
        pattern = Form(request.query).text("metric_name_pattern")
        try:
            wanted = compile_anchored(pattern) if pattern else lambda _: True
        except BadQuery as error:
            raise BadQuery(f"invalid metric_name_pattern: {error}") from error
        return success([_family(*one) for one in sorted(self._telemetry.families()) if wanted(one[0])])

    async def healthy(self, _: Request) -> Answer:
        """GET /-/healthy: the process answers."""
        return Answer(200, b"kpwatch hub is healthy\n")

    async def ready(self, _: Request) -> Answer:
        """GET /-/ready: requests are served; 503 once it is shutting down."""
        if self.stopping:
            return Answer(503, b"kpwatch hub is shutting down\n")
        return Answer(200, b"kpwatch hub is ready\n")

    async def _json(self, request: Request, make: Callable[[], Any], *, keeps: bool = False) -> Answer:
        """`keeps`: the document rarely changes, so a client may keep it and ask whether it is still so."""
        coding = accepted_coding(request)

        def work() -> Answer:
            text = json.dumps(make(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            answer = Answer(200, text.encode(), JSON, () if keeps else (("cache-control", "no-store"),))
            return encoded(unless_known(request, answer) if keeps else answer, coding)

        return await self._workers.run(work)


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[LabelPairs, float]]) -> dict[str, Any]:
    metrics = [
        {"label": [{"name": label, "value": text} for label, text in labels], kind: {"value": value}}
        for labels, value in samples
    ]
    return {"name": name, "help": about, "type": kind.upper(), "metric": metrics}


def _language(request: Request) -> str:
    language = Form(request.query).text("lang") or "en"
    if language not in LANGUAGES:
        raise BadQuery(f'invalid parameter "lang": {language!r} is none of {", ".join(LANGUAGES)}')
    return language


def _dictionary(knowledge: Knowledge) -> dict[str, Any]:
    return {
        "groups": [group_document(row) for row in knowledge.metric_groups],
        "prefixes": [prefix_document(row) for row in knowledge.metric_prefixes],
        "metrics": [metric_document(row) for row in knowledge.metrics],
        "checks": [check_document(row, knowledge.terms) for row in knowledge.checks],
    }
