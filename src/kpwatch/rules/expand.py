"""Labels and annotations of a rule: their templates, and what these know. Pure.

`$labels`, `$value`, `$externalLabels` and `$externalURL` are variables, as in Prometheus;
`.Labels`, `.Value`, `.ExternalLabels`, `.ExternalURL` are the same. A template that fails becomes a text that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.rules.go_execute import execute
from kpwatch.rules.go_functions import NAMES, functions
from kpwatch.rules.go_parse import TemplateError, parse
from kpwatch.rules.go_print import Map, Struct

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels
    from kpwatch.rules.go_functions import Query
    from kpwatch.rules.go_tree import Template

VARIABLES = ("$labels", "$externalLabels", "$externalURL", "$value")


@dataclass(slots=True)
class Surroundings:
    """What all templates of a hub know."""

    external_labels: Labels = ()
    external_url: str = ""
    """Where people reach the hub; with port 0 it is not known before the hub listens."""


class Expanded(NamedTuple):
    """Text, and why it is not what the template would have made ("" where it is)."""

    text: str
    error: str


@lru_cache(maxsize=4096)
def read_template(text: str) -> Template:
    """A template as rules have them; raises TemplateError."""
    return parse(text, NAMES, VARIABLES)


def expanded(text: str, labels: Labels, value: float, query: Query, around: Surroundings) -> Expanded:
    """What a template makes of one alert."""
    if "{{" not in text:
        return Expanded(text, "")
    shown, external = Map(labels), Map(around.external_labels)
    data = Struct(Labels=shown, ExternalLabels=external, ExternalURL=around.external_url, Value=value)
    values = (shown, external, around.external_url, value)
    try:
        template = read_template(text)
        made = execute(template, data, functions(query, around.external_url), dict(zip(VARIABLES, values, strict=True)))
    except Exception as error:  # noqa: BLE001 - whatever a template does, the alert goes out
        reason = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
        return Expanded(f"<error expanding template: {reason}>", reason)
    return Expanded(made, "")
