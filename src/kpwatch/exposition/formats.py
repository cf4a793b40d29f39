"""Which format a body is in, by its Content-Type, and who reads it.

    text/plain, anything else, nothing    text 0.0.4 and 1.0.0: a broken line costs only itself
    application/openmetrics-text          OpenMetrics 1.0 and 0.0.1: a body counts as a whole or not at all

`PROTOCOLS` is what may be asked for, by Prometheus' names (its key `scrape_protocols`). OpenMetrics is read by a module
that is loaded when the first body of it comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kpwatch.base.named import NamedTuple
from kpwatch.exposition import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.exposition.text import Parsed

Format = Literal["text", "openmetrics"]

PROTOCOLS = {
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
    "PrometheusText1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
}
"""By Prometheus' name: the media type to ask for. In the order in which they are asked for, if nothing else is said."""


class Grammar(NamedTuple):
    """How a format is read."""

    format: Format
    parse: Callable[[bytes], Parsed]
    """Take a whole body apart; never raises."""
    read_rest: Callable[[bytes], tuple[float, int | None]]
    """(value, timestamp_ms or None) of what follows a head; raises BadInput."""
    all_or_nothing: bool
    """A body with a broken line does not count. OpenMetrics 1.0, "Overall Structure", wants it so."""
    has_exemplars: bool
    """A `#` behind a head begins an exemplar."""


TEXT = Grammar("text", text.parse, text.read_rest, all_or_nothing=False, has_exemplars=False)


def format_of(content_type: str) -> Format:
    """The format a Content-Type names; whatever is not OpenMetrics is read as text."""
    media_type = content_type.partition(";")[0].strip().lower()
    return "openmetrics" if media_type == "application/openmetrics-text" else "text"


def grammar_of(name: Format) -> Grammar:
    """Who reads this format."""
    if name == "text":
        return TEXT
    from kpwatch.exposition import openmetrics  # noqa: PLC0415 - few targets speak it

    return Grammar("openmetrics", openmetrics.parse, openmetrics.read_rest, all_or_nothing=True, has_exemplars=True)


def accept_header(protocols: tuple[str, ...]) -> str:
    """The Accept header that asks for these of PROTOCOLS, the first one most; at worst anything."""
    asked = [f"{PROTOCOLS[name]};q={1 - 0.1 * index:.1g}" for index, name in enumerate(protocols)]
    return ",".join([*asked, "*/*;q=0.1"])
