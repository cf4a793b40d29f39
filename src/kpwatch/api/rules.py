"""Rules and alerts: what the room `rules` knows, in Prometheus' shapes; and, without rules, that there are none."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kpwatch.api.answers import success
from kpwatch.api.metadata import matcher_sets
from kpwatch.api.params import LATEST_MS, Form
from kpwatch.base.asgi import Answer
from kpwatch.base.errors import BadQuery, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpwatch.base.asgi import Request
    from kpwatch.model.matchers import Matcher

HISTORY_LIMIT = 1000
SILENCE_BYTES = 64 << 10
_KINDS = ("", "alert", "record")
_FLAGS = {"": False, "true": True, "false": False, "1": True, "0": False, "t": True, "f": False}


class Wanted(NamedTuple):
    """What of the rules somebody asks for; empty = all."""

    kind: str = ""
    """`alert` or `record`."""
    rules: Sequence[str] = ()
    groups: Sequence[str] = ()
    files: Sequence[str] = ()
    exclude_alerts: bool = False
    group_limit: int = 0
    group_next_token: str = ""
    matchers: Sequence[Sequence[Matcher]] = ((),)
    """Rules whose labels one of these sets takes."""


class Rules(Protocol):
    """Rules at work."""

    @property
    def silences(self) -> Silences | None:
        """None where there are no rules."""
        ...

    def rules_document(self, wanted: Wanted) -> Mapping[str, Any]:
        """`data` of `/rules`; raises BadQuery for a token that names no group."""
        ...

    def alerts_document(self) -> Mapping[str, Any]:
        """`data` of `/alerts`."""
        ...

    def alertmanagers_document(self) -> Mapping[str, Any]:
        """`data` of `/alertmanagers`."""
        ...

    def history(self, start: float, end: float, limit: int) -> list[dict[str, Any]]:
        """What alerts did between two times (Unix seconds), newest first."""
        ...

    def problems_document(self) -> list[dict[str, Any]]:
        """What is wrong with the rule files."""
        ...

    def reload_soon(self) -> None:
        """Read the files again."""
        ...


class Silences(Protocol):
    """Silences of the hub's own."""

    def list(self) -> list[dict[str, Any]]:
        """All of them."""
        ...

    def add(self, asked: Mapping[str, Any]) -> str:
        """Make or change one; its id. Raises BadQuery, NotFound."""
        ...

    def expire(self, name: str) -> None:
        """End one; raises NotFound."""
        ...


class NoRules:
    """A hub without rules."""

    silences = None

    def rules_document(self, wanted: Wanted) -> Mapping[str, Any]:
        """See Rules."""
        del wanted
        return {"groups": []}

    def alerts_document(self) -> Mapping[str, Any]:
        """See Rules."""
        return {"alerts": []}

    def alertmanagers_document(self) -> Mapping[str, Any]:
        """See Rules."""
        return {"activeAlertmanagers": [], "droppedAlertmanagers": []}

    def history(self, start: float, end: float, limit: int) -> list[dict[str, Any]]:
        """See Rules."""
        del start, end, limit
        return []

    def problems_document(self) -> list[dict[str, Any]]:
        """See Rules."""
        return []

    def reload_soon(self) -> None:
        """See Rules."""


class RulesApi:
    """Handlers of /rules, /alerts, /alertmanagers, and of our own about alerts."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or NoRules()

    async def rules(self, request: Request) -> Answer:
        """GET /rules."""
        form = Form(request.query)
        kind, flag = form.text("type"), form.text("exclude_alerts").lower()
        if kind not in _KINDS:
            raise BadQuery(f'invalid parameter "type": not supported value "{kind}"')
        if flag not in _FLAGS:
            raise BadQuery(
                'invalid parameter "exclude_alerts": error converting exclude_alerts: '
                f'strconv.ParseBool: parsing "{flag}": invalid syntax'
            )
        limit, token = _group_limit(form), form.text("group_next_token")
        names = (form.all("rule_name[]"), form.all("rule_group[]"), form.all("file[]"))
        selectors = form.all("match[]")

        def work() -> Mapping[str, Any]:
            wanted = Wanted(kind, *names, _FLAGS[flag], limit, token, matcher_sets(selectors, ""))
            return self._rules.rules_document(wanted)

        return success(await asyncio.to_thread(work))

    async def alerts(self, _: Request) -> Answer:
        """GET /alerts."""
        return success(await asyncio.to_thread(self._rules.alerts_document))

    async def alertmanagers(self, _: Request) -> Answer:
        """GET /alertmanagers."""
        return success(self._rules.alertmanagers_document())

    async def history(self, request: Request) -> Answer:
        """GET /alerts/history."""
        form = Form(request.query)
        start, end = form.time_ms("start", 0), form.time_ms("end", LATEST_MS)
        limit = form.limit() or HISTORY_LIMIT
        events = await asyncio.to_thread(self._rules.history, start / 1000, end / 1000, limit)
        return success({"events": events})

    async def problems(self, _: Request) -> Answer:
        """GET /rules/problems."""
        return success({"problems": self._rules.problems_document()})

    async def silences(self, request: Request) -> Answer:
        """GET, POST /silences."""
        if request.method != "POST":
            return success({"silences": self._rules.silences.list() if self._rules.silences else []})
        silences = self._silences()
        if not request.header(b"content-type").startswith("application/json"):
            raise BadQuery("a silence is application/json")  # which no form of another page can send
        try:
            asked = json.loads(await request.body(SILENCE_BYTES))
        except ValueError as error:
            raise BadQuery(f"a silence is a JSON object: {error}") from error
        if not isinstance(asked, dict):
            raise BadQuery("a silence is a JSON object")
        return success({"silenceID": await asyncio.to_thread(silences.add, asked)})

    async def silence(self, request: Request) -> Answer:
        """DELETE /silences/{id}."""
        await asyncio.to_thread(self._silences().expire, request.captured)
        return success({})

    def _silences(self) -> Silences:
        if self._rules.silences is None:
            raise NotFound("the hub evaluates no rules (--rules), so there is nothing to silence")
        return self._rules.silences

    async def reload(self, _: Request) -> Answer:
        """POST /-/reload."""
        self._rules.reload_soon()
        return Answer(200)


def _group_limit(form: Form) -> int:
    """How many groups a page has; 0 = all. Raises BadQuery in Prometheus' words."""
    text = form.text("group_limit")
    if not text:
        if form.text("group_next_token"):
            raise BadQuery(
                'invalid parameter "group_next_token": '
                "group_limit needs to be present in order to paginate over the groups"
            )
        return 0
    try:
        limit = form.whole("group_limit") or 0
    except BadQuery as error:
        raise BadQuery(
            'invalid parameter "group_limit": group_limit needs to be a valid number: '
            f'strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from error
    if limit <= 0:
        raise BadQuery('invalid parameter "group_limit": group_limit needs to be greater than 0')
    return limit
