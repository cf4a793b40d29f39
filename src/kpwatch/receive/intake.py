"""Remote Write requests, however they come: what their headers mean, what bounds them, what they are answered.

Two edges use it, and so say the same: `handler.py`, where a body is read, and `upload.py`, where it is pushed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from kpwatch.base.asgi import Answer
from kpwatch.base.errors import (
    BadInput,
    KpwatchError,
    OverLimit,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreOverloaded,
    TooLarge,
    TooSlow,
    WrongType,
)
from kpwatch.model.source import Appended
from kpwatch.receive.decode import Decoder
from kpwatch.receive.descriptions import Descriptions
from kpwatch.remote_write.v2 import WRITTEN_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.asgi import Head
    from kpwatch.base.telemetry import Counter, Registry
    from kpwatch.model.encoded import Protocol
    from kpwatch.model.source import Appender
    from kpwatch.receive.gather import Decoded
    from kpwatch.receive.limits import ReceiveOptions

    Outcome = Appended | Exception

BIG_BODY_BYTES = 128 << 10
"""A compressed body above this is decoded on a thread."""
_MESSAGE_2_0 = "io.prometheus.write.v2.Request"
_PROTOCOLS: dict[str, Protocol] = {
    "": "1.0",
    "prometheus.writerequest": "1.0",
    _MESSAGE_2_0.lower(): "2.0",
}
"""By the `proto` parameter of the Content-Type, in lower case."""
_GO_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


# First row that fits. Retry-After goes with what a sender should repeat.
_REFUSALS: tuple[tuple[type[KpwatchError], int], ...] = (
    (WrongType, 415),
    (TooSlow, 408),
    (TooLarge, 413),
    (BadInput, 400),
    (StoreOverloaded, 429),
    (StoreFull, 503),
    (StoreClosed, 503),
    (StoreError, 503),
)
_REPEATABLE = {429, 503}
# Field of Decoded, and how it is counted.
_DROPPED = (
    ("duplicates", "duplicate_sample"),
    ("ignored", "exemplar_or_histogram"),
    ("metadata", "metadata"),
    ("without_samples", "series_without_samples"),
    ("start_timestamps", "start_timestamp"),
)
_TAKEN_1_0 = Answer(204)
_TERMS_MAX = 64
_SAID_BYTES_MAX = 1 << 10


class Terms(NamedTuple):
    """What a request's headers say of it."""

    protocol: Protocol
    decoder: Decoder


