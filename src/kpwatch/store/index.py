"""From matchers to targets and their columns.

A matcher on a label that says where a sample comes from (`TARGET_LABEL_NAMES`) is tested on targets, any other on
columns: a thousand of each instead of a million series. A series exists where a target really had a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.labels import METRIC_NAME, TARGET_LABEL_NAMES, label_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.store.catalog import Catalog, Target
    from kpwatch.store.parts import Ids


class Found(NamedTuple):
    """A target and those of its columns that match (at least one)."""

    target: Target
    columns: Ids


def find(catalog: Catalog, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Found]:
    """Targets that may have samples in [start_ms, end_ms] and their matching columns, by target number."""
    return within(find_ever(catalog, matchers), start_ms, end_ms)


def within(found: Iterable[Found], start_ms: int, end_ms: int) -> list[Found]:
    """Those that may have samples in [start_ms, end_ms]."""
    return [one for one in found if one.target.first_ms <= end_ms and one.target.last_ms >= start_ms]


def find_ever(catalog: Catalog, matchers: Sequence[Matcher]) -> list[Found]:
    """Targets and their matching columns, by target number; good for one version of the catalog."""
    targets = _matching_targets(catalog, [m for m in matchers if m.name in TARGET_LABEL_NAMES])
    column_matchers = [m for m in matchers if m.name not in TARGET_LABEL_NAMES]
    matching = _matching_columns(catalog, column_matchers) if column_matchers else None
    shared: dict[int, tuple[Ids, Ids]] = {}  # by identity of the target's set, which is kept beside it
    found: list[Found] = []
    for target in targets:
        own = target.columns
        known = shared.get(id(own))
        if known is None:
            columns = own if matching is None else _common(own, matching)
            known = shared[id(own)] = (own, columns)
        if len(known[1]):
            found.append(Found(target, known[1]))
    return found


def _common(own: Ids, matching: Ids) -> Ids:
    """Those of `matching` that a target has; both ascend."""
    if not len(own):
        return own
    places = own.searchsorted(matching)
    places[places == len(own)] = 0
    common: Ids = matching[own[places] == matching]
    return common


def _matching_targets(catalog: Catalog, matchers: Sequence[Matcher]) -> list[Target]:
    targets = list(catalog.targets.copy().values())
    for matcher in matchers:
        test = _remembering(matcher)
        targets = [target for target in targets if test(label_value(target.labels, matcher.name))]
    return targets


def _matching_columns(catalog: Catalog, matchers: Sequence[Matcher]) -> Ids:
    by_metric = catalog.by_metric.copy()
    for matcher in matchers:
        if matcher.name == METRIC_NAME:
            by_metric = _matching_metrics(by_metric, matcher)
    numbers = [number for some in by_metric.values() for number in some]
    for matcher in matchers:
        if matcher.name != METRIC_NAME:
            test = _remembering(matcher)
            numbers = [n for n in numbers if test(label_value(catalog.columns[n] or (), matcher.name))]
    return np.array(sorted(numbers), np.uint32)


def _matching_metrics(by_metric: dict[str, list[int]], matcher: Matcher) -> dict[str, list[int]]:
    if matcher.op == "=":
        return {matcher.value: by_metric[matcher.value]} if matcher.value in by_metric else {}
    return {metric: numbers for metric, numbers in by_metric.items() if matcher.test(metric)}


def _remembering(matcher: Matcher) -> Callable[[str], bool]:
    """The matcher's test, asked once per value: label values repeat, and a regular expression is not free."""
    answers: dict[str, bool] = {}

    def test(value: str) -> bool:
        answer = answers.get(value)
        if answer is None:
            answer = answers[value] = matcher.test(value)
        return answer

    return test


def label_sets(catalog: Catalog, found: Iterable[Found]) -> Iterable[tuple[Target, list[Labels]]]:
    """For each target the labels of its columns; a column whose name was lost is left out."""
    shared: dict[int, list[Labels]] = {}
    for target, columns in found:
        names = shared.get(id(columns))
        if names is None:
            names = shared[id(columns)] = [labels for n in columns.tolist() if (labels := catalog.columns[n])]
        yield target, names
