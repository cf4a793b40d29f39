"""Binary operators: arithmetic, comparison and set operators between scalars and vectors, at every step.

`OPERATORS` is the table of the first two kinds. Between vectors, series find each other by a signature of their labels;
pairs of rows are found once per query, then all pairs and all steps are computed in one numpy operation. A series may
come and go, so several rows can share a signature as long as no two of them exist at the same step; that is checked
where it happens, on the masks. Rules: promql/engine.go, VectorBinop and resultMetric.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import QueryFailed
from kpwatch.model.labels import OF_METRIC, label_value, make_labels
from kpwatch.promql.values import (
    Floats,
    Grid,
    Integers,
    Mask,
    empty_grid,
    merge_same_labels,
    show_labels,
    stack,
    without_absent_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.promql.tree import Matching


class Operator(NamedTuple):
    """An operator on numbers; a comparison keeps or drops what it compares."""

    apply: np.ufunc
    is_comparison: bool = False


OPERATORS: dict[str, Operator] = {
    "+": Operator(np.add),
    "-": Operator(np.subtract),
    "*": Operator(np.multiply),
    "/": Operator(np.divide),
    "%": Operator(np.fmod),
    "^": Operator(np.power),
    "atan2": Operator(np.arctan2),
    "==": Operator(np.equal, is_comparison=True),
    "!=": Operator(np.not_equal, is_comparison=True),
    ">": Operator(np.greater, is_comparison=True),
    "<": Operator(np.less, is_comparison=True),
    ">=": Operator(np.greater_equal, is_comparison=True),
    "<=": Operator(np.less_equal, is_comparison=True),
}


def between_scalars(name: str, left: Floats, right: Floats) -> Floats:
    """A comparison gives 0 or 1 (the parser has seen to `bool`)."""
    result: Floats = OPERATORS[name].apply(left, right).astype(np.float64)
    return result


def with_scalar(name: str, grid: Grid, scalar: Floats, *, scalar_is_left: bool, returns_bool: bool) -> Grid:
    """A vector and a scalar; a comparison keeps the vector's values, whichever side it is on."""
    operator = OPERATORS[name]
    result = operator.apply(scalar, grid.values) if scalar_is_left else operator.apply(grid.values, scalar)
    if not operator.is_comparison or returns_bool:
        return grid.with_values(result.astype(np.float64))
    return without_absent_rows(Grid(grid.labels, grid.values, grid.present & result, grid.drop_name))


def between_vectors(
    name: str, left: Grid, right: Grid, matching: Matching, hold: Callable[[int], None], *, returns_bool: bool
) -> Grid:
    """Arithmetic or comparison of the rows that match; raises QueryFailed where a match is not unique.

    `hold` is told how many cells the pairs need before they are made, and may raise.
    """
    swapped = matching.cardinality == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    pairs = _pair_rows(many, one, matching, hold)
    steps = left.values.shape[1]
    if not len(pairs.many):
        return empty_grid(steps)
    operator = OPERATORS[name]
    many_values, one_values = many.values[pairs.many], one.values[pairs.one]
    ordered = (one_values, many_values) if swapped else (many_values, one_values)
    result = operator.apply(*ordered)
    drops_name = returns_bool or not operator.is_comparison
    labels = _result_labels(many, one, pairs, matching, keeps_name=operator.is_comparison)
    _check_unique(labels, pairs, matching)
    keep = pairs.present & result if operator.is_comparison and not returns_bool else pairs.present
    values = ordered[0] if operator.is_comparison and not returns_bool else result.astype(np.float64)
    forget = np.full(len(labels), drops_name) | many.drop_name[pairs.many]
    return merge_same_labels(without_absent_rows(Grid(labels, values, keep, forget)))


class Pairs(NamedTuple):
    """Matching rows: many[i] meets one[i] at the steps present[i]; signature[i] numbers what they agree in."""

    many: Integers
    one: Integers
    present: Mask
    signature: list[int]


def _pair_rows(many: Grid, one: Grid, matching: Matching, hold: Callable[[int], None]) -> Pairs:
    signature_of = _signature(matching)
    numbers: dict[Labels, int] = {}
    ones: dict[int, list[int]] = defaultdict(list)
    for row, labels in enumerate(one.labels):
        ones[numbers.setdefault(signature_of(labels), len(numbers))].append(row)
    # Where a side has nothing, nothing is looked at.
    both: Mask = np.logical_and(many.present.any(axis=0), one.present.any(axis=0))
    for rows in ones.values():
        if len(rows) > 1:
            _check_one_side(one, rows, matching, both)
    many_rows, one_rows, signatures = [], [], []
    for row, labels in enumerate(many.labels):
        number = numbers.get(signature_of(labels))
        for partner in ones[number] if number is not None else ():
            many_rows.append(row)
            one_rows.append(partner)
            signatures.append(number)
    many_index, one_index = np.asarray(many_rows, np.intp), np.asarray(one_rows, np.intp)
    hold(len(many_index) * many.values.shape[1])
    present = many.present[many_index] & one.present[one_index]
    return Pairs(many_index, one_index, present, [number for number in signatures if number is not None])


