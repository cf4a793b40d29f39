"""A writer delivers what waits, in order, one request at a time, and gives up nothing it need not."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from kpwatch.base.telemetry import Registry
from kpwatch.model.encoded import EncodedScrape, Form
from kpwatch.remote_write import snappy, v1
from kpwatch.send.options import WriterOptions
from kpwatch.send.protocol import first_version
from kpwatch.send.writer import LINGER_SECONDS, Writer
from kpwatch.spool.convert import convert
from kpwatch.spool.log import Spool
from kpwatch.spool.options import SpoolOptions
from tests.clocks import MovedClock
from tests.receivers import Receiver
from tests.servers import WAIT_SECONDS, ClientLeft, Server, hangs, refused_port, resets, response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

T0 = 1_700_000_000_000
BATCH_SAMPLES = 100


def scrape(number: int, samples: int = 1) -> EncodedScrape:
    """Scrape `number` of the series m_0, m_1, …: value `number`, `number` seconds after T0."""
    at_ms = T0 + 1000 * number
    series = [v1.encode_series(v1.encode_labels((("__name__", f"m_{i}"),)), [(at_ms, number)]) for i in range(samples)]
    return EncodedScrape(snappy.compress(b"".join(series)), samples, at_ms)


FORM = Form("off", "1.0")


def memory_spool(clock: MovedClock) -> Spool:
    """A spool that keeps scrapes in memory."""
    return Spool(SpoolOptions(), None, convert, clock)


class Sending:
    """A writer on a loop in a thread of its own, by a clock that the test moves."""

    def __init__(self, url: str, *, repeat_seconds: float = 0.0, jitter: float = 1.0, **options) -> None:
        self.clock = MovedClock()
        self.lines: list[str] = []
        self.errors: list[Exception] = []
        self.registry = Registry()
        self.loop = Loop(self.errors.append, self.clock)
        log = Logger(self.lines.append, clock=self.clock, repeat_seconds=repeat_seconds)
        self.spool = memory_spool(self.clock)
        chosen = WriterOptions(url)._replace(**{"protocol": "1.0"} | options)
        self.queue = self.spool.reader("writer", Form("off", first_version(chosen.protocol)))
        self.writer = Writer(
            chosen,
            self.queue,
            BATCH_SAMPLES,
            loop=self.loop,
            log=log,
            registry=self.registry,
            jitter=lambda: jitter,
        )
        self._thread = threading.Thread(target=self.loop.run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.on_loop(self.writer.close)
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()
        assert self.errors == []

    def on_loop(self, call: Callable[[], None]) -> None:
        """Run `call` on the loop's thread and wait until it has."""
        called = threading.Event()

        def callback() -> None:
            call()
            called.set()

        self.loop.call_from_thread(callback)
        assert called.wait(WAIT_SECONDS)

    def append(self, *scrapes: EncodedScrape) -> None:
        """Add to the queue as a scrape does."""

        def add() -> None:
            for one in scrapes:
                self.spool.append({FORM: one})
                self.writer.notice()

        self.on_loop(add)

    def advance(self, seconds: float) -> None:
        """Let time pass and the loop see it."""
        self.clock.advance(seconds)
        self.on_loop(lambda: None)
        self.on_loop(lambda: None)  # timers of the turn before have run

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Let the loop turn until `condition` holds on it."""
        held: list[bool] = [False]
        deadline = time.monotonic() + WAIT_SECONDS
        while not held[0]:
            assert time.monotonic() < deadline, f"waited for {what}; the log: {self.lines}"
            self.on_loop(lambda: held.__setitem__(0, condition()))

    def wait_for_pause(self, seconds: float, times: int = 1) -> None:
        """Wait until the log has said `times` times that the next try is `seconds` away."""
        said = f"next try in {seconds:.1f} s"
        self.wait_for(lambda: sum(said in line for line in self.lines) == times, said)

    def wait_until_idle(self) -> None:
        """Wait until everything is delivered or given up."""
        self.wait_for(lambda: self.writer.idle, "the writer to be idle")

    def pass_time_until_idle(self) -> None:
        """Let the moment for company pass, then wait."""
        self.advance(LINGER_SECONDS)
        self.wait_until_idle()

    def not_sent(self) -> dict[str, float]:
        """Samples the writer left out, by reason."""
        name = "kpwatch_agent_samples_not_sent_total"
        return {dict(pairs)["reason"]: value for full, pairs, value in self.registry.samples() if full == name}

    def speaks(self) -> str:
        """The version that its metric says is in use."""
        name = "kpwatch_agent_writer_protocol_info"
        (version,) = (
            dict(pairs)["protocol"] for full, pairs, value in self.registry.samples() if full == name and value
        )
        return version

    def idle_after_pauses(self) -> bool:
        """Let time pass while no request is under way, so that pauses end and nothing times out."""
        if not self.writer.busy:
            self.clock.advance(0.1)
        return self.writer.idle

    def counted(self, name: str) -> float:
        """One of the writer's counters."""
        return {full: value for full, _, value in self.registry.samples()}[f"kpwatch_agent_{name}_total"]


