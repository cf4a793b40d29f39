"""The in-memory source answers as the Protocol says."""

from __future__ import annotations

import numpy as np

from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import make_labels
from kpwatch.model.matchers import Matcher
from kpwatch.model.memory_source import MemorySource

A = make_labels({"__name__": "a", "i": "1"})
B = make_labels({"__name__": "b", "i": "1"})
C = make_labels({"__name__": "c"})


def filled() -> MemorySource:
    """A and B were scraped together, C once, earlier."""
    source = MemorySource()
    source.add(B, (20, 10), (2.0, 1.0))
    source.add(A, (10, 20), (3.0, 4.0))
    source.add(C, (5,), (9.0,))
    return source


def test_series_with_the_same_times_are_one_slice() -> None:
    """Each series is in one slice, sorted by labels, rows in time order."""
    slices = [(list(s.series), s.timestamps_ms.tolist(), s.values.tolist()) for s in filled().select((), 0, 20)]
    assert slices == [([A, B], [10, 20], [[3.0, 1.0], [4.0, 2.0]]), ([C], [5], [[9.0]])]


def test_both_ends_of_the_range_are_inside() -> None:
    """And a series without a sample in it is not there."""
    source = filled()
    assert source.series((), 10, 10) == [A, B]
    assert source.series((), 11, 19) == []
    assert [s.timestamps_ms.tolist() for s in source.select((), 10, 19)] == [[10]]


def test_names_and_values_are_those_of_the_matching_series() -> None:
    """Sorted; an absent label has no value."""
    source = filled()
    assert source.label_names((), 0, 20) == ["__name__", "i"]
    assert source.label_names((Matcher("__name__", "=", "c"),), 0, 20) == ["__name__"]
    assert source.label_values("i", (), 0, 20) == ["1"]
    assert source.label_values("__name__", (Matcher("i", "=", ""),), 0, 20) == ["c"]


def test_the_later_added_of_two_samples_at_a_time_counts() -> None:
    """Also after the series has been read."""
    source = filled()
    assert next(source.select((Matcher("__name__", "=", "c"),), 0, 9)).values.tolist() == [[9.0]]
    source.add(C, (5,), (7.0,))
    assert next(source.select((Matcher("__name__", "=", "c"),), 0, 9)).values.tolist() == [[7.0]]


def test_frames_become_series_of_their_target() -> None:
    """Columns joined with the target's labels."""
    layout = Layout((make_labels({"__name__": "a"}), make_labels({"__name__": "b"})))
    target = make_labels({"i": "1"})
    source = MemorySource([Frame(target, layout, time_ms, np.asarray([time_ms, 1.0])) for time_ms in (10, 20)])
    (part,) = source.select((), 0, 100)
    assert (list(part.series), part.values.tolist()) == ([A, B], [[10.0, 1.0], [20.0, 1.0]])