class Intake:
    """Judges, bounds and decodes; its methods run on the event loop."""

    def __init__(self, store: Appender, options: ReceiveOptions, telemetry: Registry) -> None:
        self.store = store
        self.options = options
        self.turn = asyncio.Lock()
        """Of who decodes."""
        self.held_bytes = 0
        """Bytes of bodies that are being read or wait to be decoded."""
        self.counts = Counts(telemetry, self)
        self.returned = Returned()
        self.waiting: set[asyncio.Task[None]] = set()
        """Uploads that wait for their turn, or for a thread."""
        self.descriptions = Descriptions()
        self._decoders: dict[bool, Decoder] = {}
        self._known_terms: dict[tuple[bytes | None, ...], Terms] = {}

    def terms(self, head: Head, protocol: Protocol) -> Terms:
        """Judge the other headers; raises KpwatchError."""
        _check_encoding(head.header(b"content-encoding"))
        decoder = self._decoder(host_is_ident=_host_is_ident(head.query))
        self.check_length(head)
        return Terms(protocol, decoder)

    def known_terms(self, head: Head) -> Terms | None:
        """The terms where the same headers were judged before (the length is not), as senders repeat them."""
        return self._known_terms.get(_said(head))

    def remember_terms(self, head: Head, terms: Terms) -> None:
        """They were judged to be good."""
        if len(self._known_terms) >= _TERMS_MAX:
            self._known_terms.clear()
        said = _said(head)
        if sum(len(part or b"") for part in said) <= _SAID_BYTES_MAX:
            self._known_terms[said] = terms

    def check_length(self, head: Head) -> None:
        """Judge the length that a request promises; raises TooLarge."""
        length = head.header(b"content-length")
        if length.isdigit() and int(length) > self.options.body_bytes:
            raise self._too_large()

    def check_held(self, held: int) -> None:
        """Judge a body of which so much has come; raises TooLarge, StoreOverloaded."""
        if held > self.options.body_bytes:
            raise self._too_large()
        if self.held_bytes > self.options.in_flight_bytes:
            raise StoreOverloaded(
                f"requests of {self.held_bytes} bytes are being read, the limit is {self.options.in_flight_bytes}; "
                "send this one again later"
            )

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is longer than {self.options.body_bytes} bytes; send fewer samples at once")

    def too_slow(self) -> TooSlow:
        """The error for a body that takes too long."""
        return TooSlow(f"the body did not arrive within {self.options.body_seconds:g} s")

    async def decode(self, terms: Terms, body: bytes) -> Decoded:
        """Decode in one's turn."""
        if len(body) > BIG_BODY_BYTES:
            return await asyncio.to_thread(self.decode_now, terms, body)
        return self.decode_now(terms, body)

    def decode_now(self, terms: Terms, body: bytes) -> Decoded:
        """Decode a body that is not too big for that; raises BadInput, TooLarge."""
        return terms.decoder.decode_block(body, terms.protocol)

    def _decoder(self, *, host_is_ident: bool) -> Decoder:
        decoder = self._decoders.get(host_is_ident)
        if decoder is None:
            decoder = self._decoders[host_is_ident] = Decoder(
                self.options, host_is_ident=host_is_ident, descriptions=self.descriptions
            )
        return decoder

    def over(self, error: OverLimit, protocol: Protocol) -> Answer:
        """The answer where not all was stored."""
        self.counts.stored(Appended(error.samples, error.overwritten))
        return Answer(400, f"{error}\n".encode(), headers=_written(protocol, error.samples))

    def refuse(self, error: KpwatchError, protocol: Protocol) -> Answer:
        """The answer where nothing was stored."""
        status = next((status for kind, status in _REFUSALS if isinstance(error, kind)), 500)
        wait = (("retry-after", str(self.options.retry_after_seconds)),) if status in _REPEATABLE else ()
        return Answer(status, f"{error}\n".encode(), headers=wait + _written(protocol, 0))

    def forgotten(self) -> float:
        """Names and runs forgotten for want of room."""
        return sum(decoder.forgotten() for decoder in self._decoders.values())


