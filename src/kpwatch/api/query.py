"""/query and /query_range: PromQL in, Prometheus' JSON out.

Evaluation, writing and zipping happen on one of the bounded threads; the engine is made when the first query comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kpwatch.api.answers import Spent, query_answer
from kpwatch.api.encoding import accepted_coding, encoded
from kpwatch.api.forms import read_form
from kpwatch.base.errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.api.params import Form
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.base.clock import Clock
    from kpwatch.model.results import QueryResult
    from kpwatch.model.source import SeriesSource

MAX_POINTS = 11_000
"""Steps of one range query, as Prometheus allows: 60 s for a week, 1 h for a year."""


class QueryEngine(Protocol):
    """What evaluates PromQL; times in Unix milliseconds."""

    def instant(self, query: str, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        """The value of `query` at one time."""
        ...

    def range(
        self, query: str, start_ms: int, end_ms: int, step_ms: int, *, lookback_ms: int | None = None
    ) -> QueryResult:
        """The value of `query` at every step from `start_ms` to `end_ms`."""
        ...


class EngineMaker(Protocol):
    """Makes engines; called on a thread, for the first call may load what they are made of."""

    def __call__(self, timeout_seconds: float, source: SeriesSource | None = None) -> QueryEngine:
        """An engine whose queries take at most so long, over `source` or else over the store."""
        ...


class QueryApi:
    """Handlers of the two query URLs."""

    def __init__(self, engine: EngineMaker, workers: Workers, clock: Clock) -> None:
        self._engine = engine
        self._workers = workers
        self._clock = clock

    async def instant(self, request: Request) -> Answer:
        """GET, POST /query?query=&time=&timeout=&limit=&lookback_delta=&stats=."""
        form = await read_form(request)
        limit = form.limit()
        at_ms = form.time_ms("time", self._clock.unix_ms())
        lookback_ms = _lookback_ms(form)
        query = form.text("query")

        def evaluate(engine: QueryEngine) -> QueryResult:
            return engine.instant(query, at_ms, lookback_ms=lookback_ms)

        return await self._answer(request, form, evaluate, limit)

    async def range(self, request: Request) -> Answer:
        """GET, POST /query_range?query=&start=&end=&step=&timeout=&limit=&lookback_delta=&stats=."""
        form = await read_form(request)
        limit = form.limit()
        start_ms, end_ms = form.time_ms("start"), form.time_ms("end")
        if end_ms < start_ms:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        step_ms = form.duration_ms("step")
        if step_ms <= 0:
            raise BadQuery(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if (end_ms - start_ms) // step_ms > MAX_POINTS:
            raise BadQuery(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        lookback_ms = _lookback_ms(form)
        query = form.text("query")

        def evaluate(engine: QueryEngine) -> QueryResult:
            return engine.range(query, start_ms, end_ms, step_ms, lookback_ms=lookback_ms)

        return await self._answer(request, form, evaluate, limit)

    async def _answer(
        self, request: Request, form: Form, evaluate: Callable[[QueryEngine], QueryResult], limit: int
    ) -> Answer:
        coding = accepted_coding(request)
        asked_seconds = form.duration_ms("timeout", 0) / 1000
        if asked_seconds < 0:
            raise BadQuery('invalid parameter "timeout": a duration must not be negative')
        seconds = min(asked_seconds or self._workers.timeout_seconds, self._workers.timeout_seconds)

        asked_at = self._clock.monotonic_seconds()
        wants_stats = bool(form.text("stats"))

        def work() -> Answer:
            began_at = self._clock.monotonic_seconds()
            try:
                result = evaluate(self._engine(seconds))
            except BadQuery as error:
                raise BadQuery(f'invalid parameter "query": {error}') from error
            ended_at = self._clock.monotonic_seconds()
            spent = Spent(began_at - asked_at, ended_at - began_at) if wants_stats else None
            return encoded(query_answer(result, limit, spent), coding)

        return await self._workers.run(work, seconds)


def _lookback_ms(form: Form) -> int | None:
    """The lookback the client asks for, None where it leaves it to the hub."""
    lookback_ms = form.duration_ms("lookback_delta", 0)
    if lookback_ms < 0:
        raise BadQuery('invalid parameter "lookback_delta": a duration must not be negative')
    return lookback_ms or None
