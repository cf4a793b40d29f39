"""Webhooks: who is told of alerts without an Alertmanager in between.

A receiver is told of alerts in groups, one for each `alertname`: of what is new (fires and was not told, or was told
and is over), `wait_seconds` after the first of it, together with what else fires in the group; and again after
`repeat_seconds` where it still fires. What it was told is kept in `memory`: after a restart it is neither told twice
nor left without the end. A message that is not taken is made anew with growing pauses, as things are then. Alerts that
are silenced, or that the receiver's matchers do not want, are no news. At most `ALERTS_MAX` are known; more are
counted.
"""

from __future__ import annotations

import json
import threading
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kpwatch.base.clock import utc_text
from kpwatch.base.errors import KpwatchError
from kpwatch.model.matchers import matches_all
from kpwatch.rules.bodies import KINDS, TITLE, Signed, fingerprint, message, refused, rendered, shortened
from kpwatch.rules.notify import END_SECONDS, generator_url, outside_labels
from kpwatch.rules.posting import Deliveries, NotTaken, Poster, secret_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.matchers import Matcher
    from kpwatch.rules.expand import Surroundings
    from kpwatch.rules.memory import Memory
    from kpwatch.rules.posting import Address
    from kpwatch.rules.ruler import Told
    from kpwatch.rules.silences import Silences

ALERTS_MAX = 10_000
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 300.0
LOOK_SECONDS = 1.0
RESTART_SECONDS = 600.0
"""After a restart an alert that the receiver was told of is not over before its rule had time to say so."""
ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """One receiver."""

    name: str
    kind: str
    """One of bodies.KINDS."""
    address: Address
    secret_file: str = ""
    """Of DingTalk and Feishu: what messages are signed with."""
    title: str = TITLE
    text: str = ""
    """Templates; "" = the kind's own."""
    body: str = ""
    """A template for the whole body."""
    matchers: tuple[Matcher, ...] = ()
    send_resolved: bool = True
    wait_seconds: float = 10.0
    repeat_seconds: float = 4 * 3600.0
    alerts_max: int = 20
    """Of one message; the others are counted in it."""


@dataclass(slots=True)
class _Known:
    """An alert as it was last heard of, and what the receiver was told of it."""

    document: dict[str, Any]
    """As in the message, but for `status` and `endsAt`."""
    ends_at: float
    is_active: bool
    heard_at: float
    told: str = ""
    """`firing`, or "" where it was not."""

    def fires(self, now: float) -> bool:
        return self.is_active and self.ends_at >= now


@dataclass(slots=True)
class _Group:
    """What of one `alertname` the receiver was told."""

    told_at: float = 0.0
    news_since: float = 0.0
    pause_seconds: float = 0.0
    not_before: float = 0.0
    alerts: dict[str, _Known] = field(default_factory=dict)


