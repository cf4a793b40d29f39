"""/format_query, /parse_query, /query_exemplars, /metadata: about queries and metrics, without a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.api.answers import success
from kpwatch.api.encoding import accepted_coding, encoded, unless_known
from kpwatch.api.features import features_document
from kpwatch.api.forms import read_form
from kpwatch.api.params import EARLIEST_MS, LATEST_MS
from kpwatch.base.errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.knowledge.rows import Knowledge
    from kpwatch.model.metadata import FamilyMetadata
    from kpwatch.promql.syntax import Syntax


_UNITS = {"seconds": "seconds", "unix_seconds": "seconds", "bytes": "bytes"}
"""Units of ours that OpenMetrics knows as well."""


class DescribingApi:
    """Handlers of what needs no samples."""

    def __init__(
        self,
        workers: Workers,
        knowledge: Callable[[], Knowledge],
        written: Callable[[], Mapping[str, Iterable[FamilyMetadata]]],
        *,
        has_admin: bool = False,
        has_rules: bool = False,
    ) -> None:
        """`written`: what senders said of their metrics, by family."""
        self._has = {"has_admin": has_admin, "has_rules": has_rules}
        self._workers = workers
        self._knowledge = knowledge
        self._written = written

    async def format_query(self, request: Request) -> Answer:
        """GET, POST /format_query?query=: the query in Prometheus' layout."""
        from kpwatch.promql.pretty import pretty  # noqa: PLC0415 - loads the parser, so not at the hub's start

        return await self._syntax(request, pretty)

    async def parse_query(self, request: Request) -> Answer:
        """GET, POST /parse_query?query=: the query's syntax tree."""
        return await self._syntax(request, lambda syntax: syntax)

    async def _syntax(self, request: Request, show: Callable[[Syntax], Any]) -> Answer:
        query = (await read_form(request)).text("query")
        coding = accepted_coding(request)

        def work() -> Answer:
            from kpwatch.promql.syntax import parse_syntax  # noqa: PLC0415 - as above

            try:
                return encoded(success(show(parse_syntax(query))), coding)
            except BadQuery as error:
                raise BadQuery(f'invalid parameter "query": {error}') from error

        return await self._workers.run(work)

    async def exemplars(self, request: Request) -> Answer:
        """GET, POST /query_exemplars?query=&start=&end=: none are kept."""
        from kpwatch.promql.parse import parse  # noqa: PLC0415 - as above

        form = await read_form(request)
        start_ms, end_ms = form.time_ms("start", EARLIEST_MS), form.time_ms("end", LATEST_MS)
        if end_ms < start_ms:
            raise BadQuery("end timestamp must not be before start timestamp")
        await self._workers.run(lambda: parse(form.text("query")))
        return success([])

    async def features(self, request: Request) -> Answer:
        """GET /features."""
        coding = accepted_coding(request)
        return await self._workers.run(lambda: encoded(success(features_document(**self._has)), coding))

    async def metadata(self, request: Request) -> Answer:
        """GET /metadata?metric=&limit=&limit_per_metric=: what senders said, else what the dictionary says."""
        form = await read_form(request)
        only, limit, per_metric = form.text("metric"), form.whole("limit"), form.whole("limit_per_metric")
        coding = accepted_coding(request)

        def work() -> Answer:
            most = per_metric if per_metric is not None and per_metric > 0 else None
            found = {name: rows[:most] for name, rows in self.families() if only in ("", name)}
            kept = found if limit is None or limit < 0 else dict(list(found.items())[:limit])
            return encoded(unless_known(request, success(kept)), coding)

        return await self._workers.run(work)

    def families(self) -> Iterator[tuple[str, list[dict[str, str]]]]:
        """Family -> its descriptions, sorted by name; the dictionary's in English, as HELP is."""
        found = {
            row.name: [{"type": row.type, "unit": _UNITS.get(row.unit, ""), "help": row.means.en}]
            for row in self._knowledge().metrics
        }
        for name, said in self._written().items():
            found[name] = [{"type": one.type, "unit": one.unit, "help": one.help} for one in said]
        yield from sorted(found.items())
