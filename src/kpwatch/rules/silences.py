"""Silences of the hub's own: alerts that match one are not told to webhooks while it lasts, and are shown as silenced.

Where an Alertmanager is told of alerts, silences belong there; these are for a hub without one. The documents have the
shape of Alertmanager's API v2. They are kept in `memory`, expired ones for `EXPIRED_KEPT_SECONDS`.
"""

from __future__ import annotations

import secrets
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kpwatch.base.clock import utc_text
from kpwatch.base.errors import BadQuery, NotFound
from kpwatch.model.matchers import Matcher, matches_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.base.clock import Clock
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import MatchOp
    from kpwatch.rules.memory import Memory

SILENCES_MAX = 1000
EXPIRED_KEPT_SECONDS = 5 * 86_400.0
_OPERATORS: dict[tuple[bool, bool], MatchOp] = {
    (False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~",
}  # fmt: skip
"""By (isRegex, isEqual)."""


class Silences:
    """All of them. Thread-safe."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._documents = {key[0]: document for key, document in memory.documents("silence")}
        self._matchers = {name: _matchers(document) for name, document in self._documents.items()}

    def list(self) -> list[dict[str, Any]]:
        """Every silence with its `status`, active ones first."""
        order = ("active", "pending", "expired")
        with self._lock:
            self._forget_old()
            found = [{**document, "status": {"state": self._state(document)}} for document in self._documents.values()]
        return sorted(found, key=lambda one: (order.index(one["status"]["state"]), one["endsAt"]))

    def add(self, asked: Mapping[str, Any]) -> str:
        """Make a silence, or change the one that `id` names; its id. Raises BadQuery, NotFound."""
        now = self._clock.unix_seconds()
        starts, ends = _seconds(asked, "startsAt", now), _seconds(asked, "endsAt", None)
        document = {
            "matchers": _checked_matchers(asked.get("matchers")),
            "startsAt": utc_text(starts),
            "endsAt": utc_text(ends),
            "updatedAt": utc_text(now),
            "createdBy": str(asked.get("createdBy") or "")[:200],
            "comment": str(asked.get("comment") or "")[:2000],
        }
        if ends <= starts or ends <= now:
            raise BadQuery("endsAt: a silence ends after it starts, and after now")
        with self._lock:
            name = str(asked.get("id") or "")
            if name and name not in self._documents:
                raise NotFound(f"there is no silence {name[:100]!r}")
            self._forget_old()
            if not name and len(self._documents) >= SILENCES_MAX:
                raise BadQuery(f"there are {SILENCES_MAX} silences already; expire some first")
            name = name or secrets.token_hex(8)
            self._keep(name, {"id": name, **document})
        return name

    def expire(self, name: str) -> None:
        """End a silence now; raises NotFound."""
        with self._lock:
            document = self._documents.get(name)
            if document is None:
                raise NotFound(f"there is no silence {name[:100]!r}")
            if self._state(document) != "expired":
                now = utc_text(self._clock.unix_seconds())
                self._keep(name, {**document, "endsAt": now, "updatedAt": now})

    def silenced_by(self, labels: Labels) -> tuple[str, ...]:
        """The silences that keep an alert with these labels quiet now."""
        with self._lock:
            return tuple(
                name
                for name, document in self._documents.items()
                if matches_all(self._matchers[name], labels) and self._state(document) == "active"
            )

    def _keep(self, name: str, document: dict[str, Any]) -> None:
        self._documents[name] = document
        self._matchers[name] = _matchers(document)
        self._memory.keep("silence", (name,), document)

    def _state(self, document: Mapping[str, Any]) -> str:
        now = utc_text(self._clock.unix_seconds())
        if document["endsAt"] <= now:
            return "expired"
        return "active" if document["startsAt"] <= now else "pending"

    def _forget_old(self) -> None:
        before = utc_text(self._clock.unix_seconds() - EXPIRED_KEPT_SECONDS)
        for name in [name for name, document in self._documents.items() if document["endsAt"] < before]:
            del self._documents[name], self._matchers[name]
            self._memory.keep("silence", (name,), None)


def _seconds(asked: Mapping[str, Any], name: str, default: float | None) -> float:
    text = asked.get(name)
    if text is None and default is not None:
        return default
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(str(text))
        seconds = max(0.0, moment.timestamp())
    except (ValueError, OverflowError):
        moment, seconds = None, 0.0
    if moment is None or moment.tzinfo is None:
        raise BadQuery(f"{name}: {str(text)[:100]!r}: expected a time such as 2026-01-31T12:00:00Z")
    return seconds


def _checked_matchers(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not 0 < len(given) <= 50:
        raise BadQuery('matchers: expected a list such as [{"name":"alertname","value":"X","isRegex":false}]')
    found = []
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not isinstance(one.get("value"), str):
            raise BadQuery("matchers: each has a name and a value, both texts")
        found.append(
            {
                "name": one["name"],
                "value": one["value"],
                "isRegex": one.get("isRegex") is True,
                "isEqual": one.get("isEqual", True) is not False,
            }
        )
    if all(matcher.test("") for matcher in _matchers({"matchers": found})):
        raise BadQuery("matchers: at least one must not match the empty text: a silence of everything is a mistake")
    return found


def _matchers(document: Mapping[str, Any]) -> list[Matcher]:
    return [
        Matcher(one["name"], _OPERATORS[one["isRegex"], one["isEqual"]], one["value"]) for one in document["matchers"]
    ]
