"""The version a receiver speaks is found out by its first answers, losing nothing, and remembered."""

from __future__ import annotations

import pytest

from kpwatch.base.http import Answer, Failure
from kpwatch.remote_write import v2
from kpwatch.send.protocol import Negotiation, first_version, samples_written, says_what_it_wrote
from tests.receivers import Receiver, is_v2, written
from tests.servers import response
from tests.unit.send.test_writer import T0, Sending, scrape

WRITTEN = {"x-prometheus-remote-write-samples-written": "3"}

LEARNED = [
    # what was answered before with the headers of 2.0, status, headers, version from then on
    (False, 204, {}, "1.0"),
    (False, 200, {}, "1.0"),
    (False, 204, WRITTEN, "2.0"),
    (False, 204, {"x-prometheus-remote-write-exemplars-written": "0"}, "2.0"),
    (False, 400, {}, "1.0"),
    (False, 400, WRITTEN, "2.0"),
    (False, 415, {}, "1.0"),
    (False, 415, WRITTEN, "1.0"),
    (False, 401, {}, "2.0"),
    (False, 404, {}, "2.0"),
    (False, 413, {}, "2.0"),
    (False, 429, {}, "2.0"),
    (False, 500, {}, "2.0"),
    (True, 204, {}, "2.0"),
    (True, 400, {}, "2.0"),
    (True, 415, {}, "1.0"),
]


@pytest.mark.parametrize(("proven", "status", "headers", "version"), LEARNED)
def test_what_an_answer_says_of_the_version(proven: bool, status: int, headers: dict[str, str], version: str) -> None:
    """Only what a receiver of 1.0 would answer takes 2.0 back, and once it is proven, only 415."""
    negotiation = Negotiation("auto")
    if proven:
        assert negotiation.learn(Answer(204, WRITTEN, b"")) == ""
        assert negotiation.settled
    reason = negotiation.learn(Answer(status, headers, b""))
    assert negotiation.version == version
    assert bool(reason) == (version == "1.0")


@pytest.mark.parametrize("wish", ["1.0", "2.0"])
def test_a_version_that_is_prescribed_stays(wish: str) -> None:
    """Whatever is answered."""
    negotiation = Negotiation(wish)
    for outcome in (Answer(415, {}, b""), Answer(204, {}, b""), Answer(400, {}, b""), Failure("reset", "")):
        assert negotiation.learn(outcome) == ""
    assert (negotiation.version, first_version(wish), negotiation.settled) == (wish, wish, True)


COUNTS = [({}, 0), (WRITTEN, 3), ({**WRITTEN, **dict.fromkeys(WRITTEN, "9")}, 5), ({next(iter(WRITTEN)): "-1"}, 0)]


@pytest.mark.parametrize(("headers", "count"), COUNTS)
def test_samples_written(headers: dict[str, str], count: int) -> None:
    """What is not said is not written, and never more than was sent."""
    assert samples_written(Answer(204, headers, b""), 5) == count
    assert says_what_it_wrote(Answer(204, headers, b"")) == bool(headers)


def protocols(receiver: Receiver) -> list[str]:
    """The version of each request, in order."""
    return [request.headers["x-prometheus-remote-write-version"] for request in receiver.requests]


def negotiating(receiver: Receiver, **options) -> Sending:
    """A writer that finds out by itself."""
    return Sending(receiver.url(), **{"protocol": "auto"} | options)


OLD = [response(status=204), response(status=200), response(b"bad", 400), response(b"no such type", 415)]


@pytest.mark.parametrize("to_v2", OLD, ids=["204", "200", "400", "415"])
def test_a_receiver_of_1_0_gets_everything(to_v2: bytes) -> None:
    """The first request is of 2.0, the same samples go again as 1.0, and from then on it is 1.0 at once."""
    with Receiver(to_v2=to_v2) as receiver, negotiating(receiver) as sending:
        sending.append(scrape(0, samples=2), scrape(1), scrape(2))
        sending.wait_until_idle()
        sending.append(scrape(3))
        sending.pass_time_until_idle()
        assert protocols(receiver) == ["2.0.0", "0.1.0", "0.1.0"]
        assert [taken.value for taken in receiver.taken] == [0, 0, 1, 2, 3]
        assert sending.counted("samples_delivered") == 5
        assert sending.counted("samples_refused") == 0
        assert [line.partition(": it")[0].rpartition(" speaks ")[2] for line in sending.lines] == ["Remote Write 1.0"]
        assert sending.queue.form.protocol == "1.0"
        assert 'writer_protocol_info{protocol="1.0",' in sending.registry.render()
        assert sending.speaks() == "1.0"


