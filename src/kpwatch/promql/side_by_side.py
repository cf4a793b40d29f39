"""One query over many targets at once: every target's world moved to an epoch of its own.

An evaluation costs Python per series and numpy per step. A fleet has few series a node and many nodes, and a question
about each node by itself ("which nodes have a sample of this?") is the same question many times. So target k is moved k
epochs into the future, times in values included, and loses its own labels: then all targets are *steps* of one range
query over one target's series, and numpy does what Python did.

That is right for queries that never look from one target to another: every aggregation and every matching keeps `ident`
and `instance`. Whoever asks must know; it cannot be seen from the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from kpwatch.model.labels import TARGET_LABEL_NAMES, join_target, label_value, make_labels, metric_name
from kpwatch.model.matchers import matches_all
from kpwatch.model.results import Matrix, QueryResult, Vector
from kpwatch.model.snapshot import Snapshot
from kpwatch.model.source import OfTarget, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import SeriesSource

TARGETS_AT_ONCE = 1000
"""More are evaluated in several goes, so that what is in memory stays small."""

_IDENTITY = ("ident", "instance")
_STRIPPED = TARGET_LABEL_NAMES - {"job", *_IDENTITY}
_ALIKE = {"ident": "ident", "instance": "instance"}
"""What the labels of every target become, so that grouping by them goes on working."""
_WEEK_MS = 7 * 86_400_000


def narrowed(slices: Iterable[Slice], selectors: Collection[Sequence[Matcher]], start_ms: int) -> Iterator[Slice]:
    """What is left of one target's slices from `start_ms` on in the columns that one of `selectors` takes.

    What a selector asks of a target's labels is left to the query.
    """
    asked = [[matcher for matcher in selector if matcher.name not in TARGET_LABEL_NAMES] for selector in selectors]
    wanted: dict[int, tuple[list[int], tuple[Labels, ...]]] = {}
    for part in slices:
        begin = int(np.searchsorted(part.timestamps_ms, start_ms))
        if begin == len(part.timestamps_ms):
            continue
        series = part.series
        if not isinstance(series, OfTarget):  # of a source that knows no targets
            lines = [
                line for line, labels in enumerate(series) if any(matches_all(matchers, labels) for matchers in asked)
            ]
            if lines:
                kept = [series[line] for line in lines]
                yield Slice(kept, part.timestamps_ms[begin:], part.values[begin:, lines])
            continue
        if id(series.columns) not in wanted:
            lines = [
                line
                for line, labels in enumerate(series.columns)
                if any(matches_all(matchers, labels) for matchers in asked)
            ]
            wanted[id(series.columns)] = lines, tuple(series.columns[line] for line in lines)
        lines, columns = wanted[id(series.columns)]
        if lines:
            yield Slice(OfTarget(series.target, columns), part.timestamps_ms[begin:], part.values[begin:, lines])


class RangeEngine(Protocol):
    """What is needed of an engine."""

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> QueryResult:
        """See `engine.Engine`."""
        ...


class _Target(NamedTuple):
    """Where one target's samples are."""

    identity: Labels
    parts: list[Slice]


class SideBySide:
    """Samples of many targets, ready to be asked about each."""

    def __init__(
        self,
        slices: Iterable[Slice],
        time_metrics: frozenset[str],
        make_engine: Callable[[SeriesSource], RangeEngine],
        *,
        epoch_ms: int = _WEEK_MS,
    ) -> None:
        """`epoch_ms` is longer than any query reaches back; `time_metrics`: names whose values are unix seconds."""
        targets = _by_target(slices)
        self._epoch_ms = epoch_ms
        self._goes: list[tuple[list[Labels], RangeEngine]] = []
        for begin in range(0, len(targets), TARGETS_AT_ONCE):
            some = targets[begin : begin + TARGETS_AT_ONCE]
            source = Snapshot(_stacked(some, time_metrics, epoch_ms))
            self._goes.append(([target.identity for target in some], make_engine(source)))

    @property
    def identities(self) -> list[Labels]:
        """`ident` and `instance` of every target."""
        return [identity for identities, _ in self._goes for identity in identities]

    def instant(self, query: str, at_ms: int, *, is_time: bool = False) -> QueryResult:
        """The same as an engine answers."""
        return QueryResult(Vector(at_ms, self.ask(query, at_ms, is_time=is_time)))

    def ask(self, query: str, at_ms: int, *, is_time: bool = False) -> list[tuple[Labels, float]]:
        """Value of an instant query about each target at `at_ms`, with the target's identity.

        `is_time`: the answer is a time, to be moved back; ages and all else are the same in every epoch. Raises
        QueryError.
        """
        back_seconds = self._epoch_ms / 1000 if is_time else 0.0
        found: list[tuple[Labels, float]] = []
        for identities, engine in self._goes:
            last_ms = at_ms + (len(identities) - 1) * self._epoch_ms
            answer = engine.range(query, at_ms, last_ms, self._epoch_ms).value
            assert isinstance(answer, Matrix), "a range query answers with a matrix"
            for series in answer.series:
                own = [(name, value) for name, value in series.labels if name not in _IDENTITY]
                steps = (series.timestamps_ms - at_ms) // self._epoch_ms
                found += [
                    (make_labels([*own, *identities[step]]), value - step * back_seconds if value > 0 else value)
                    for step, value in zip(steps.tolist(), series.values.tolist(), strict=True)
                ]
        return found


