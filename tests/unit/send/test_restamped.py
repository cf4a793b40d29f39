"""Towards a receiver that writes its own time over the samples': nothing twice a second, nothing that is old."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kpwatch.model.numbers import STALE_NAN, is_stale
from kpwatch.send.options import RESTAMPED_MAX_AGE_SECONDS
from kpwatch.send.restamped import SPACING_SECONDS, OnePerSecond
from tests.receivers import Receiver
from tests.servers import response
from tests.unit.send.test_own_rules import encoded
from tests.unit.send.test_writer import T0, Sending, scrape

if TYPE_CHECKING:
    from kpwatch.model.encoded import EncodedScrape

NIGHTINGALE = "/prometheus/v1/write"


def of_source(source: int, at_ms: int, *values: float) -> EncodedScrape:
    """A scrape `at_ms` after T0 of series s, t, …, named after their target too."""
    names = ({"__name__": name, "target": str(source)} for name in "stuv")
    scrape = encoded("1.0", *zip(names, values, strict=False))
    return scrape._replace(timestamp_ms=T0 + at_ms, source=source)


PLANS = [
    # (source, ms) of what went last at second 0 and of what waits; seconds now; decided, left out, wait
    ([], [(1, 0), (2, 0), (3, 500)], 0.0, (3, set(), 0.0)),
    ([], [(1, 0), (1, 500), (2, 600)], 0.0, (3, {1}, 0.0)),
    ([], [(1, 0), (1, 999), (1, 1000)], 0.0, (2, {1}, 1.0)),
    ([], [(1, 0), (2, 0), (1, 15_000)], 0.0, (2, set(), 1.0)),
    ([(1, 0)], [(1, 400)], 0.4, (1, {0}, 0.0)),
    ([(1, 900)], [(1, 1100)], 0.25, (0, set(), 0.75)),
    ([(1, 900)], [(2, 950), (1, 1100)], 0.25, (1, set(), 0.75)),
    ([(1, 0)], [(1, 1000)], 1.0, (1, set(), 0.0)),
    ([(0, 0)], [(0, 0), (0, 0)], 0.0, (2, set(), 0.0)),
]


@pytest.mark.parametrize(("before", "waiting", "now", "expected"), PLANS)
def test_what_may_go(before, waiting, now: float, expected) -> None:
    """Once a second by the scrapes' time and by ours; what is of an unknown source always."""
    spacing = OnePerSecond()
    spacing.sent([of_source(*one) for one in before], 0.0)
    plan = spacing.plan([of_source(*one) for one in waiting], now)
    scrapes, left_out, wait_seconds = expected
    assert (plan.scrapes, plan.left_out) == (scrapes, left_out)
    if scrapes == 0:
        assert plan.wait_seconds == pytest.approx(wait_seconds)


def test_it_forgets_what_cannot_matter() -> None:
    """Targets that come and go do not fill its memory."""
    spacing = OnePerSecond()
    for number in range(10_000):
        spacing.sent([of_source(number + 1, 0)], float(number))
    assert len(spacing._last) < 5000


def nightingale(receiver: Receiver, **options) -> Sending:
    """A writer as it is by default for a URL with Nightingale's path."""
    return Sending(receiver.url(NIGHTINGALE), **{"protocol": "auto"} | options)


def test_intervals_below_a_second_are_thinned() -> None:
    """One scrape of each target and second arrives; the others are counted, and the end of a series is said later."""
    waiting = [
        of_source(1, 0, 1.0, 1.0),
        of_source(2, 100, 5.0),
        of_source(1, 300, 2.0, STALE_NAN),
        of_source(1, 1300, 3.0),
    ]
    with Receiver() as receiver, nightingale(receiver) as sending:
        sending.append(*waiting)
        sending.wait_for(sending.idle_after_pauses, "everything to be decided")
        assert [(taken.name, taken.labels["target"], taken.value) for taken in receiver.taken[:-1]] == [
            ("s", "1", 1.0), ("t", "1", 1.0), ("s", "2", 5.0), ("s", "1", 3.0),
        ]  # fmt: skip
        end = receiver.taken[-1]
        assert (end.name, end.timestamp_ms, is_stale(end.value)) == ("t", T0 + 1300, True)
        assert sending.not_sent() == {"one_per_second": 2}
        assert sending.counted("samples_refused") == 0


