"""How many and how long a series' labels may be. Prometheus' limits: one series above one of them fails the scrape.

Judged is what `pipeline` makes of a sample, `__name__` included, lengths in bytes as they go out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import TooLarge
from kpwatch.model.labels import metric_name

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.options import LabelLimits


class OverLabelLimit(TooLarge):
    """A series is above one of its limits; `key` is the limit's name."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(detail)
        self.key = key


def check_limits(labels: Labels, limits: LabelLimits) -> None:
    """Raises OverLabelLimit."""
    if 0 < limits.labels < len(labels):
        raise OverLabelLimit(
            "label_limit", f"{_shown(labels)} has {len(labels)} labels, __name__ included, the limit is {limits.labels}"
        )
    for name, value in labels:
        if 0 < limits.name_bytes < (length := len(name.encode())):
            raise OverLabelLimit(
                "label_name_length_limit",
                f"label name {name[:60]!r} of {_shown(labels)} has {length} bytes, the limit is {limits.name_bytes}",
            )
        if 0 < limits.value_bytes < (length := len(value.encode())):
            raise OverLabelLimit(
                "label_value_length_limit",
                f"the value of label {name[:60]!r} of {_shown(labels)} has {length} bytes, "
                f"the limit is {limits.value_bytes}",
            )


def _shown(labels: Labels) -> str:
    return metric_name(labels)[:60]
