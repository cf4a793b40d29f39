"""What a sender says of a metric family."""

from __future__ import annotations

from kpwatch.base.named import NamedTuple


class FamilyMetadata(NamedTuple):
    """Type in Prometheus' words (`counter`, `gauge`, `histogram`, `summary`, `unknown`, …), unit and help, or ""."""

    type: str
    unit: str
    help: str