class Webhook:
    """One receiver at work; `tell` from any thread."""

    def __init__(
        self,
        options: WebhookOptions,
        around: Surroundings,
        memory: Memory,
        silences: Silences,
        telemetry: Registry,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._options = options
        self._kind = KINDS[options.kind]
        self._around = around
        self._memory = memory
        self._silences = silences
        self._clock = clock
        self._log = log
        self._poster = Poster(options.address)
        self._groups: dict[str, _Group] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._deliveries = Deliveries(telemetry, options.name, self._count_news)
        for (receiver, print_), kept in memory.documents("told"):
            if receiver == options.name:
                ends_at = max(kept["ends_at"], clock.unix_seconds() + RESTART_SECONDS)
                known = _Known(kept["document"], ends_at, True, kept["heard_at"], "firing")
                self._group(kept["document"]).alerts[print_] = known
                self._group(kept["document"]).told_at = kept["told_at"]
        self._thread = threading.Thread(target=self._work, name=f"webhook-{options.name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was not told is told after the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self._poster.close()

    def _group(self, document: dict[str, Any]) -> _Group:
        return self._groups.setdefault(document["labels"].get("alertname", ""), _Group())

    def _count_news(self) -> int:
        now = self._clock.unix_seconds()
        with self._changed:
            return sum(len(self._news(group, now)) for group in self._groups.values())

    def tell(self, told: Sequence[Told]) -> None:
        """Take note of alerts as they are."""
        now = self._clock.unix_seconds()
        with self._changed:
            for one in told:
                labels = outside_labels(one.alert.labels, self._around)
                if not matches_all(self._options.matchers, tuple(sorted(labels.items()))):
                    continue
                print_ = fingerprint(labels)
                document = {
                    "labels": labels,
                    "annotations": dict(one.alert.annotations),
                    "startsAt": utc_text(one.alert.fired_at),
                    "generatorURL": generator_url(one, self._around),
                    "fingerprint": print_,
                }
                group = self._group(document)
                before = group.alerts.get(print_)
                if before is None:
                    if not one.alert.is_active:
                        continue  # it was never told, or its end was
                    if sum(len(other.alerts) for other in self._groups.values()) >= ALERTS_MAX:
                        self._deliveries.dropped.add()
                        continue
                told_before = before.told if before is not None else ""
                group.alerts[print_] = _Known(document, one.ends_at, one.alert.is_active, now, told_before)
            self._changed.notify()

    def _news(self, group: _Group, now: float) -> list[_Known]:
        found = []
        for known in group.alerts.values():
            if known.fires(now) is bool(known.told):
                continue
            if known.told or not self._is_silenced(known):
                found.append(known)
        return found

    def _is_silenced(self, known: _Known) -> bool:
        return bool(self._silences.silenced_by(tuple(sorted(known.document["labels"].items()))))

    # The thread.

    def _work(self) -> None:
        while not self._stopping:
            for name in list(self._groups):
                if not self._stopping:
                    self.look(name)
            with self._changed:
                if not self._stopping:
                    self._changed.wait(LOOK_SECONDS)

    def look(self, name: str) -> None:
        """Send what one group has to be told now, if anything."""
        now = self._clock.unix_seconds()
        with self._changed:
            group = self._groups[name]
            self._clean(group, now)
            if not group.alerts:
                del self._groups[name]
                return
            alerts = self._due(group, now)
        if not alerts:
            return
        try:
            self._send(name, alerts, now)
        except Exception as error:  # noqa: BLE001 - a mistake of ours is a failure like another: counted, tried again
            self._deliveries.failed.add()
            if not isinstance(error, KpwatchError):
                self._log.error(f"webhook {self._options.name}: {''.join(traceback.format_exception(error))}")
            group.pause_seconds = min(max(group.pause_seconds * 2, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)
            group.not_before = now + group.pause_seconds
            self._log.warning(f"webhook {self._options.name}: {error}; it is sent again", about=f"webhook {name}")
            return
        self._deliveries.sent.add(len(alerts))
        self._was_told(group, alerts, now)

    def _clean(self, group: _Group, now: float) -> None:
        """Forget alerts that are over before anybody was told."""
        for print_, known in list(group.alerts.items()):
            over = not known.fires(now)
            if over and (not known.told or not self._options.send_resolved):
                del group.alerts[print_]
                if known.told:
                    self._memory.keep("told", (self._options.name, print_), None)

    def _due(self, group: _Group, now: float) -> list[tuple[_Known, str]]:
        """The alerts of the message that is due, each with its status; [] where none is."""
        news = self._news(group, now)
        firing = [known for known in group.alerts.values() if known.fires(now) and not self._is_silenced(known)]
        group.news_since = (group.news_since or now) if news else 0.0
        repeats = bool(firing) and group.told_at + self._options.repeat_seconds <= now
        is_due = (news and group.news_since + self._options.wait_seconds <= now) or (repeats and not news)
        if not is_due or now < group.not_before:
            return []
        over = [known for known in news if not known.fires(now)]
        return [(known, "firing") for known in firing] + [(known, "resolved") for known in over]

    def _send(self, name: str, alerts: list[tuple[_Known, str]], now: float) -> None:
        options, kind = self._options, self._kind
        shown = [
            {
                "status": status,
                **known.document,
                "endsAt": ZERO_TIME if status == "firing" else utc_text(min(known.ends_at, now)),
            }
            for known, status in alerts
        ]
        most = options.alerts_max or len(shown)
        truncated = max(0, len(shown) - most)
        document = message(options.name, shown[:most], truncated, name, self._around.external_url)
        signed = kind.sign(secret_of(options.secret_file), now) if kind.sign and options.secret_file else Signed()
        if options.body:
            body = rendered(options.body, document).encode("utf-8", "replace")
        else:
            title = shortened(rendered(options.title, document), 200)
            text = shortened(rendered(options.text or kind.text, document), kind.text_bytes)
            content = {**signed.fields, **kind.body(title, text, document)}
            body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        answer = self._poster.post(body, query=signed.query)
        if refused(kind, answer):
            said = self._poster.without_secrets(answer.decode("utf-8", "replace"), options.address.url)
            raise NotTaken(f"{options.address.shown} refuses the message: {said}")

    def _was_told(self, group: _Group, alerts: list[tuple[_Known, str]], now: float) -> None:
        rows: list[tuple[tuple[str, ...], dict[str, Any] | None]] = []
        with self._changed:
            group.told_at, group.news_since, group.pause_seconds, group.not_before = now, 0.0, 0.0, 0.0
            for known, status in alerts:
                print_ = known.document["fingerprint"]
                current = group.alerts.get(print_)
                if current is None:
                    continue
                if status == "resolved":
                    if not current.fires(now):
                        del group.alerts[print_]
                    else:
                        current.told = ""
                    rows.append(((self._options.name, print_), None))
                    continue
                current.told = "firing"
                kept = {
                    "document": current.document,
                    "ends_at": current.ends_at,
                    "heard_at": current.heard_at,
                    "told_at": now,
                }
                rows.append(((self._options.name, print_), kept))
            self._memory.keep_all("told", rows)
