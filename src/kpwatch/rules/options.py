"""Which rules, how often, and what a restart may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels
    from kpwatch.rules.posting import Address
    from kpwatch.rules.webhooks import WebhookOptions

MEMORY_FILE = "rules.db"
"""In the data directory: alerts' states, their history, silences."""


class Notifying(NamedTuple):
    """Who is told of alerts."""

    alertmanagers: tuple[Address, ...] = ()
    webhooks: tuple[WebhookOptions, ...] = ()


NOBODY = Notifying()


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """Options of the room."""

    files: tuple[str, ...] = ()
    """Names and globs."""
    interval_seconds: float = 60.0
    """Of groups that name none."""
    query_offset_seconds: float = 0.0
    """The same."""
    concurrency: int = 2
    """Groups evaluated at once."""
    timeout_seconds: float = 120.0
    """For one query."""
    reload_seconds: float = 5.0
    """How often is looked whether files changed."""
    resend_seconds: float = 60.0
    """Between two messages about an alert that fires."""
    outage_seconds: float = 3600.0
    """See states.Tolerance."""
    grace_seconds: float = 600.0
    external_labels: Labels = ()
    """Added to alerts that are sent."""
    notifying: Notifying = NOBODY
    external_url: str = ""
    """Where people reach the hub: in links; "" = where it listens."""