def test_what_waits_is_delivered_as_remote_write() -> None:
    """One POST with the headers of the specification; its samples are the scrape's."""
    with Receiver() as receiver, Sending(receiver.url("/api/v1/write?x=y")) as sending:
        sending.append(scrape(7, samples=3))
        sending.advance(LINGER_SECONDS)
        sending.wait_until_idle()
        (request,) = receiver.requests
        assert (request.method, request.target) == ("POST", "/api/v1/write?x=y")
        assert request.headers["content-type"] == "application/x-protobuf"
        assert request.headers["content-encoding"] == "snappy"
        assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"
        assert request.headers["user-agent"].startswith("kpwatch/")
        assert [(taken.name, taken.timestamp_ms, taken.value) for taken in receiver.taken] == [
            (f"m_{index}", T0 + 7000, 7.0) for index in range(3)
        ]
        assert sending.counted("samples_delivered") == 3
        assert sending.counted("write_bytes") == len(request.body)
        assert sending.lines == []


def test_scrapes_that_end_about_now_share_a_request() -> None:
    """A first scrape waits a moment for company."""
    with Receiver() as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0))
        sending.advance(0.9 * LINGER_SECONDS)
        sending.append(scrape(1))
        assert receiver.requests == []
        sending.advance(0.2 * LINGER_SECONDS)
        sending.wait_until_idle()
        assert len(receiver.requests) == 1
        assert [taken.value for taken in receiver.taken] == [0, 1]


def test_a_full_batch_waits_for_nobody() -> None:
    """As soon as a request is full it goes; what does not fit goes in the next."""
    with Receiver() as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0, samples=60), scrape(1, samples=60))
        receiver.wait_for_requests(1)
        sending.wait_for(lambda: sending.queue.samples == 60, "the first batch to be settled")
        sending.advance(LINGER_SECONDS)
        sending.wait_until_idle()
        assert len(receiver.requests) == 2
        assert len(receiver.taken) == 120


def test_one_request_at_a_time() -> None:
    """What comes while a request is under way waits, and goes together after it."""
    hold = threading.Event()

    def held() -> bytes:
        assert hold.wait(WAIT_SECONDS)
        return response(status=204)

    with Receiver(held) as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        receiver.wait_for_requests(1)
        for number in range(1, 6):
            sending.append(scrape(number))
            sending.advance(1)
        hold.set()
        sending.wait_for(lambda: sending.queue.samples == 5, "the first batch to be settled")
        sending.advance(LINGER_SECONDS)
        sending.wait_until_idle()
        assert (len(receiver.requests), receiver.connections, receiver.most_at_once) == (2, 1, 1)
        assert [taken.value for taken in receiver.taken] == list(range(6))


