"""The fleet table: one row per node, its columns from the knowledge table's PromQL, its verdict from the doctor.

Every column is an instant query that groups by `(ident, instance)`; a node is its `ident`, or its `instance` where the
sender gives none. Two instances of one node (a URL that was changed) make one row: the largest number, all texts.

A node is silent when its last sample is older than `silent_after_seconds`; what it said before is no proof of health
any more. After the lookback it would vanish from the queries. So the names of the last day are looked at too (that is
the index, not the samples), and of those that are missing the last sample is found, rarely: it does not change until
the node speaks again. Where an agent says which nodes the cluster has, those that never reported are silent too, and a
node's silence is told apart (`silence`): the node is gone, its agent speaks but not of kube-proxy, nothing speaks.

Verdicts are those of `/api/kpwatch/v1/findings`, told briefly; who judges keeps them, and decides how long.

Where the samples come from is the reader's business (fleet_reader.py). The table is kept for `fresh_seconds`, so that
many open pages cost as much as one, and longer where it is dear: making it takes at most a tenth of the time.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kpwatch.model.labels import label_value
from kpwatch.model.matchers import Matcher
from kpwatch.model.results import Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.knowledge.rows import FleetColumn, Knowledge
    from kpwatch.model.labels import Labels
    from kpwatch.model.results import QueryResult

Cell = str | float | None
Row = dict[str, Any]

Presence = tuple[Matcher, ...]
"""Series that a node has as long as something of it is there."""
WATCHED: Presence = (Matcher("__name__", "=", "up"), Matcher("job", "=", "kube-proxy"))
"""Its kube-proxy is asked."""
AGENT: Presence = (Matcher("__name__", "=", "kpwatch_agent_info"),)
"""Its agent speaks of itself."""
IN_CLUSTER: Presence = (Matcher("__name__", "=", "kpwatch_kubernetes_node_info"),)
"""The API server has it, says an agent that discovers."""

_NOT_JUDGED_YET: Row = {"verdict": "unknown", "findings": []}


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How fresh and how far back."""

    fresh_seconds: float = 1.0
    """How old an answer may be; older where making it takes more than a ninth of this."""
    silent_after_seconds: float = 120.0
    """A node is silent when its last sample is older; no interval in use is longer than half of this."""
    remembered_seconds: float = 86_400.0
    """How long a silent node stays in the table."""
    silent_again_seconds: float = 60.0
    """After which time a silent node's last sample is looked for again."""


class InstantEngine(Protocol):
    """Answers the table's queries, which ask about each node by itself."""

    def instant(self, query: str, at_ms: int, *, is_time: bool = False) -> QueryResult:
        """The value of `query` at one time; `is_time`: it is a time. Raises QueryError."""
        ...


class Reader(Protocol):
    """How the table's samples are had: from a store here, or from an engine elsewhere (fleet_reader.py)."""

    def open(self, queries: Sequence[str], at_ms: int) -> tuple[InstantEngine, set[str]]:
        """What answers `queries` at `at_ms`, and the nodes that have any sample then."""
        ...

    def speaking(self, presence: Presence, at_ms: int) -> set[str]:
        """Nodes that have a sample of such a series at `at_ms`."""
        ...

    def present(self, presence: Presence, earliest_ms: int, at_ms: int) -> set[str]:
        """Nodes that may have one in this time."""
        ...

    def last_samples(self, earliest_ms: int, at_ms: int) -> Iterable[tuple[Labels, float]]:
        """Of every series of WATCHED, when its last sample was, in Unix seconds."""
        ...