def _signature(matching: Matching) -> Callable[[Labels], Labels]:
    names = frozenset(matching.names)
    if matching.on:
        return lambda labels: tuple(pair for pair in labels if pair[0] in names)
    ignored = names | OF_METRIC
    return lambda labels: tuple(pair for pair in labels if pair[0] not in ignored)


def _check_one_side(one: Grid, rows: list[int], matching: Matching, steps: Mask) -> None:
    step_counts = one.present[rows].sum(axis=0) * steps
    if (step_counts <= 1).all():
        return
    step = int(np.argmax(step_counts > 1))
    both = sorted(show_labels(one.labels[row]) for row in rows if one.present[row, step])[:2]
    side = "left" if matching.cardinality == "one-to-many" else "right"
    group = show_labels(_signature(matching)(one.labels[rows[0]]))
    raise QueryFailed(
        f"found duplicate series for the match group {group} on the {side} hand-side of the operation: "
        f"[{', '.join(both)}];many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _result_labels(many: Grid, one: Grid, pairs: Pairs, matching: Matching, *, keeps_name: bool) -> list[Labels]:
    """Labels of the many side, cut to the signature if one-to-one, plus what the one side lends."""
    names = frozenset(matching.names)
    cut = matching.cardinality == "one-to-one"
    dropped = frozenset() if keeps_name else OF_METRIC

    def keeps(name: str) -> bool:
        return name not in dropped and (not cut or (name in names) == matching.on)

    result = []
    for many_row, one_row in zip(pairs.many.tolist(), pairs.one.tolist(), strict=True):
        labels = tuple(pair for pair in many.labels[many_row] if keeps(pair[0]))
        if matching.include:
            lent = {name: label_value(one.labels[one_row], name) for name in matching.include}
            labels = make_labels({**dict(labels), **lent})
        result.append(labels)
    return result


def _check_unique(labels: Sequence[Labels], pairs: Pairs, matching: Matching) -> None:
    """One-to-one: a signature has one pair a step. Many-to-one: the pairs of a signature differ in their labels."""
    one_to_one = matching.cardinality == "one-to-one"
    rows_of: dict[tuple[int, Labels | None], list[int]] = defaultdict(list)
    for row, signature in enumerate(pairs.signature):
        rows_of[signature, None if one_to_one else labels[row]].append(row)
    for rows in rows_of.values():
        if len(rows) > 1 and (pairs.present[rows].sum(axis=0) > 1).any():
            raise QueryFailed(
                "multiple matches for labels: "
                + (
                    "many-to-one matching must be explicit (group_left/group_right)"
                    if one_to_one
                    else "grouping labels must ensure unique matches"
                )
            )


def _set_and(left: Grid, right: Grid, matching: Matching) -> Grid:
    keep = left.present & _present_by_signature(left, right, matching)
    return without_absent_rows(Grid(left.labels, left.values, keep, left.drop_name))


def _set_unless(left: Grid, right: Grid, matching: Matching) -> Grid:
    keep = left.present & ~_present_by_signature(left, right, matching)
    return without_absent_rows(Grid(left.labels, left.values, keep, left.drop_name))


def _set_or(left: Grid, right: Grid, matching: Matching) -> Grid:
    added = right.present & ~_present_by_signature(right, left, matching)
    rest = without_absent_rows(Grid(right.labels, right.values, added, right.drop_name))
    return merge_same_labels(stack([left, rest], left.values.shape[1]))


def _present_by_signature(rows: Grid, others: Grid, matching: Matching) -> Mask:
    """For each of `rows` and each step: does any of `others` with the same signature exist?"""
    signature_of = _signature(matching)
    others_of: dict[Labels, list[int]] = defaultdict(list)
    for row, labels in enumerate(others.labels):
        others_of[signature_of(labels)].append(row)
    present_of = {signature: others.present[found].any(axis=0) for signature, found in others_of.items()}
    never = np.zeros(rows.values.shape[1], np.bool_)
    if not rows.labels:
        return np.empty((0, len(never)), np.bool_)
    return np.stack([present_of.get(signature_of(labels), never) for labels in rows.labels])


SET_OPERATORS: dict[str, Callable[[Grid, Grid, Matching], Grid]] = {
    "and": _set_and,
    "or": _set_or,
    "unless": _set_unless,
}