def test_429_is_repeated_when_the_receiver_says() -> None:
    """Retry-After is waited for, to the end, and the same samples go again."""
    slow_down = response(b"slow down", 429, Retry_After="7")
    with Receiver(slow_down) as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(7)
        sending.append(scrape(1))
        sending.advance(6.9)
        assert len(receiver.requests) == 1
        sending.advance(0.2)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [0, 1]
        assert sending.counted("write_retries") == 1
        assert sending.counted("samples_refused") == 0
        assert "status code: 429, response body: slow down; 1 samples wait" in sending.lines[0]


def test_pauses_grow_to_their_bound_and_begin_anew() -> None:
    """500 after 500: each pause twice the one before, up to the bound; after a success they are short again."""
    failures = [response(b"no", 500)] * 5
    again = [response(status=204), response(b"no", 503)]
    with (
        Receiver(*failures, *again) as receiver,
        Sending(receiver.url(), retry_min_seconds=1.0, retry_max_seconds=6.0) as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        for pause, times in ((1, 1), (2, 1), (4, 1), (6, 1), (6, 2)):
            sending.wait_for_pause(pause, times)
            sending.advance(pause)
        sending.wait_until_idle()
        sending.append(scrape(1))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(1, 2)
        sending.advance(1)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [0, 1]
        assert sending.counted("write_retries") == 6


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_or_path_to_be_mended_is_waited_for(status: int) -> None:
    """The samples are still good: they are held and asked again after a minute, then ever more slowly."""
    answers = [response(b"who are you?", status)] * 6
    with Receiver(*answers) as receiver, Sending(receiver.url()) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        for pause, times in ((60, 1), (120, 1), (240, 1), (480, 1), (600, 1), (600, 2)):
            sending.wait_for_pause(pause, times)
            sending.advance(pause)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [0]


@pytest.mark.parametrize("status", [302, 307, 401, 403, 404])
def test_nothing_is_held_where_that_is_not_wanted(status: int) -> None:
    """`hold = false`: such an answer drops the samples."""
    with Receiver(response(b"who?", status)) as receiver, Sending(receiver.url(), hold=False) as sending:
        for number in range(2):
            sending.append(scrape(number))
            sending.pass_time_until_idle()
        assert [taken.value for taken in receiver.taken] == [1]
        assert sending.counted("samples_refused") == 1


def test_refused_then_up() -> None:
    """Nobody listens, for a while; then everything arrives in order."""
    port = refused_port()
    with Sending(f"http://127.0.0.1:{port}/write", retry_max_seconds=1.0) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        sending.append(scrape(1))
        sending.advance(0.5)
        sending.wait_for_pause(1.0)
        assert "refused: 127.0.0.1" in sending.lines[0]
        with Receiver(port=port) as receiver:
            sending.advance(1.0)
            sending.wait_until_idle()
            assert [taken.value for taken in receiver.taken] == [0, 1]


def test_no_answer_within_the_time() -> None:
    """A receiver that hangs is a failure like another, and is asked again on a fresh connection."""
    with (
        Server(hangs, hangs) as server,
        Sending(server.url(), timeout_seconds=5.0, dial_timeout_seconds=2.0) as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        server.wait_for_requests(1)
        sending.advance(5)
        sending.wait_for_pause(0.5)
        sending.advance(0.5)
        server.wait_for_requests(2)
        assert server.connections == 2
        assert server.requests[0] == server.requests[1]


@pytest.mark.parametrize(("status", "pauses"), [(401, (75, 150)), (500, (0.2, 0.4))])
def test_chance_spreads_the_tries(status: int, pauses: tuple[float, float]) -> None:
    """Up to half a pause sooner after a failure, up to a quarter later where somebody has to mend something."""
    with (
        Receiver(*[response(b"", status)] * 2) as receiver,
        Sending(receiver.url(), jitter=0.0, retry_min_seconds=0.4, retry_max_seconds=1.0) as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        for pause in pauses:
            sending.wait_for_pause(pause)
            sending.advance(pause)
        sending.wait_until_idle()


@pytest.mark.parametrize("status", [400, 405, 409, 415, 422])
def test_what_the_receiver_will_never_take_is_given_up(status: int) -> None:
    """Dropped, counted and said, once a minute; what comes after it goes its way."""
    refusals = [response(b"out of order", status)] * 3
    with Receiver(*refusals) as receiver, Sending(receiver.url(), repeat_seconds=60.0) as sending:
        for number in range(4):
            sending.append(scrape(number, samples=2))
            sending.advance(LINGER_SECONDS)
            sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [3, 3]
        assert sending.counted("samples_refused") == 6
        assert sending.counted("samples_delivered") == 2
        assert sending.counted("write_retries") == 0
        (line,) = sending.lines
        assert f"status code: {status}, response body: out of order; 2 samples dropped" in line


def hangs_up() -> bytes:
    """Instead of an answer."""
    raise ClientLeft


def test_every_series_arrives_in_order_whatever_happens() -> None:
    """Failures of every kind between and during requests: all samples, each series in time order."""
    rough = [response(b"", 500), response(b"", 503), response(status=204), b"garbage", hangs_up, response(b"", 429)]
    with Receiver(*rough, *rough, *rough) as receiver, Sending(receiver.url(), retry_max_seconds=0.5) as sending:
        for number in range(40):
            sending.append(scrape(number, samples=BATCH_SAMPLES // 4))
            sending.advance(0.3)
        sending.wait_for(sending.idle_after_pauses, "everything to be delivered")
        for series in range(BATCH_SAMPLES // 4):
            values = [taken.value for taken in receiver.taken if taken.name == f"m_{series}"]
            assert values == list(range(40))
        assert receiver.most_at_once == 1


def test_an_ending_agent_tries_at_once() -> None:
    """`hurry` does not wait for the pause to end."""
    with Receiver(response(b"", 500)) as receiver, Sending(receiver.url(), retry_min_seconds=30.0) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(30)
        sending.on_loop(sending.writer.hurry)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [0]


def test_what_is_lost_at_the_end_is_said() -> None:
    """Samples that were not acknowledged when the writer closes are counted in the log."""
    with Server(resets) as server, Sending(server.url(), retry_min_seconds=30.0) as sending:
        sending.append(scrape(0, samples=5))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(30)
        sending.on_loop(sending.writer.close)
        assert "5 samples for" in sending.lines[-1]
        assert "not delivered before the end" in sending.lines[-1]


def test_headers_of_ones_own() -> None:
    """Credentials and further headers go along; those that say what the body is cannot be changed."""
    own = (("X-Scope-OrgID", "team"), ("content-encoding", "gzip"), ("X-Prometheus-Remote-Write-Version", "2"))
    with (
        Receiver() as receiver,
        Sending(receiver.url(), basic_auth_user="u", basic_auth_pass="päss", headers=own) as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_until_idle()
        headers = receiver.requests[0].headers
        assert headers["authorization"] == "Basic dTpww6Rzcw=="
        assert headers["x-scope-orgid"] == "team"
        assert headers["content-encoding"] == "snappy"
        assert headers["x-prometheus-remote-write-version"] == "0.1.0"


def test_secrets_stay_out_of_logs_metrics_and_repr() -> None:
    """A URL is shown without its user, password and query."""
    port = refused_port()
    with Sending(
        f"http://u:secret@127.0.0.1:{port}/w?token=secret", basic_auth_user="u", basic_auth_pass="secret"
    ) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        shown = f"{sending.lines}{sending.registry.render()}{sending.writer.options!r}"
        assert "secret" not in shown
        assert f"http://127.0.0.1:{port}/w" in shown


def test_a_url_that_is_none_is_refused_at_the_start() -> None:
    """Not at the first request."""
    parts = {"log": Logger(), "registry": Registry(), "jitter": lambda: 1.0}
    with closing(Loop(print)) as loop, pytest.raises(ConfigError, match="names no host"):
        Writer(WriterOptions("http:///write"), memory_spool(MovedClock()).reader("writer", FORM), 1, loop=loop, **parts)