class Fleet:
    """Makes the table; safe to ask from several threads."""

    def __init__(
        self,
        knowledge: Callable[[], Knowledge],
        reader: Reader,
        verdicts: Callable[[str], Row],
        clock: Clock,
        options: FleetOptions | None = None,
    ) -> None:
        """`verdicts`: in a language, `{"nodes": {ident: {"verdict", "findings"}}, "fleet": {"findings"}}`."""
        self._knowledge = knowledge
        self._verdicts = verdicts
        self._reader = reader
        self._clock = clock
        self._options = options or FleetOptions()
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._at_seconds = 0.0
        self._fresh_until = -math.inf
        self._last_seen: dict[str, float] = {}
        self._looked_at = -math.inf

    def table(self, language: str = "en") -> Row:
        """`{"time": unix seconds, "nodes": [row, …], "fleet": {"findings": […]}}`, rows sorted by ident.

        A row: `ident`, `verdict`, `findings`, `silent`, `silence` (None, "node_gone", "no_kube_proxy" or "no_agent"),
        columns. Raises QueryError, StoreError.
        """
        told = self._verdicts(language)  # first: it may take longer than the rows stay fresh
        at_seconds, rows = self._current_rows()
        nodes = [row | _verdict(told["nodes"].get(row["ident"], _NOT_JUDGED_YET), row) for row in rows]
        return {"time": at_seconds, "nodes": nodes, "fleet": told["fleet"]}

    def _current_rows(self) -> tuple[float, list[Row]]:
        with self._lock:
            now = self._clock.monotonic_seconds()
            if now > self._fresh_until:
                at_ms = self._clock.unix_ms()
                self._at_seconds, self._rows = at_ms / 1000, self._nodes(at_ms, now)
                took_seconds = self._clock.monotonic_seconds() - now
                self._fresh_until = now + max(self._options.fresh_seconds, 10 * took_seconds)
            return self._at_seconds, self._rows

    def _nodes(self, at_ms: int, now: float) -> list[Row]:
        knowledge = self._knowledge()
        queries = [answer.query for column in knowledge.fleet_columns for answer in column.answers]
        engine, speaking = self._reader.open(queries, at_ms)
        asked = _Asked(engine, at_ms)
        columns = {column.id: _column(column, asked, speaking) for column in knowledge.fleet_columns}
        live = set().union(*columns.values())
        rows: list[Row] = []
        for node in live:
            row: Row = {"ident": node, **{name: values.get(node) for name, values in columns.items()}}
            silent = at_ms / 1000 - (row["last_seen"] or math.inf) > self._options.silent_after_seconds
            rows.append(row | {"silent": silent} | ({"up": None} if silent else {}))
        cluster = self._reader.speaking(IN_CLUSTER, at_ms)
        rows += self._silent_rows(live, list(columns), at_ms, now)
        never = _never_heard_of(cluster, {row["ident"] for row in rows})
        rows += [{"ident": node, **dict.fromkeys(columns), "silent": True} for node in never]
        self._tell_silences(rows, cluster, at_ms)
        return sorted(rows, key=lambda row: str(row["ident"]))

    def _tell_silences(self, rows: Iterable[Row], cluster: set[str], at_ms: int) -> None:
        silent = {row["ident"] for row in rows if row["silent"]}
        agents = self._reader.speaking(AGENT, at_ms) if silent else set()
        gone = self._reader.present(IN_CLUSTER, self._earliest_ms(at_ms), at_ms) - cluster if silent and cluster else ()
        for row in rows:
            node = row["ident"]
            why = "node_gone" if node in gone else "no_kube_proxy" if node in agents else "no_agent"
            row["silence"] = why if node in silent else None

    def _earliest_ms(self, at_ms: int) -> int:
        return at_ms - round(self._options.remembered_seconds * 1000)

    def _silent_rows(self, live: set[str], columns: Iterable[str], at_ms: int, now: float) -> list[Row]:
        earliest_ms = self._earliest_ms(at_ms)
        missing = self._reader.present(WATCHED, earliest_ms, at_ms) - live - {""}
        if now - self._looked_at > self._options.silent_again_seconds or not missing <= self._last_seen.keys():
            self._last_seen = self._find_last_seen(missing, earliest_ms, at_ms)
            self._looked_at = now
        blank: dict[str, Cell] = dict.fromkeys(columns)
        return [
            {"ident": node, **blank, "last_seen": seconds, "silent": True}
            for node, seconds in self._last_seen.items()
            if node in missing and seconds * 1000 >= earliest_ms
        ]

    def _find_last_seen(self, nodes: set[str], earliest_ms: int, at_ms: int) -> dict[str, float]:
        """Node -> time of its last sample in Unix seconds; 0 for a name whose samples are gone."""
        found = dict.fromkeys(nodes, 0.0)
        if not nodes:
            return found
        for labels, seconds in self._reader.last_samples(earliest_ms, at_ms):
            node = node_of(labels)
            if node in found:
                found[node] = max(found[node], seconds)
        return found


class _Asked:
    """Answers to the table's queries, by node."""

    def __init__(self, engine: InstantEngine, at_ms: int) -> None:
        self._engine = engine
        self._at_ms = at_ms

    def numbers(self, query: str, *, is_time: bool = False) -> dict[str, Cell]:
        """Node -> the largest value; NaN (no quantile without observations) is none."""
        values: dict[str, Cell] = {}
        for labels, value in self._samples(query, is_time=is_time):
            node = node_of(labels)
            known = values.get(node)
            number = value if math.isfinite(value) else None
            values[node] = known if number is None or (isinstance(known, float) and known > number) else number
        return values

    def texts(self, query: str, label: str) -> dict[str, Cell]:
        """Node -> the values of a label."""
        found: dict[str, set[str]] = {}
        for labels, _ in self._samples(query):
            found.setdefault(node_of(labels), set()).add(label_value(labels, label))
        return {node: ", ".join(sorted(values)) for node, values in found.items()}

    def _samples(self, query: str, *, is_time: bool = False) -> Iterator[tuple[Labels, float]]:
        value = self._engine.instant(query, self._at_ms, is_time=is_time).value
        assert isinstance(value, Vector), f"a row of the knowledge table is no instant vector: {query}"
        return ((labels, number) for labels, number in value.samples if node_of(labels))


def _column(column: FleetColumn, asked: _Asked, speaking: set[str]) -> dict[str, Cell]:
    """Node -> value, from the first of the column's answers that has one; later answers only where one is missing."""
    values: dict[str, Cell] = {}
    for answer in column.answers:
        if answer.label:
            found = asked.texts(answer.query, answer.label)
        elif answer.text:
            found = dict.fromkeys(asked.numbers(answer.query), answer.text)
        else:
            found = asked.numbers(answer.query, is_time=column.kind == "unix_seconds")
        values = found | values
        if speaking <= values.keys():
            break
    if column.zero_is_none:
        values = {node: value or None for node, value in values.items()}
    return values


def _never_heard_of(cluster: set[str], heard_of: set[str]) -> set[str]:
    """Nodes of the cluster that never reported; none where those that did go by other names than the cluster's."""
    return cluster - heard_of if cluster & heard_of or not heard_of else set()


def node_of(labels: Labels) -> str:
    """The node a sample is about: `ident`, else `instance`, else ""."""
    return label_value(labels, "ident") or label_value(labels, "instance")


def _verdict(told: Row, row: Row) -> Row:
    """`verdict` and `findings` of a row; of a node that says nothing, nothing says that it is well."""
    return told | {"verdict": "unknown"} if row["silent"] and told["verdict"] == "ok" else told
