"""What must not be forgotten over a restart: states of alerts, what they did, silences, what receivers were told.

One small SQLite file beside the store's (or alone, where an engine keeps the samples). Rows are JSON documents, written
when an evaluation has changed something. A file that cannot be used is set aside under another name and a new one
begun: alerts then start from the beginning, which is said and counted. Thread-safe.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.rules.states import Alert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.labels import Labels
    from kpwatch.rules.groups import Key, RunningGroup

HISTORY_ROWS = 20_000
"""Events kept; older ones go."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (file TEXT, name TEXT, at REAL, document TEXT, PRIMARY KEY (file, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, document TEXT);
CREATE TABLE IF NOT EXISTS silence (id TEXT PRIMARY KEY, document TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told
    (receiver TEXT, target TEXT, document TEXT, PRIMARY KEY (receiver, target)) WITHOUT ROWID;
"""


class Memory:
    """The file; `close` it."""

    def __init__(self, path: Path, telemetry: Registry, log: Logger) -> None:
        """Raises ConfigError where there can be no file."""
        self._lock = threading.Lock()
        self._log = log
        self._failures = telemetry.counter(
            "kpwatch_hub_rules_memory_failures_total", "States and history of alerts that could not be written or read."
        )
        self._saved: set[Key] = set()
        self._database = self._open(path)

    def _open(self, path: Path) -> sqlite3.Connection:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _connect(path)
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.damaged")
            self._failures.add()
            self._log.error(f"{path}: {error}: set aside as {aside.name}; alerts begin anew, silences are lost")
            try:
                for suffix in ("-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                path.replace(aside)
                return _connect(path)
            except (OSError, sqlite3.Error) as again:
                raise ConfigError(f"{path}: cannot be used: {again}; rules keep their states there") from again
        except OSError as error:
            raise ConfigError(f"{path}: cannot be used: {error}; rules keep their states there") from error

    def close(self) -> None:
        """Nothing is kept any more."""
        with self._lock, suppress(sqlite3.Error):
            self._database.close()

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        try:
            with self._lock, self._database:
                self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            self._failures.add()
            self._log.warning(f"rules: what alerts do cannot be kept: {error}", about="rules memory")

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self._failures.add()
            self._log.warning(f"rules: what alerts did cannot be read: {error}", about="rules memory")
            return []

    # States of alerts.

    def save(self, group: RunningGroup, at: float) -> None:
        """The alerts of a group as they are now."""
        rules = [
            {"rule": _rule_id(running.rule.alert, running.rule.labels), "alerts": [_document(one) for one in alerts]}
            for running in group.rules
            if (alerts := list(running.alerts))
        ]
        if not rules and group.key not in self._saved:
            return
        (self._saved.add if rules else self._saved.discard)(group.key)
        self._write("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", [(*group.key, at, json.dumps(rules))])

    def load(self, key: Key) -> tuple[float, dict[str, list[Alert]]]:
        """(when the group was looked at last, its alerts by rule)."""
        for at, document in self._read("SELECT at, document FROM state WHERE file = ? AND name = ?", *key):
            self._saved.add(key)
            try:
                return at, {one["rule"]: [_alert(alert) for alert in one["alerts"]] for one in json.loads(document)}
            except (ValueError, KeyError, TypeError) as error:
                self._failures.add()
                self._log.warning(f"rules: the saved alerts of group {key[1]!r} cannot be read: {error}")
        return 0.0, {}

    def forget(self, before: float) -> None:
        """States of groups that nobody has looked at since."""
        self._write("DELETE FROM state WHERE at < ?", [(before,)])

    # History.

    def remember(self, at: float, documents: Iterable[dict[str, Any]]) -> None:
        """Events, oldest first."""
        rows = [(at, json.dumps(document)) for document in documents]
        if rows:
            self._write("INSERT INTO event (at, document) VALUES (?, ?)", rows)
            self._write("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", [(HISTORY_ROWS,)])

    def events(self, start: float, end: float, limit: int) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._read(
            "SELECT document FROM event WHERE at >= ? AND at <= ? ORDER BY id DESC LIMIT ?", start, end, limit
        )
        return [json.loads(document) for (document,) in rows]

    # Documents by name: silences, and what receivers were told.

    def documents(self, table: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """(key, document) of every row of `silence` or `told`."""
        columns = {"silence": "id", "told": "receiver, target"}[table]
        for *key, document in self._read(f"SELECT {columns}, document FROM {table}"):  # noqa: S608 - of the table above
            with suppress(ValueError):
                yield tuple(key), json.loads(document)

    def keep(self, table: str, key: tuple[str, ...], document: dict[str, Any] | None) -> None:
        """Keep a document of `silence` or `told`; None forgets it."""
        self.keep_all(table, [(key, document)])

    def keep_all(self, table: str, rows: Iterable[tuple[tuple[str, ...], dict[str, Any] | None]]) -> None:
        """The same of many, in two transactions."""
        columns = {"silence": ("id",), "told": ("receiver", "target")}[table]
        where = " AND ".join(f"{column} = ?" for column in columns)
        marks = ", ".join("?" * (len(columns) + 1))
        kept, gone = [], []
        for key, document in rows:
            if document is None:
                gone.append(key)
            else:
                kept.append((*key, json.dumps(document)))
        if gone:
            self._write(f"DELETE FROM {table} WHERE {where}", gone)  # noqa: S608 - of the table above
        if kept:
            self._write(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", kept)  # noqa: S608 - of the table above


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _rule_id(alert: str, labels: tuple[tuple[str, str], ...]) -> str:
    return json.dumps([alert, labels])


def saved_alerts(saved: dict[str, list[Alert]], alert: str, labels: tuple[tuple[str, str], ...]) -> list[Alert]:
    """Of one rule."""
    return saved.get(_rule_id(alert, labels), [])


_FIELDS = tuple(field.name for field in fields(Alert))
_VALUES = attrgetter(*_FIELDS)


def _document(alert: Alert) -> dict[str, Any]:
    """Made for ten thousand alerts at once: `asdict` copies each text, and takes longer than all else."""
    return dict(zip(_FIELDS, _VALUES(alert), strict=True))


def _alert(document: dict[str, Any]) -> Alert:
    def pairs(found: list[list[str]]) -> Labels:
        return tuple((str(name), str(value)) for name, value in found)

    return Alert(
        **{**document, "labels": pairs(document["labels"]), "annotations": pairs(document["annotations"])},
    )
