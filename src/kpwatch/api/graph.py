"""`/graph`: the address that Prometheus' page has, and that links of alerts lead to; here it is the explorer's. Pure.

`g0.expr` and what else its first panel says become the explorer's own parameters. The answer names it by a relative
URL, so that it is found behind a proxy that serves the hub below a path.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from kpwatch.api.params import Form, parse_duration_ns
from kpwatch.base.asgi import Answer

if TYPE_CHECKING:
    from kpwatch.base.asgi import Request

PARAMETERS = ("g0.expr", "g0.tab", "g0.range_input", "g0.end_input", "g0.moment_input", "g0.stacked")
_GRAPH_TABS = ("0", "graph")
_EXPLORER = "table"


async def graph(request: Request) -> Answer:
    """GET /graph."""
    return Answer(302, headers=(("location", explorer_url(Form(request.query))),))


def explorer_url(form: Form) -> str:
    """The explorer's URL, relative to `/`; what of the form nobody could read is left out."""
    given = {"q": form.text("g0.expr")}
    if form.text("g0.tab") in _GRAPH_TABS:
        given |= {"tab": "graph", "stacked": "1" if form.text("g0.stacked") == "1" else "", **_span(form)}
    else:
        given["time"] = _unix_text(form.text("g0.moment_input") or form.text("g0.end_input"))
    shown = {name: value for name, value in given.items() if value}
    return f"{_EXPLORER}?{urlencode(shown)}" if shown else _EXPLORER


def _span(form: Form) -> dict[str, str]:
    """The last so many seconds, or those until `g0.end_input`."""
    try:
        seconds = parse_duration_ns(form.text("g0.range_input")) // 1_000_000_000
    except ValueError:
        return {}
    end = _unix_text(form.text("g0.end_input"))
    return {"from": str(int(end) - seconds), "to": end} if end else {"range": f"{seconds}s"}


def _unix_text(text: str) -> str:
    """Unix seconds of `2026-01-31 12:00:00` in UTC, as Prometheus' page writes it; "" where it is something else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
