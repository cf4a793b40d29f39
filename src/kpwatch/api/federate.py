"""/federate: the newest sample of each selected series as text exposition, for another Prometheus to scrape.

As web/federate.go of Prometheus has it: sorted by name, `untyped`, every line with its time; series without an
`instance` get an empty one, so that the scraper does not put its own there. Selectors need not name anything here:
`{job=""}` is every series without a job, and `{}`, as there, is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.answers import bounded_bytes
from kpwatch.api.encoding import accepted_coding, encoded
from kpwatch.api.forms import read_form
from kpwatch.base.asgi import TEXT, Answer
from kpwatch.base.errors import BadQuery
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import METRIC_NAME, label_value, metric_name
from kpwatch.model.results import Matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.api.query import EngineMaker, QueryEngine
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Request
    from kpwatch.base.clock import Clock
    from kpwatch.model.labels import Labels

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

NOTHING = "{}"
NEEDS_NOTHING = "at least one non-empty matcher"
"""What `parse` says of selectors that would select everything."""

Newest = tuple["Labels", float, int]


class FederateApi:
    """Handler of /federate."""

    def __init__(self, engine: EngineMaker, workers: Workers, clock: Clock) -> None:
        self._engine = engine
        self._workers = workers
        self._clock = clock

    async def __call__(self, request: Request) -> Answer:
        """GET /federate?match[]=: text; without a selector nothing, a wrong one is 400 in text, as in Prometheus."""
        selectors = (await read_form(request)).all("match[]")
        coding = accepted_coding(request)

        def work() -> Answer:
            engine = self._engine(self._workers.timeout_seconds)
            found: dict[Labels, Newest] = {}
            try:
                for selector in selectors:
                    found.update((one[0], one) for one in newest(engine, selector, self._clock.unix_ms()))
            except BadQuery as error:
                return Answer(400, f"{error}\n".encode(), TEXT)
            text = b"".join(bounded_bytes(exposition(found.values()), self._workers.answer_bytes_max))
            return encoded(Answer(200, text, EXPOSITION), coding)

        return await self._workers.run(work)


def newest(engine: QueryEngine, selector: str, at_ms: int) -> Iterable[Newest]:
    """(labels, value, time) of each selected series that is not stale; raises BadQuery for what is no selector."""
    from kpwatch.api.metadata import matcher_sets  # noqa: PLC0415 - loads the parser, so not at the hub's start

    selector = _naming(selector)
    if selector == NOTHING:
        return
    matcher_sets([selector])
    live = {labels for labels, _ in getattr(engine.instant(selector, at_ms).value, "samples", ())}
    window = engine.instant(f"{selector.rstrip()}[5m]", at_ms).value
    assert isinstance(window, Matrix), "a range selector's value is a matrix"
    for one in window.series:
        if one.labels in live:
            yield one.labels, float(one.values[-1]), int(one.timestamps_ms[-1])


def _naming(selector: str) -> str:
    """The selector with a matcher on the name, which every series has, where it has no matcher that needs something."""
    from kpwatch.promql.lexer import tokens  # noqa: PLC0415 - for the first who asks, not at the hub's start
    from kpwatch.promql.parse import parse  # noqa: PLC0415 - as above

    try:
        parse(selector)
    except BadQuery as error:
        if NEEDS_NOTHING not in str(error):
            raise
    else:
        return selector
    pieces = [piece for kind, piece in tokens(selector) if kind != "space"]
    if pieces == ["{", "}"]:
        return NOTHING
    while pieces and pieces[-1] in ("}", ","):
        pieces.pop()
    return " ".join([*pieces, ",", f'{METRIC_NAME}!=""', "}"])


def exposition(samples: Iterable[Newest]) -> Iterator[str]:
    """The samples as lines of text exposition 0.0.4."""
    last = None
    for labels, value, timestamp_ms in sorted(samples, key=lambda one: (metric_name(one[0]), one[0])):
        name = metric_name(labels)
        if name != last:
            yield f"# TYPE {name} untyped\n"
            last = name
        pairs = [f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels if label != METRIC_NAME]
        if not label_value(labels, "instance"):
            pairs.append('instance=""')
        yield f"{name}{{{','.join(pairs)}}} {format_g(value) if value else '0'} {timestamp_ms}\n"
