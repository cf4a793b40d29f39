"""Alerts on their way to Alertmanagers: a queue and a thread for each, so that a dead one delays no other.

Messages are those of Alertmanager's API v2. Of an alert only the newest word waits: what an Alertmanager has missed it
is told as it is now, not as it was; a queue therefore holds at most one entry for each alert, and `QUEUE_MAX` of them.
What cannot be sent is tried again with growing pauses; a firing alert whose end has passed meanwhile is no news and is
left out, a resolved one after `RESOLVED_SECONDS`; both are counted.
"""

from __future__ import annotations

import json
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from kpwatch.base.clock import utc_text
from kpwatch.base.errors import KpwatchError
from kpwatch.rules.posting import Deliveries, Poster
from kpwatch.rules.states import RESOLVED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.labels import Labels
    from kpwatch.rules.expand import Surroundings
    from kpwatch.rules.posting import Address
    from kpwatch.rules.ruler import Told

ALERTS_PATH = "/api/v2/alerts"
QUEUE_MAX = 10_000
BATCH_MAX = 64
"""Alerts of one message."""
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0
END_SECONDS = 2.0


def outside_labels(labels: Labels, around: Surroundings) -> dict[str, str]:
    """Labels with the external ones that they have not."""
    return {**dict(around.external_labels), **dict(labels)}


def generator_url(told: Told, around: Surroundings) -> str:
    """Where the alert's expression is shown."""
    return f"{around.external_url}/graph?g0.expr={quote_plus(told.expression)}&g0.tab=1"


def postable(told: Told, around: Surroundings) -> dict[str, Any]:
    """One alert of a message (postableAlert of Alertmanager's API v2)."""
    return {
        "startsAt": utc_text(told.alert.fired_at),
        "endsAt": utc_text(told.ends_at),
        "generatorURL": generator_url(told, around),
        "labels": outside_labels(told.alert.labels, around),
        "annotations": dict(told.alert.annotations),
    }


class Alertmanager:
    """One of them; `tell` from any thread."""

    def __init__(self, address: Address, around: Surroundings, telemetry: Registry, clock: Clock, log: Logger) -> None:
        self.url = address.shown
        self._poster = Poster(address)
        self._around = around
        self._clock = clock
        self._log = log
        self._waiting: dict[Labels, Told] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._deliveries = Deliveries(telemetry, address.shown, lambda: len(self._waiting))
        self._thread = threading.Thread(target=self._work, name="alertmanager", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def tell(self, told: Sequence[Told]) -> None:
        """Queue alerts; the oldest go where there are too many."""
        with self._changed:
            for one in told:
                self._waiting.pop(one.alert.labels, None)
                self._waiting[one.alert.labels] = one
            while len(self._waiting) > QUEUE_MAX:
                del self._waiting[next(iter(self._waiting))]
                self._deliveries.dropped.add()
            self._changed.notify()

    def stop(self) -> None:
        """End; what waits is tried once more within a bound."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self._poster.close()

    def _work(self) -> None:
        pause = 0.0
        while batch := self._next(pause):
            try:
                documents = [postable(one, self._around) for one in batch]
                body = json.dumps(documents, ensure_ascii=False).encode("utf-8", "replace")
                self._poster.post(body, path=ALERTS_PATH)
            except KpwatchError as error:
                self._deliveries.failed.add()
                pause = min(max(pause * 2, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)
                self._log.warning(f"alerts: {error}; {len(batch)} are sent again", about=f"alerts {self.url}")
                self._put_back(batch)
                if self._stopping:
                    return
            except Exception as error:  # noqa: BLE001 - a mistake of ours is not to silence what comes after it
                self._deliveries.dropped.add(len(batch))
                self._log.error(f"alerts: {''.join(traceback.format_exception(error))}")
            else:
                pause = 0.0
                self._deliveries.sent.add(len(batch))

    def _put_back(self, batch: list[Told]) -> None:
        with self._changed:
            newer = self._waiting
            self._waiting = {one.alert.labels: one for one in batch if one.alert.labels not in newer}
            self._waiting.update(newer)

    def _next(self, pause: float) -> list[Told]:
        """What is to be sent, after a pause; [] at the end."""
        with self._changed:
            if pause:
                self._changed.wait_for(lambda: self._stopping, pause)
            while True:
                batch = self._taken()
                if batch or self._stopping:
                    return batch
                self._changed.wait()

    def _taken(self) -> list[Told]:
        now = self._clock.unix_seconds()
        batch: list[Told] = []
        while self._waiting and len(batch) < BATCH_MAX:
            one = self._waiting.pop(next(iter(self._waiting)))
            kept_seconds = 0.0 if one.alert.is_active else RESOLVED_SECONDS
            if one.ends_at + kept_seconds < now:
                self._deliveries.dropped.add()
            else:
                batch.append(one)
        return batch
