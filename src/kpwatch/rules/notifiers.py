"""All who are told of alerts, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.rules.expand import Surroundings
from kpwatch.rules.notify import ALERTS_PATH, Alertmanager, outside_labels
from kpwatch.rules.silences import Silences
from kpwatch.rules.webhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.labels import Labels
    from kpwatch.rules.memory import Memory
    from kpwatch.rules.options import RuleOptions
    from kpwatch.rules.ruler import Told


class Notifiers:
    """Alertmanagers, webhooks, and the silences that the latter heed."""

    def __init__(self, options: RuleOptions, memory: Memory, telemetry: Registry, clock: Clock, log: Logger) -> None:
        self.around = around = Surroundings(options.external_labels, options.external_url)
        """Of every message and template."""
        self.silences = Silences(memory, clock)
        self._alertmanagers = [
            Alertmanager(address, around, telemetry, clock, log) for address in options.notifying.alertmanagers
        ]
        webhooks = [
            Webhook(one, around, memory, self.silences, telemetry, clock, log) for one in options.notifying.webhooks
        ]
        self._all: list[Alertmanager | Webhook] = [*self._alertmanagers, *webhooks]

    def start(self) -> None:
        """Begin to send."""
        for one in self._all:
            one.start()

    def tell(self, told: Sequence[Told]) -> None:
        """Take note of alerts as they are now; returns at once."""
        for one in self._all:
            one.tell(told)

    def stop(self) -> None:
        """End, each within a bound."""
        for one in self._all:
            one.stop()

    def quiet_by(self, labels: Labels) -> tuple[str, ...]:
        """The silences of the hub's own that an alert with these labels has now."""
        return self.silences.silenced_by(tuple(sorted(outside_labels(labels, self.around).items())))

    def document(self) -> dict[str, Any]:
        """`data` of `/alertmanagers`."""
        active = [{"url": one.url + ALERTS_PATH} for one in self._alertmanagers]
        return {"activeAlertmanagers": active, "droppedAlertmanagers": []}