def test_a_backlog_goes_a_second_apart() -> None:
    """Of one target; another's scrapes go along."""
    with Receiver() as receiver, nightingale(receiver) as sending:
        sending.append(scrape(0))
        sending.pass_time_until_idle()
        sending.append(*(of_source(source, 15_000 * step, float(step)) for step in range(3) for source in (1, 2)))
        for step in range(3):
            sending.advance(SPACING_SECONDS)
            sending.wait_for(lambda step=step: sending.queue.samples == 4 - 2 * step, "two scrapes to be sent")
        assert [taken.value for taken in receiver.taken] == [0, 0, 0, 1, 1, 2, 2]
        assert len(receiver.requests) == 5


def test_what_is_older_than_a_minute_is_dropped() -> None:
    """After an outage history is not piled onto the moment it ends; said and counted."""
    down = threading.Event()

    def outage() -> bytes:
        return response(status=204) if down.is_set() else response(b"", 503)

    with (
        Receiver(outage) as receiver,
        nightingale(receiver, retry_min_seconds=300.0, retry_max_seconds=300.0) as sending,
    ):
        sending.append(*(of_source(1, 15_000 * step, float(step)) for step in range(20)))
        sending.wait_for_pause(300)
        down.set()
        sending.advance(300)
        sending.wait_for(sending.idle_after_pauses, "everything to be decided")
        newest = int(RESTAMPED_MAX_AGE_SECONDS // 15)
        assert [taken.value for taken in receiver.taken] == list(range(20 - newest, 20))
        assert sending.not_sent() == {"too_old": 20 - newest}
        assert "16 samples for" in next(line for line in sending.lines if "max_backfill_age" in line)


NOT_RESTAMPED = [
    ("/api/v1/write", {}, False),
    (NIGHTINGALE, {"restamps": "no"}, False),
    (NIGHTINGALE, {"protocol": "2.0"}, True),
    (NIGHTINGALE, {}, True),
    ("/proxy/v1/write", {}, False),
]


@pytest.mark.parametrize(("path", "options", "speaks_v2"), NOT_RESTAMPED)
def test_everywhere_else_everything_arrives(path: str, options: dict[str, str], speaks_v2: bool) -> None:
    """Whatever its age and distance, also where a receiver of 2.0 stands at Nightingale's path: it is none."""
    with (
        Receiver(speaks_v2=speaks_v2) as receiver,
        Sending(receiver.url(path), **{"protocol": "auto"} | options) as sending,
    ):
        sending.advance(86_400)
        sending.append(*(of_source(1, 100 * step, float(step)) for step in range(20)))
        sending.wait_for(sending.idle_after_pauses, "everything to be sent")
        assert [taken.value for taken in receiver.taken] == list(range(20))
        assert sending.not_sent() == {}


def test_an_age_of_ones_own() -> None:
    """`max_backfill_age` counts for every receiver."""
    with Receiver() as receiver, Sending(receiver.url(), max_backfill_age_seconds=100.0) as sending:
        sending.advance(150)
        sending.append(*(of_source(1, 10_000 * step, float(step)) for step in range(15)))
        sending.pass_time_until_idle()
        assert [taken.value for taken in receiver.taken] == list(range(6, 15))
        assert sending.not_sent() == {"too_old": 6}


def test_a_try_that_failed_is_no_second_one() -> None:
    """The same scrape goes again although it is of the same second."""
    with Receiver(response(b"", 503)) as receiver, nightingale(receiver, protocol="1.0") as sending:
        sending.append(of_source(1, 0, 1.0))
        sending.advance(0.1)
        sending.wait_for_pause(0.5)
        sending.advance(0.5)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [1.0]
        assert sending.not_sent() == {}
