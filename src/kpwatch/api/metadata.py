"""What there is: series, label names and values.

`match[]` selects by the union of its selectors; without a time everything kept is looked at.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Protocol

from kpwatch.api.answers import TRUNCATED, bounded_bytes, success, success_json
from kpwatch.api.answers import labels_text as _labels_text
from kpwatch.api.encoding import accepted_coding, encoded
from kpwatch.api.forms import read_form
from kpwatch.api.params import EARLIEST_MS, LATEST_MS
from kpwatch.base.errors import BadQuery
from kpwatch.promql.pretty import quote
from kpwatch.promql.strings import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.api.params import Form
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher

_NO_UTF_8 = "\ufffd"
"""What a server makes of bytes in a path that are none."""


class NameSource(Protocol):
    """The part of a SeriesSource that knows names; see model/source.py."""

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Sorted label sets."""
        ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted label names."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted values of a label."""
        ...


class MetadataApi:
    """Handlers of /series, /labels, /label/NAME/values."""

    def __init__(self, source: NameSource, workers: Workers) -> None:
        self._source = source
        self._workers = workers

    async def series(self, request: Request) -> Answer:
        """GET, POST /series?match[]=&start=&end=&limit=."""
        form = await read_form(request)
        if not form.all("match[]"):
            raise BadQuery("no match[] parameter provided")
        return await self._names(request, form, self._source.series, self._label_sets, "match[]")

    def _label_sets(self, sets: list[Labels], warnings: Sequence[str]) -> Answer:
        commas = chain(("",), repeat(","))
        rows = (comma + _labels_text(labels) for comma, labels in zip(commas, sets, strict=False))
        data = bounded_bytes(chain("[", rows, "]"), self._workers.answer_bytes_max)
        return success_json(data, warnings=warnings)

    async def labels(self, request: Request) -> Answer:
        """GET, POST /labels?match[]=&start=&end=&limit=."""
        form = await read_form(request)
        return await self._names(request, form, self._source.label_names, _texts)

    async def label_values(self, request: Request) -> Answer:
        """GET /label/NAME/values?match[]=&start=&end=&limit=."""
        form = await read_form(request)
        name = unescape_name(request.captured)
        if not name or not is_text(name) or _NO_UTF_8 in name:
            raise BadQuery(f"invalid label name: {quote(name)}")
        source = self._source

        def values(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
            return source.label_values(name, matchers, start_ms, end_ms)

        return await self._names(request, form, values, _texts)

    async def _names(
        self,
        request: Request,
        form: Form,
        ask: Callable[[Sequence[Matcher], int, int], list[Any]],
        show: Callable[[list[Any], Sequence[str]], Answer],
        parameter: str = "",
    ) -> Answer:
        limit = form.limit()
        start_ms, end_ms = form.time_ms("start", EARLIEST_MS), form.time_ms("end", LATEST_MS)
        selectors = form.all("match[]")
        coding = accepted_coding(request)

        def work() -> Answer:
            sets = matcher_sets(selectors, parameter)
            answers = [ask(matchers, start_ms, end_ms) if start_ms <= end_ms else [] for matchers in sets]
            names = answers[0] if len(answers) == 1 else _union(answers)
            cut = bool(limit) and len(names) > limit
            return encoded(show(names[:limit] if cut else names, [TRUNCATED] if cut else []), coding)

        return await self._workers.run(work)


def _texts(names: list[str], warnings: Sequence[str]) -> Answer:
    return success(names, warnings=warnings)


def _union(answers: Iterable[list[Any]]) -> list[Any]:
    return sorted({name for answer in answers for name in answer})


def matcher_sets(selectors: Sequence[str], parameter: str = "match[]") -> list[Sequence[Matcher]]:
    """Matchers of every selector; one empty set, which means everything, where there are none.

    `parameter` is named in errors, unless it is "".
    """
    return [matchers_of(selector, parameter) for selector in selectors] or [()]


def matchers_of(selector: str, parameter: str) -> Sequence[Matcher]:
    """Matchers of a selector; raises BadQuery."""
    from kpwatch.promql.faults import find_fault  # noqa: PLC0415
    from kpwatch.promql.lexer import tokens  # noqa: PLC0415
    from kpwatch.promql.parse import parse  # noqa: PLC0415 - the parser is loaded when the first query needs it
    from kpwatch.promql.tree import Selector  # noqa: PLC0415

    said = f'invalid parameter "{parameter}": ' if parameter else ""
    try:
        node = parse(selector)
    except BadQuery as error:
        reason = str(error)
        if "at least one non-empty matcher" in reason:
            reason = "match[] must contain at least one non-empty matcher"
        raise BadQuery(f"{said}{reason}") from error
    fault = find_fault(list(tokens(selector)), is_selector=True)
    if fault or not isinstance(node, Selector):
        raise BadQuery(f"{said}{fault}")
    return node.matchers


def unescape_name(name: str) -> str:
    """A label name from a URL: `U__a_2e_b` stands for `a.b` (Prometheus' "values" escaping), anything else for itself.

    After `U__`, `__` is one underscore and `_hex_` the character with that code; what cannot be read stays as it is.
    """
    if not name.startswith("U__"):
        return name
    text = name[3:]
    result = []
    position = 0
    while position < len(text):
        if text[position] != "_":
            result.append(text[position])
            position += 1
        elif text.startswith("__", position):
            result.append("_")
            position += 2
        else:
            end = text.find("_", position + 1)
            code = text[position + 1 : end] if end > 0 else ""
            try:
                result.append(chr(int(code, 16)))
            except (ValueError, OverflowError):
                return name
            position = end + 1
    return "".join(result)