class Returned:
    """What the store's thread tells, on its way to the event loop: one waking for all that was committed together."""

    def __init__(self) -> None:
        self._told: deque[tuple[Callable[[Outcome], None], Outcome]] = deque()
        self._is_woken = False

    def on_loop(self, then: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
        """`then`, for another thread to call: it is called on this event loop."""
        loop = asyncio.get_running_loop()

        def tell(outcome: Outcome) -> None:
            self._told.append((then, outcome))
            if not self._is_woken:
                self._is_woken = True
                with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
                    loop.call_soon_threadsafe(self._pass_on)

        return tell

    def _pass_on(self) -> None:
        self._is_woken = False  # before looking, so that nothing is left lying
        while self._told:
            then, outcome = self._told.popleft()
            then(outcome)


class Counts:
    """What is counted."""

    def __init__(self, telemetry: Registry, intake: Intake) -> None:
        self._telemetry = telemetry
        self.gone = telemetry.counter(
            "kpwatch_hub_write_aborted_total", "Write requests whose sender went away before the body was complete."
        )
        self._samples = telemetry.counter(
            "kpwatch_hub_samples_received_total",
            "Samples in admitted write requests, duplicates within one not counted.",
        )
        self._stored = telemetry.counter("kpwatch_hub_samples_stored_total", "Samples acknowledged as being on disk.")
        self._overwritten = telemetry.counter(
            "kpwatch_hub_samples_overwritten_total", "Samples stored in place of one of the same series and time."
        )
        self._in_runs = telemetry.counter(
            "kpwatch_hub_samples_in_known_runs_total",
            "Samples received in bytes that were known but for values and time.",
        )
        self._dropped = [
            (
                field,
                telemetry.counter("kpwatch_hub_write_dropped_total", "Parts of admitted requests not kept.", what=what),
            )
            for field, what in _DROPPED
        ]
        self._by_status: dict[int, Counter] = {}
        self._by_protocol = {
            protocol: telemetry.counter(
                "kpwatch_hub_write_protocol_total",
                "Write requests answered, by the protocol their type names.",
                protocol=protocol,
            )
            for protocol in ("1.0", "2.0")
        }
        telemetry.gauge(
            "kpwatch_hub_write_held_bytes", "Bytes of write bodies being read or decoded.", lambda: intake.held_bytes
        )
        telemetry.gauge(
            "kpwatch_hub_write_names_forgotten",
            "Remembered names and runs dropped for want of room.",
            intake.forgotten,
        )

    def answered(self, status: int, protocol: Protocol) -> None:
        """A request was answered."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._telemetry.counter(
                "kpwatch_hub_write_requests_total", "Write requests answered, by status.", status=str(status)
            )
        counter.add()
        self._by_protocol[protocol].add()

    def received(self, decoded: Decoded) -> None:
        """A body was decoded."""
        self._samples.add(decoded.samples)
        self._in_runs.add(decoded.in_runs)
        if any(decoded[3:]):
            for field, counter in self._dropped:
                counter.add(getattr(decoded, field))

    def stored(self, appended: Appended) -> None:
        """Samples are on disk."""
        self._stored.add(appended.samples)
        self._overwritten.add(appended.overwritten)


def protocol_of(content_type: str) -> Protocol:
    """The protocol that a Content-Type names; none means 1.0, as Prometheus takes it. Raises WrongType."""
    if not content_type:
        return "1.0"
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != "application/x-protobuf":
        raise WrongType(
            f"Content-Type {content_type[:200]!r} is not taken; send application/x-protobuf (Remote Write 1.0) "
            f"or application/x-protobuf;proto={_MESSAGE_2_0} (2.0)"
        )
    named = {name.strip().lower(): value.strip().strip('"').strip() for name, _, value in map(_halves, parameters)}
    proto = named.get("proto", "")
    protocol = _PROTOCOLS.get(proto.lower())
    if protocol is None:
        raise WrongType(
            f"message {proto[:200]!r} is not taken; send prometheus.WriteRequest (Remote Write 1.0) "
            f"or {_MESSAGE_2_0} (2.0)"
        )
    return protocol


def _halves(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


def _written(protocol: Protocol, samples: int) -> tuple[tuple[str, str], ...]:
    """What an answer says of what was written; 1.0 has no words for it."""
    if protocol == "1.0":
        return ()
    counts = {"samples": samples, "histograms": 0, "exemplars": 0}
    return tuple((WRITTEN_HEADERS[what], str(count)) for what, count in counts.items())


def taken(decoded: Decoded, protocol: Protocol, written: int) -> Answer:
    """The answer to a request of which so many samples are on disk."""
    if decoded.histograms:
        return Answer(400, _histograms_refused(decoded.histograms, written), headers=_written(protocol, written))
    return _TAKEN_1_0 if protocol == "1.0" else Answer(204, headers=_written(protocol, written))


def _histograms_refused(histograms: int, samples: int) -> bytes:
    return (
        f"native histograms are not kept: {histograms} of this request were left out, its {samples} other samples are "
        "stored; send classic histograms (Prometheus: send_native_histograms: false)\n"
    ).encode()


def _said(head: Head) -> tuple[bytes | None, ...]:
    """What decides about a request's terms."""
    return head.headers.get(b"content-type"), head.headers.get(b"content-encoding"), head.query


def _check_encoding(encoding: str) -> None:
    """No encoding means snappy, as Prometheus takes it; raises WrongType."""
    if encoding.lower() not in ("", "snappy"):
        raise WrongType(f"Content-Encoding {encoding!r} is not taken; send snappy (block format)")


def _host_is_ident(query: bytes) -> bool:
    """Whether `?ignore_host=false` was asked, with the booleans Go knows (strconv.ParseBool); raises BadInput."""
    if not query:
        return False
    try:
        fields = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32))
    except ValueError as error:
        raise BadInput("the URL has more than 32 parameters; the only one known here is ignore_host") from error
    asked = fields.get("ignore_host", "true")
    if asked not in _GO_BOOLEANS:
        raise BadInput(f'ignore_host={asked[:40]!r}: expected "true" or "false"')
    return not _GO_BOOLEANS[asked]
