"""What one `[[instances]]` table says about its samples: which count, what they are worth, what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from kpwatch.relabel.rules import RelabelRule


class EnumRule(NamedTuple):
    """`processor_enum`: a value that is printed like one of the texts becomes the number beside it."""

    metrics: tuple[str, ...]
    """Globs on the sample's name."""
    values: tuple[tuple[str, float], ...]


class LabelLimits(NamedTuple):
    """Above one of these a series fails its scrape; 0 = no limit. `limits` says how they are judged."""

    labels: int = 0
    name_bytes: int = 0
    value_bytes: int = 0


NO_LIMITS = LabelLimits()


class SampleRules(NamedTuple):
    """All filters and rules of one instance; the order in which they work stands in `pipeline`."""

    ignore_metrics: tuple[str, ...] = ()
    """Globs on the family's name."""
    ignore_label_keys: tuple[str, ...] = ()
    """Globs on names of scraped labels."""
    name_prefix: str = ""
    metrics_drop: tuple[str, ...] = ()
    """Globs on the sample's name."""
    metrics_pass: tuple[str, ...] = ()
    """Globs on the sample's name; () lets everything pass."""
    enums: tuple[EnumRule, ...] = ()
    metrics_name_prefix: str = ""
    relabel: tuple[RelabelRule, ...] = ()
    honor_labels: bool = False
    """Scraped labels are stronger than the URL's and the instance's."""
    label_limits: LabelLimits = NO_LIMITS


NO_RULES = SampleRules()
