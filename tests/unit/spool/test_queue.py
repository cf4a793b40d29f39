"""What waits for a writer is bounded; the oldest that are not under way go first, counted."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.telemetry import Counter
from kpwatch.model.encoded import EncodedScrape
from kpwatch.spool.queue import Queue

NO_LIMIT = 1 << 40


def scrape(number: int, samples: int = 10, size_bytes: int = 100) -> EncodedScrape:
    """A scrape told apart by its time."""
    return EncodedScrape(bytes(size_bytes), samples, number)


def numbers(scrapes: list[EncodedScrape]) -> list[int]:
    """Which scrapes these are."""
    return [one.timestamp_ms for one in scrapes]


def filled(limit_samples: int, limit_bytes: int, *scrapes: EncodedScrape) -> tuple[Queue, Counter]:
    """A queue after these were appended."""
    dropped = Counter()
    queue = Queue(limit_samples, limit_bytes, dropped)
    for one in scrapes:
        queue.append(one)
    return queue, dropped


BATCHES = [
    # samples of what waits, batch_samples, samples of what is taken
    ([], 100, []),
    ([10, 10, 10], 100, [10, 10, 10]),
    ([10, 10, 10], 30, [10, 10, 10]),
    ([10, 10, 10], 29, [10, 10]),
    ([10, 10, 10], 10, [10]),
    ([10, 10, 10], 1, [10]),
    ([500, 10], 100, [500]),
    ([10, 500, 10], 100, [10]),
    ([0, 10], 10, [0, 10]),
]


@pytest.mark.parametrize(("waiting", "batch_samples", "taken"), BATCHES)
def test_a_batch_is_the_oldest_that_fit(waiting: list[int], batch_samples: int, taken: list[int]) -> None:
    """Whole scrapes in time order, at least one, however large it is."""
    queue, _ = filled(NO_LIMIT, NO_LIMIT, *(scrape(index, samples) for index, samples in enumerate(waiting)))
    assert [one.samples for one in queue.take(batch_samples)] == taken
    assert len(queue) == len(waiting)  # they stay until they are settled
    queue.settle()
    assert (len(queue), queue.samples) == (len(waiting) - len(taken), sum(waiting) - sum(taken))


BOUNDS = [
    # limit in samples, in bytes, (samples, bytes) of what comes -> numbers that are left
    (30, NO_LIMIT, [(10, 1)] * 3, [0, 1, 2]),
    (30, NO_LIMIT, [(10, 1)] * 4, [1, 2, 3]),
    (30, NO_LIMIT, [(10, 1)] * 9, [6, 7, 8]),
    (30, NO_LIMIT, [(10, 1), (10, 1), (30, 1)], [2]),
    (30, NO_LIMIT, [(10, 1), (31, 1)], [1]),
    (30, NO_LIMIT, [(31, 1), (1, 1)], [1]),
    (NO_LIMIT, 300, [(1, 100)] * 4, [1, 2, 3]),
    (NO_LIMIT, 300, [(1, 100), (1, 500)], [1]),
    (30, 300, [(10, 200), (10, 200)], [1]),
]


@pytest.mark.parametrize(("limit_samples", "limit_bytes", "coming", "left"), BOUNDS)
def test_bounds(limit_samples: int, limit_bytes: int, coming: list[tuple[int, int]], left: list[int]) -> None:
    """Samples and bytes are bounded; what is dropped is the oldest, counted; the newest always stays."""
    scrapes = [scrape(index, *size) for index, size in enumerate(coming)]
    queue, dropped = filled(limit_samples, limit_bytes, *scrapes)
    assert numbers(queue.take(NO_LIMIT)) == left
    assert dropped.value == sum(one.samples for one in scrapes) - queue.samples
    assert queue.size_bytes == sum(coming[number][1] for number in left)


def test_what_is_under_way_is_not_dropped() -> None:
    """The batch taken stays whole at the front; what comes behind it makes room."""
    queue, dropped = filled(40, NO_LIMIT, *(scrape(number) for number in range(4)))
    assert numbers(queue.take(20)) == [0, 1]
    queue.append(scrape(4))
    queue.append(scrape(5))
    queue.append(scrape(6))
    assert dropped.value == 30
    queue.settle()
    assert numbers(queue.take(NO_LIMIT)) == [5, 6]


def test_a_batch_that_was_not_delivered_is_taken_again() -> None:
    """Without `settle` the oldest are the oldest still, now with those that came since."""
    queue, _ = filled(NO_LIMIT, NO_LIMIT, scrape(0))
    assert numbers(queue.take(20)) == [0]
    queue.append(scrape(1))
    assert numbers(queue.take(20)) == [0, 1]
    queue.settle()
    queue.settle()  # nothing was taken since: nothing to settle
    assert len(queue) == 0


operations = st.lists(
    st.tuples(st.just("append"), st.integers(0, 40), st.integers(0, 60))
    | st.tuples(st.just("take"), st.integers(1, 60), st.just(0))
    | st.just(("settle", 0, 0)),
    max_size=60,
)


@given(operations)
def test_no_order_of_events_loses_anything_unsaid(steps: list[tuple[str, int, int]]) -> None:
    """What was appended is waiting, settled or counted as dropped; what is left is in order and within the bounds."""
    queue, dropped = filled(100, 150)
    waiting: deque[EncodedScrape] = deque()
    taken: list[EncodedScrape] = []
    appended = settled = 0
    for number, (what, first, second) in enumerate(steps):
        if what == "append":
            waiting.append(scrape(number, first, second))
            appended += first
            queue.append(waiting[-1])
        elif what == "take":
            taken = queue.take(first)
        else:
            settled += sum(one.samples for one in taken)
            queue.settle()
            taken = []
        assert appended == settled + queue.samples + dropped.value
        spare = len(queue) - len(taken)
        assert spare <= 1 or (queue.samples <= 100 and queue.size_bytes <= 150)
    left = numbers(queue.take(NO_LIMIT))
    assert left == sorted(left)
    assert left[: len(taken)] == numbers(taken)
