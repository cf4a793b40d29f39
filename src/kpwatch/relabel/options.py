"""What one `[[instances]]` table says about its samples: which count, what they are worth, what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpwatch.relabel.rules import RelabelRule


@dataclass(frozen=True, slots=True)
class EnumRule:
    """`processor_enum`: a value that is printed like one of the texts becomes the number beside it."""

    metrics: tuple[str, ...]
    """Globs on the sample's name."""
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class SampleRules:
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


NO_RULES = SampleRules()
