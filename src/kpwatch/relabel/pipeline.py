"""What becomes of one sample: left out, or named and valued. Pure; asked once for each head of a body.

In the original's order (reference: Categraf's parser/prometheus, config/inline.go, pkg/relabel):

    ignore_metrics         the family's name                             -> left out
    ignore_label_keys      scraped labels, but never le and quantile     -> without them
    name_prefix            PREFIX_ before the family's name, unless it begins with PREFIX
    metrics_drop, _pass    the sample's name                             -> left out
    processor_enum         the printed value
    metrics_name_prefix    before every name
    labels                 `identity`: URL, instance, global, agent_hostname
    relabel_configs        sees all of that, may rename or                -> left out

`up` passes through all but the first three, as in the original. So do our own samples (`kpwatch_*`, `scrape_*`), but
`metrics_pass` does not concern them: a list written for Categraf cannot name what Categraf does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import METRIC_NAME, make_labels
from kpwatch.relabel.globs import compile_globs
from kpwatch.relabel.identity import legal_name, number_label
from kpwatch.relabel.limits import check_limits
from kpwatch.relabel.options import NO_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity, Pairs
    from kpwatch.relabel.rules import Pairs as Labelled
    from kpwatch.relabel.rules import RelabelRule

UP = "up"

LEFT_OUT = ("ignore_metrics", "metrics_drop", "metrics_pass", "relabel", "relabel_no_name")
"""Why a sample may be left out: the key that says so."""


class Named(NamedTuple):
    """A sample that counts."""

    labels: Labels
    """As `--test` prints them, with `__name__`."""
    value_of: Callable[[float], float] | None
    """What its value becomes, where a rule says anything about it."""


class Pipeline:
    """The rules of one target, ready to be applied; raises ConfigError where one of them cannot be."""

    def __init__(self, identity: Identity) -> None:
        rules = identity.rules
        self._identity = identity
        self._family_ignored = compile_globs(rules.ignore_metrics)
        self._label_ignored = compile_globs(rules.ignore_label_keys)
        self._dropped = compile_globs(rules.metrics_drop)
        self._passed = compile_globs(rules.metrics_pass) if rules.metrics_pass else None
        self._enums = [(compile_globs(enum.metrics), dict(enum.values)) for enum in rules.enums]
        self._relabel = _relabelling(rules.relabel)
        self._honor_labels = rules.honor_labels
        self._limits = rules.label_limits

    def scraped(self, name: str, labels: Pairs, family: str, family_type: str) -> Named | str:
        """A sample of the target's body, or the one of LEFT_OUT for which it does not count.

        Raises OverLabelLimit where it counts and is above a limit.
        """
        if self._family_ignored(family):
            return "ignore_metrics"
        number = number_label(name, family, family_type)
        kept = tuple(pair for pair in labels if pair[0] == number or not self._label_ignored(pair[0]))
        prefix = self._identity.rules.name_prefix
        full_name = name if not prefix or family.startswith(prefix) else f"{prefix}_{name}"
        named = self._named(legal_name(full_name), kept, number, passes=self._passed, honored=self._honor_labels)
        if self._limits != NO_LIMITS and not isinstance(named, str):
            check_limits(named.labels, self._limits)
        return named

    def own(self, name: str, labels: Pairs) -> Named | str:
        """A sample of ours about the target, or the one of LEFT_OUT for which it does not count."""
        return self._named(name, labels, "", passes=self._passed if name == UP else None)

    def _named(
        self, name: str, labels: Pairs, number: str, *, passes: Callable[[str], bool] | None, honored: bool = False
    ) -> Named | str:
        if self._dropped(name):
            return "metrics_drop"
        if passes is not None and not passes(name):
            return "metrics_pass"
        pairs = self._identity.named(labels, number, honored=honored)
        pairs[METRIC_NAME] = self._identity.rules.metrics_name_prefix + name
        relabelled = self._relabel(pairs)
        if relabelled is None:
            return "relabel"
        if not relabelled.get(METRIC_NAME):
            return "relabel_no_name"
        return Named(make_labels(relabelled), self._value_map(name))

    def _value_map(self, name: str) -> Callable[[float], float] | None:
        """All mappings that concern `name`, one after the other."""
        mappings = [values for concerns, values in self._enums if concerns(name)]
        if not mappings:
            return None

        def value_of(value: float) -> float:
            for values in mappings:
                value = values.get(format_g(value), value)
            return value

        return value_of


def _relabelling(rules: tuple[RelabelRule, ...]) -> Callable[[Labelled], Labelled | None]:
    """What the rules make of labels. Many configurations have none, and need nothing of what understands them."""
    if not rules:
        return lambda pairs: pairs

    from kpwatch.relabel.rules import compile_rules  # noqa: PLC0415 - see above

    return compile_rules(rules)
