"""/query and /query_range: PromQL in, Prometheus' JSON out.

Evaluation, writing and zipping happen on one of the bounded threads, but of what is known as small (`small.py`); what
was answered before and would be answered so again is not evaluated at all (`kept.py`). The engine is made when the
first query comes.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kpwatch.api.answers import Spent, query_answer
from kpwatch.api.encoding import accepted_coding, encoded
from kpwatch.api.forms import FormUpload, read_form
from kpwatch.api.small import SmallQueries
from kpwatch.base.errors import BadQuery, QueryTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from kpwatch.api.kept import KeptAnswers
    from kpwatch.api.params import Form
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Head, Reply, Request, Upload
    from kpwatch.base.clock import Clock
    from kpwatch.model.results import QueryResult
    from kpwatch.model.source import SeriesSource

_LOOKBACK_FAULT = "error parsing lookback delta duration"
_NOT_SAID = ("", "0", "false")
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


class Question(NamedTuple):
    """What a request asks for."""

    known_as: str
    """The same for questions that take about the same time."""
    evaluate: Callable[[QueryEngine], QueryResult]
    limit: int
    key: tuple[Hashable, ...] | None
    """Equal for questions that have the same answer while samples are the same; None = there is no other like it."""


class _Job(NamedTuple):
    """What has to be done for an answer."""

    work: Callable[..., Answer]
    """By an engine of its own choice, or by one that is given."""
    seconds: float
    """What it may take."""
    key: tuple[Hashable, ...] | None
    """Of the question and the form of its answer, as in Question."""


class QueryApi:
    """Handlers of the two query URLs, each for requests that are read and for those that are pushed."""

    def __init__(
        self,
        engine: EngineMaker,
        workers: Workers,
        clock: Clock,
        small_engine: Callable[[float], QueryEngine] | None = None,
        kept: KeptAnswers | None = None,
    ) -> None:
        """`small_engine` evaluates within `small.SAMPLES_MAX` or raises QueryTooLarge, and waits for nobody.

        None = every query is a thread's. `kept`: None = no answer is given twice.
        """
        self._kept = kept
        self._engine = engine
        self._small_engine = small_engine
        self._small = SmallQueries()
        self._workers = workers
        self._clock = clock

    async def instant(self, request: Request) -> Answer:
        """GET, POST /query?query=&time=&timeout=&limit=&lookback_delta=&stats=&nocache=."""
        form = await read_form(request)
        return await self._ask(request, form, self._instant(form))

    async def range(self, request: Request) -> Answer:
        """GET, POST /query_range?query=&start=&end=&step=&timeout=&limit=&lookback_delta=&stats=&nocache=."""
        form = await read_form(request)
        return await self._ask(request, form, self._range(form))

    def push_instant(self, head: Head, reply: Reply) -> Upload:
        """As `instant`."""
        return FormUpload(head, reply, lambda head, form, reply: self._serve(head, form, self._instant(form), reply))

    def push_range(self, head: Head, reply: Reply) -> Upload:
        """As `range`."""
        return FormUpload(head, reply, lambda head, form, reply: self._serve(head, form, self._range(form), reply))

    async def _ask(self, request: Request, form: Form, question: Question) -> Answer:
        job = self._job(request, form, question)
        found = self._found(job)
        return found if found is not None else await self._workers.run(job.work, job.seconds)

    def _serve(self, head: Head, form: Form, question: Question, reply: Reply) -> None:
        job = self._job(head, form, question)
        if (found := self._found(job)) is not None:
            return reply(found)
        clock, small, small_engine = self._clock, self._small, self._small_engine
        took = math.inf

        def timed(engine: Callable[[float], QueryEngine]) -> Answer:
            nonlocal took
            began_at = clock.monotonic_seconds()
            answer = job.work(engine)
            took = clock.monotonic_seconds() - began_at
            return answer

        def then(outcome: Answer | Exception) -> None:
            small.took(question.known_as, took)
            reply(outcome)

        if small_engine is not None and question.known_as in small:
            with suppress(QueryTooLarge):  # it is a thread's
                return then(timed(small_engine))
        self._workers.start(lambda: timed(self._engine), then, job.seconds)
        return None

    def _found(self, job: _Job) -> Answer | None:
        return self._kept.find(job.key) if self._kept is not None and job.key is not None else None

    def _instant(self, form: Form) -> Question:
        limit = form.limit()
        at_ms = form.time_ms("time", self._clock.unix_ms())
        lookback_ms = _lookback_ms(form)
        query = form.text("query")
        return Question(
            query,
            lambda engine: engine.instant(query, at_ms, lookback_ms=lookback_ms),
            limit,
            (query, at_ms, lookback_ms, limit) if _may_be_known(form) and form.text("time") else None,
        )

    def _range(self, form: Form) -> Question:
        limit = form.limit()
        start_ms, end_ms = form.time_ms("start"), form.time_ms("end")
        if end_ms < start_ms:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        step_ns = form.duration_ns("step")
        if step_ns <= 0:
            raise BadQuery(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if (end_ms - start_ms) * 1_000_000 // step_ns > MAX_POINTS:
            raise BadQuery(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        lookback_ms = _lookback_ms(form)
        query = form.text("query")
        step_ms = max(1, step_ns // 1_000_000)
        return Question(
            f"{end_ms - start_ms} {step_ms} {query}",
            lambda engine: engine.range(query, start_ms, end_ms, step_ms, lookback_ms=lookback_ms),
            limit,
            (query, start_ms, end_ms, step_ms, lookback_ms, limit) if _may_be_known(form) else None,
        )

    def _job(self, head: Head, form: Form, question: Question) -> _Job:
        coding = accepted_coding(head)
        asked_seconds = form.duration_ns("timeout", 0) / 1e9
        if asked_seconds <= 0 and form.text("timeout"):
            raise BadQuery(f'invalid parameter "timeout": timeout must be positive, got {asked_seconds:g}s')
        seconds = min(asked_seconds or self._workers.timeout_seconds, self._workers.timeout_seconds)

        asked_at = self._clock.monotonic_seconds()
        wants_stats = bool(form.text("stats"))
        kept, key = self._kept, (*question.key, coding) if question.key is not None else None

        def work(engine: Callable[[float], QueryEngine] = self._engine) -> Answer:
            began_at = self._clock.monotonic_seconds()
            changes = kept.changes() if kept is not None else 0
            try:
                result = question.evaluate(engine(seconds))
            except BadQuery as error:
                raise BadQuery(f'invalid parameter "query": {error}') from error
            ended_at = self._clock.monotonic_seconds()
            spent = Spent(began_at - asked_at, ended_at - began_at) if wants_stats else None
            answer = encoded(query_answer(result, question.limit, spent, self._workers.answer_bytes_max), coding)
            if kept is not None and key is not None and result.stretch_ms is not None:
                kept.put(key, answer, changes, result.stretch_ms)
            return answer

        return _Job(work, seconds, key)


def _may_be_known(form: Form) -> bool:
    """Whether the client is content with an answer that was made before."""
    return not form.text("stats") and form.text("nocache") in _NOT_SAID


def _lookback_ms(form: Form) -> int | None:
    """The lookback the client asks for, None where it leaves it to the hub."""
    try:
        lookback_ms = form.duration_ns("lookback_delta", 0) // 1_000_000
    except BadQuery as error:
        raise BadQuery(str(error).replace('invalid parameter "lookback_delta"', _LOOKBACK_FAULT)) from error
    return lookback_ms if lookback_ms > 0 else None  # a negative one is none to Prometheus