def test_a_receiver_of_2_0_gets_a_scrape_a_request() -> None:
    """Blocks of 2.0 cannot be joined; they wait for no company."""
    with Receiver(speaks_v2=True) as receiver, negotiating(receiver) as sending:
        sending.append(scrape(0, samples=2), scrape(1), scrape(2))
        sending.wait_until_idle()
        assert protocols(receiver) == ["2.0.0"] * 3
        request = receiver.requests[0]
        assert request.headers["content-type"] == v2.CONTENT_TYPE
        assert request.headers["content-encoding"] == "snappy"
        assert [(taken.timestamp_ms, taken.value) for taken in receiver.taken] == [
            (T0, 0), (T0, 0), (T0 + 1000, 1), (T0 + 2000, 2),
        ]  # fmt: skip
        assert sending.speaks() == "2.0"
        assert [line.rpartition(" speaks ")[2].strip() for line in sending.lines] == ["Remote Write 2.0"]


def test_trouble_says_nothing_of_the_version() -> None:
    """401, 500 and a broken connection are answered as they are; then it turns out that 2.0 is spoken."""
    trouble = (response(b"", 500), response(b"", 401), b"garbage")
    with Receiver(*trouble, speaks_v2=True) as receiver, negotiating(receiver) as sending:
        sending.append(scrape(0))
        for pause, times in ((0.5, 1), (60, 1), (1.0, 1)):
            sending.wait_for_pause(pause, times)
            sending.advance(pause)
        sending.wait_until_idle()
        assert protocols(receiver) == ["2.0.0"] * 4
        assert [taken.value for taken in receiver.taken] == [0]


def test_a_receiver_that_was_replaced_by_an_older_one() -> None:
    """415 after any number of good answers: 1.0 from then on."""
    with Receiver(written(1), response(b"", 415), speaks_v2=True) as receiver, negotiating(receiver) as sending:
        for number in range(3):
            sending.append(scrape(number))
            sending.pass_time_until_idle()
        assert [is_v2(request) for request in receiver.requests] == [True, True, False, False]
        assert [taken.value for taken in receiver.taken] == [0, 1, 2]
        assert sending.speaks() == "1.0"


PARTIAL = [
    (written(3, 204), 3, 2),
    (written(3, 400, b"out of order sample"), 3, 2),
    (response(b"", 204), 0, 5),
    (response(b"bad", 400), 0, 5),
]


@pytest.mark.parametrize(("answer", "delivered", "refused"), PARTIAL)
def test_what_is_not_written_is_counted(answer: bytes, delivered: int, refused: int) -> None:
    """Once 2.0 is spoken the answer's headers count, on 2xx and on 4xx; nothing goes again."""
    with Receiver(written(1), answer, speaks_v2=True) as receiver, negotiating(receiver) as sending:
        sending.append(scrape(0))
        sending.wait_until_idle()
        sending.append(scrape(1, samples=5))
        sending.wait_until_idle()
        assert len(receiver.requests) == 2
        assert sending.counted("samples_delivered") == 1 + delivered
        assert sending.counted("samples_refused") == refused
        assert f"{refused} of 5 samples dropped" in sending.lines[-1] or "5 samples dropped" in sending.lines[-1]


def test_another_version_is_prescribed_while_it_runs() -> None:
    """A changed configuration counts from the next request on, and `auto` asks anew."""
    with Receiver(speaks_v2=True) as receiver, negotiating(receiver) as sending:
        for number, wish in enumerate(("auto", "1.0", "2.0", "auto")):
            options = sending.writer.options._replace(protocol=wish)
            sending.on_loop(lambda options=options: sending.writer.change(options, 100))
            sending.append(scrape(number))
            sending.pass_time_until_idle()
        assert [is_v2(request) for request in receiver.requests] == [True, False, True, True]
        assert [taken.value for taken in receiver.taken] == [0, 1, 2, 3]
