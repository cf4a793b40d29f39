"""413: less at once, then pieces, and only what cannot be made smaller is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.send.shape import split
from tests.receivers import Receiver, is_v2, samples_in, written
from tests.servers import Server, response, serves
from tests.unit.send.test_writer import LINGER_SECONDS, Sending, scrape

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Request

TOO_LARGE = response(b"too large", 413)


class Narrow(Server):
    """Takes at most so many samples in a request; `taken` are names and values of all it took."""

    def __init__(self, most_samples: int) -> None:
        self.most_samples = most_samples
        self.taken: list[tuple[str, float]] = []
        self.sizes: list[int] = []
        super().__init__(serves(self._take))

    def _take(self, request: Request) -> bytes:
        samples = samples_in(request.body, request.headers["content-type"])
        self.sizes.append(len(samples))
        if len(samples) > self.most_samples:
            return TOO_LARGE
        self.taken += [(sample.name, sample.value) for sample in samples]
        return written(len(samples)) if is_v2(request) else response(status=204)


def all_of(*scrapes: tuple[int, int]) -> list[tuple[str, float]]:
    """What the scrapes (number, samples) hold."""
    return [(f"m_{index}", float(number)) for number, samples in scrapes for index in range(samples)]


@pytest.mark.parametrize("protocol", ["1.0", "2.0", "auto"])
def test_fewer_scrapes_and_then_pieces(protocol: str) -> None:
    """Everything arrives, in order, however little goes in one request."""
    with Narrow(7) as receiver, Sending(receiver.url(), protocol=protocol) as sending:
        sending.append(scrape(0, samples=40), scrape(1, samples=3), scrape(2, samples=2))
        sending.wait_for(sending.idle_after_pauses, "everything to be delivered")
        assert receiver.taken == all_of((0, 40), (1, 3), (2, 2))
        assert sending.counted("samples_delivered") == 45
        assert sending.counted("samples_refused") == 0
        assert max(receiver.sizes[-3:]) <= 7


def test_after_413_requests_are_small_and_grow_slowly() -> None:
    """The size that was too much is not tried at once again, but it is tried again."""
    with Narrow(50) as receiver, Sending(receiver.url()) as sending:
        for number in range(200):
            sending.append(scrape(number, samples=20))
            sending.append(scrape(number + 1000, samples=20))
            sending.append(scrape(number + 2000, samples=20))
            sending.wait_for(sending.idle_after_pauses, "everything to be delivered")
        assert receiver.sizes[0] == 60
        too_large = [size for size in receiver.sizes if size > 50]
        assert 1 < len(too_large) < len(receiver.sizes) / 20
        assert len(receiver.taken) == 200 * 60


def test_a_series_that_is_too_large_for_itself_is_given_up() -> None:
    """Counted and said; its neighbours arrive."""

    class Picky(Narrow):
        def _take(self, request: Request) -> bytes:
            if any(sample.name == "m_5" for sample in samples_in(request.body)):
                self.sizes.append(-1)
                return TOO_LARGE
            return super()._take(request)

    with Picky(100) as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0, samples=16))
        sending.wait_for(sending.idle_after_pauses, "everything to be decided")
        assert receiver.taken == [pair for pair in all_of((0, 16)) if pair[0] != "m_5"]
        assert sending.counted("samples_refused") == 1
        assert sending.counted("samples_delivered") == 15
        assert "response body: too large; 1 samples dropped" in sending.lines[-1]


def test_trouble_between_pieces() -> None:
    """What was delivered of a scrape is not sent again."""
    answers = [TOO_LARGE, response(status=204), response(b"", 503), response(b"", 401)]
    with Receiver(*answers) as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0, samples=10))
        sending.advance(LINGER_SECONDS)
        for pause in (0.5, 60):
            sending.wait_for_pause(pause)
            sending.advance(pause)
        sending.wait_until_idle()
        assert [taken.name for taken in receiver.taken] == [f"m_{index}" for index in range(10)]
        assert sending.counted("samples_delivered") == 10


def test_another_version_between_pieces() -> None:
    """A receiver of 2.0 that is replaced by one of 1.0 in the middle of a scrape gets the rest as 1.0."""
    answers: list[bytes | Callable[[], bytes]] = [written(1), TOO_LARGE, written(5), response(b"", 415)]
    with Receiver(*answers, speaks_v2=True) as receiver, Sending(receiver.url(), protocol="auto") as sending:
        sending.append(scrape(0))
        sending.wait_until_idle()
        sending.append(scrape(1, samples=10))
        sending.wait_until_idle()
        assert [taken.name for taken in receiver.taken] == ["m_0", *(f"m_{index}" for index in range(10))]
        assert [is_v2(request) for request in receiver.requests] == [True] * 4 + [False]


@pytest.mark.parametrize("most", [1, 3, 10, 11])
def test_pieces_hold_everything_in_order(most: int) -> None:
    """Each at most as large as it may be."""
    pieces = split(scrape(0, samples=10), "1.0", most)
    assert all(piece.samples <= most for piece in pieces)
    assert [sample.name for piece in pieces for sample in samples_in(piece.block)] == [f"m_{i}" for i in range(10)]
