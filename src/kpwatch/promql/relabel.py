"""Functions of labels: label_replace, label_join, and the orders by label and by value.

They look at series, not at values; the rules are those of promql/functions.go and of Go's regexp.Expand. Regular
expressions are google-re2's, anchored at both ends.
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.errors import QueryFailed
from kpwatch.model.labels import METRIC_NAME, label_value, make_labels
from kpwatch.promql.strings import is_text
from kpwatch.promql.values import Floats, Grid, Integers, merge_same_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.labels import Labels

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>\w+)|\{(?P<braced>\w+)\})", re.ASCII)
_CHUNK = re.compile(r"\d+|\D+", re.ASCII)


def label_replace(
    grid: Grid, target: str, replacement: str, source: str, pattern: str, *, hold: Callable[[int], None]
) -> Grid:
    """Set label `target` to the expanded `replacement` where the whole of label `source` matches `pattern`.

    `hold` is told how many cells of 8 bytes a text may take before it is made, and may raise.
    """
    import re2  # noqa: PLC0415 - only queries with a regex pay for it

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise QueryFailed(f"invalid regular expression in label_replace(): {show_bytes(pattern)}") from error
    _check_name(target, "destination", "label_replace")
    if not is_text(replacement):
        raise QueryFailed(f"the replacement in label_replace() is not valid UTF-8: {show_bytes(replacement)}")

    references = replacement.count("$")

    def new_value(labels: Labels) -> str | None:
        value = label_value(labels, source)
        match = compiled.fullmatch(value)
        if match is None:
            return None
        hold(_cells(replacement) + references * _cells(value))
        return _expand(replacement, match)

    return _set_label(grid, target, new_value)


def label_join(grid: Grid, target: str, separator: str, *sources: str, hold: Callable[[int], None]) -> Grid:
    """Set label `target` to the values of `sources`, joined; `hold` as of label_replace."""
    for source in sources:
        _check_name(source, "source", "label_join")
    _check_name(target, "destination", "label_join")
    if not is_text(separator):
        raise QueryFailed(f"the separator in label_join() is not valid UTF-8: {show_bytes(separator)}")

    def new_value(labels: Labels) -> str:
        values = [label_value(labels, source) for source in sources]
        hold(sum(map(_cells, values)) + len(values) * _cells(separator))
        return separator.join(values)

    return _set_label(grid, target, new_value)


def _cells(text: str) -> int:
    """What a text takes in memory, in cells of 8 bytes."""
    return len(text) // (8 if text.isascii() else 2) + 1


def _set_label(grid: Grid, target: str, new_value: Callable[[Labels], str | None]) -> Grid:
    """A name that is set here stays, whatever happened to the series before."""
    labels: list[Labels] = []
    drop_name = grid.drop_name.copy()
    for row, old in enumerate(grid.labels):
        value = new_value(old)
        labels.append(old if value is None else make_labels({**dict(old), target: value}))
        if value is not None and target == METRIC_NAME:
            drop_name[row] = False
    return merge_same_labels(Grid(labels, grid.values, grid.present, drop_name))


def _check_name(name: str, what: str, function: str) -> None:
    """Prometheus 3 takes any UTF-8 text as a label name, but not none."""
    if not is_label_name(name):
        raise QueryFailed(f"invalid {what} label name in {function}(): {show_bytes(name)}")


def is_label_name(name: str) -> bool:
    """Whether `name` is not empty and is valid Unicode."""
    return bool(name) and is_text(name)


def show_bytes(text: str) -> str:
    r"""Text in a message: bytes that are no UTF-8 as \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _expand(template: str, match: re.Match[str]) -> str:
    """Go's regexp.Expand: $1, $name, ${name}, $$; what does not exist is empty."""
    groups = match.groups()
    named = match.groupdict()

    def value(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["bare"] or reference["braced"]
        if not name.isdecimal():
            return named.get(name) or ""
        number = int(name)
        if number == 0:
            return match.group(0)
        return (groups[number - 1] or "") if number <= len(groups) else ""

    return _REFERENCE.sub(value, template)


def order_by_value(values: Floats, *, descending: bool) -> Integers:
    """Rows sorted by value, NaN last."""
    return np.lexsort((-values if descending else values, np.isnan(values)))


def order_by_labels(rows: Sequence[Labels], names: Sequence[str], *, descending: bool) -> list[int]:
    """Rows sorted naturally by the given labels, then by all labels."""

    def compare(left: int, right: int) -> int:
        for name in names:
            one, other = label_value(rows[left], name), label_value(rows[right], name)
            if one != other:
                return -1 if natural_less(one, other) else 1
        return (rows[left] > rows[right]) - (rows[left] < rows[right])

    order = sorted(range(len(rows)), key=cmp_to_key(compare))
    return order[::-1] if descending else order


def natural_less(left: str, right: str) -> bool:
    """Whether `left` comes before `right` when runs of digits count as numbers."""
    for one, other in zip_longest(_CHUNK.findall(left), _CHUNK.findall(right)):
        if one is None or other is None:
            return one is None
        if one == other:
            continue
        if one.isdecimal() and other.isdecimal() and int(one) != int(other):
            return int(one) < int(other)
        return bool(one < other)
    return False