def _by_target(slices: Iterable[Slice]) -> list[_Target]:
    targets: dict[tuple[str, ...], _Target] = {}
    for part in slices:
        for identity, columns in _by_identity(part.series).items():
            if identity not in targets:
                labels = tuple((name, value) for name, value in zip(_IDENTITY, identity, strict=True) if value)
                targets[identity] = _Target(labels, [])
            whole = len(columns) == len(part.series)
            series = part.series if whole else [part.series[column] for column in columns]
            values = part.values if whole else part.values[:, columns]
            targets[identity].parts.append(Slice(series, part.timestamps_ms, values))
    return list(targets.values())


def _by_identity(series: Sequence[Labels]) -> dict[tuple[str, ...], list[int]]:
    if isinstance(series, OfTarget):
        return {identity_of(series.target): list(range(len(series)))}
    found: dict[tuple[str, ...], list[int]] = {}
    for column, labels in enumerate(series):
        found.setdefault(identity_of(labels), []).append(column)
    return found


def identity_of(labels: Labels) -> tuple[str, ...]:
    """What tells targets apart."""
    return tuple(label_value(labels, name) for name in _IDENTITY)


class _Places:
    """Which column of the stack a series is in: the same for series that are alike but for their target."""

    def __init__(self) -> None:
        self.columns: dict[Labels, int] = {}
        self._of_layout: dict[tuple[int, Labels], NDArray[np.intp]] = {}

    def of(self, series: Sequence[Labels]) -> NDArray[np.intp]:
        """Columns of all `series`, which live as long as this does."""
        if not isinstance(series, OfTarget):
            return self._found(_alike(labels) for labels in series)
        target = _alike(series.target)
        key = (id(series.columns), target)
        if key not in self._of_layout:
            self._of_layout[key] = self._found(join_target(target, column) for column in series.columns)
        return self._of_layout[key]

    def _found(self, series: Iterable[Labels]) -> NDArray[np.intp]:
        return np.asarray([self.columns.setdefault(labels, len(self.columns)) for labels in series], np.intp)


def _stacked(targets: Sequence[_Target], time_metrics: frozenset[str], epoch_ms: int) -> Iterator[Slice]:
    """All targets' samples as one target's: columns that are there in the same slices share one."""
    places = _Places()
    parts = [(number, part) for number, target in enumerate(targets) for part in _apart(target.parts, places)]
    where = [places.of(part.series) for _, part in parts]
    series = list(places.columns)
    if not series:
        return
    column_of = np.full((len(parts), len(series)), -1, np.intp)
    for line, found in enumerate(where):
        column_of[line, found] = np.arange(len(found))
    is_time = np.asarray([metric_name(labels) in time_metrics for labels in series])
    patterns: dict[bytes, list[int]] = {}
    for column, pattern in enumerate(np.packbits(column_of >= 0, axis=0).T):
        patterns.setdefault(pattern.tobytes(), []).append(column)
    for alike in patterns.values():
        lines = np.flatnonzero(column_of[:, alike[0]] >= 0).tolist()
        chosen = [parts[line] for line in lines]
        values = np.concatenate(
            [_columns(part.values, column_of[line, alike]) for line, (_, part) in zip(lines, chosen, strict=True)]
        )
        heights = [len(part.timestamps_ms) for _, part in chosen]
        epochs = np.repeat([number for number, _ in chosen], heights)
        if is_time[alike].any():
            of_time = values[:, is_time[alike]]
            with np.errstate(invalid="ignore"):  # a staleness marker is no number, and stays as it is
                moved = of_time + epochs[:, None] * (epoch_ms / 1000)
                values[:, is_time[alike]] = np.where(of_time > 0, moved, of_time)
        times = np.concatenate([part.timestamps_ms for _, part in chosen]) + epochs * epoch_ms
        yield Slice([series[column] for column in alike], times, values)


def _columns(values: NDArray[np.float64], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Some columns; all of them in their order are not copied."""
    whole = len(columns) == values.shape[1] and bool((columns == np.arange(len(columns))).all())
    return values if whole else values[:, columns]


def _apart(parts: list[Slice], places: _Places) -> list[Slice]:
    """A target's slices with every column in one of them, rows in time order.

    They come so, unless labels that are stripped here told two series apart: then those are one, the last one counts.
    """
    where = [places.of(part.series) for part in parts]
    if len(parts) == 1 or len(np.unique(np.concatenate(where))) == sum(map(len, where)):
        return parts
    times = np.unique(np.concatenate([part.timestamps_ms for part in parts]))
    columns = np.unique(np.concatenate(where))
    values = np.zeros((len(times), len(columns)))
    present = np.zeros((len(times), len(columns)), np.bool_)
    for part, found in zip(parts, where, strict=True):
        rows, lines = np.searchsorted(times, part.timestamps_ms)[:, None], np.searchsorted(columns, found)
        values[rows, lines] = part.values
        present[rows, lines] = True
    series = list(places.columns)
    return [
        Slice([series[columns[line]]], times[present[:, line]], values[present[:, line], line][:, None])
        for line in range(len(columns))
    ]


def _alike(labels: Labels) -> Labels:
    """A series' name without what only says which target it is of."""
    return tuple((name, _ALIKE.get(name, value)) for name, value in labels if name not in _STRIPPED)
