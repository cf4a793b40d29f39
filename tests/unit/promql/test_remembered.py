"""What is worked out once of the same label sets."""

from __future__ import annotations

import gc

from kpwatch.model.labels import Labels, make_labels
from kpwatch.model.source import OfTarget
from kpwatch.promql.grouping import group_rows
from kpwatch.promql.remembered import LABEL_SETS_KEPT, LABEL_SETS_MAX, remembered


def labels(number: int) -> Labels:
    return make_labels({"__name__": "m", "ident": f"node-{number}"})


def test_the_same_objects_are_asked_about_once() -> None:
    """By identity and order, and by the other arguments."""
    asked = []

    @remembered
    def names(rows: object, *more: object) -> int:
        asked.append((rows, more))
        return len(asked)

    some = [labels(number) for number in range(3)]
    assert names(some) == names(tuple(some)) == 1
    assert names(some[::-1]) == 2
    assert names(some, "x") == 3
    assert names(some) == 1


def test_what_stands_is_known_as_a_whole() -> None:
    """A tuple, or the series of a target, is not looked through again; a list may have changed."""
    asked = []

    @remembered
    def names(rows: object) -> int:
        asked.append(rows)
        return len(asked)

    series = OfTarget(make_labels({"ident": "a"}), (make_labels({"__name__": "m"}),))
    assert names(series) == names(series) == names(list(series)) == 1
    some = [labels(1), labels(2)]
    whole = tuple(some)
    assert names(whole) == names(whole) == names(some) == 2
    some.pop()
    assert names(some) == 3


def test_other_label_sets_at_the_same_address() -> None:
    """What is held cannot be mistaken for what came after it (a freed object's identity is given to the next)."""
    for number in range(2000):
        groups = group_rows([labels(number), labels(number + 1)], ["ident"], without=False)
        assert [dict(one)["ident"] for one in groups.labels] == [f"node-{number}", f"node-{number + 1}"]
        if number % 500 == 0:
            gc.collect()


def test_other_tuples_at_the_same_address() -> None:
    """The same of what is known as a whole."""
    for number in range(2000):
        groups = group_rows((labels(number),), ["ident"], without=False)
        assert dict(groups.labels[0])["ident"] == f"node-{number}"


def test_much_is_worked_out_each_time() -> None:
    """Long sequences are not held; of the others those that are asked for stay, the rest goes."""
    asked = []

    @remembered
    def count(rows: object) -> None:
        asked.append(rows)

    used, unused, long = [labels(1)], [labels(2)], [labels(3)] * (LABEL_SETS_MAX + 1)
    for rows in (long, long, used, unused):
        count(rows)
    assert len(asked) == 4
    others = 3 * LABEL_SETS_KEPT // 2 // LABEL_SETS_MAX
    for number in range(others):
        count([labels(number)] * LABEL_SETS_MAX)
        count(used)
    assert len(asked) == 4 + others
    count(unused)
    assert len(asked) == 5 + others
