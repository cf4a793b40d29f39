"""Who a sample says it is: Categraf's label precedence, and `ident`.

From weakest to strongest (reference: Categraf's inputs/prometheus and config/inline.go):

    scraped labels  <  the URL's labels (`instance` …)  <  le / quantile  <  the instance's `labels`
    then, only where absent:  [global.labels],  agent_hostname

With `honor_labels` (ours, Prometheus' word) scraped labels are stronger than the URL's and the instance's, "-"
included; a scraped label that is empty keeps the others away, as in Prometheus.

The value "-" in the instance's `labels` deletes a label. `le` and `quantile` are written as Go writes the float
(`1` for `1.0`, `1e+06`), names are made legal, empty values are dropped: an empty label is no label.

`ident` is the writer's affair, not the sample's: Nightingale renames `agent_hostname` itself, every other receiver
gets it from `with_ident`. What is printed by `--test` is what comes before that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from kpwatch.base.named import NamedTuple
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import METRIC_NAME, make_labels
from kpwatch.relabel.options import NO_RULES

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.options import SampleRules

Pairs = tuple[tuple[str, str], ...]

AGENT_HOSTNAME = "agent_hostname"
IDENT = "ident"
DELETE_LABEL = "-"

_NAME_ESCAPES = str.maketrans(dict.fromkeys("-. '\"", "_"))
_LABEL_ESCAPES = str.maketrans(dict.fromkeys("-. /", "_"))

_FLOAT_LABELS = {("histogram", "_bucket"): "le", ("gaugehistogram", "_bucket"): "le", ("summary", ""): "quantile"}
"""(type of the family, what the sample's name adds to it) -> label that is a number."""


class Identity(NamedTuple):
    """What one target adds to each of its samples."""

    url_labels: Pairs = ()
    labels: Pairs = ()
    global_labels: Pairs = ()
    hostname: str = ""
    """"" where `omit_hostname` is set."""
    rules: SampleRules = NO_RULES
    """Filters and rules around the naming; `pipeline` applies them."""

    def printed(self, name: str, scraped: Pairs, family: str, family_type: str) -> Labels:
        """The labels `--test` prints where there are no rules, `__name__` included: names as they came."""
        pairs = self.named(scraped, number_label(name, family, family_type), honored=self.rules.honor_labels)
        pairs[METRIC_NAME] = legal_name(name)
        return make_labels(pairs)

    def named(self, scraped: Pairs, number: str, *, honored: bool = False) -> dict[str, str]:
        """`scraped` with everything added, without `__name__`; `number` is the label that is a number, or "".

        `honored`: `scraped` is stronger than what is added.
        """
        pairs = dict(scraped)
        text = pairs.get(number)
        pairs.update(self.url_labels)
        if text is not None:
            pairs[number] = normal_number(text)
        for label, value in self.labels:
            if value == DELETE_LABEL:
                pairs.pop(label, None)
            else:
                pairs[label] = value
        if honored:
            pairs.update((label, normal_number(value) if label == number else value) for label, value in scraped)
        for label, value in self.global_labels:
            pairs.setdefault(label, value)
        if self.hostname:
            pairs.setdefault(AGENT_HOSTNAME, self.hostname)
        return pairs


def legal_name(name: str) -> str:
    """A metric's name with `_` for the characters that the original replaces."""
    return name.translate(_NAME_ESCAPES)


def number_label(name: str, family: str, family_type: str) -> str:
    """`le` or `quantile` where a sample of this name in such a family has one, else ""."""
    return _FLOAT_LABELS.get((family_type, name[len(family) :]), "")


def normal_number(text: str) -> str:
    """`le` and `quantile` as Go writes the float; what is no number stays."""
    if "_" in text or not text.isascii():
        return text  # Python would take it for a number, Go does not
    try:
        return format_g(float(text))
    except ValueError:
        return text


@lru_cache(maxsize=256)
def _legal_label(label: str) -> str:
    return label.translate(_LABEL_ESCAPES)


def on_the_wire(labels: Labels, ident: Literal["add", "rename", "off"]) -> Labels:
    """`labels` with legal label names and, by the writer's mode, `agent_hostname` as `ident` where that is absent."""
    pairs = {_legal_label(label): value for label, value in labels}
    if ident != "off" and AGENT_HOSTNAME in pairs and IDENT not in pairs:
        pairs[IDENT] = pairs[AGENT_HOSTNAME]
        if ident == "rename":
            del pairs[AGENT_HOSTNAME]
    return make_labels(pairs)
