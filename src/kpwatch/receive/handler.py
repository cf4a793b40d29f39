"""POST .../write: the HTTP edge of Remote Write 1.0 and 2.0.

204 means on disk: it is sent when the store's Future is done, not before. A request is stored whole or not at all, but
for what the hub never keeps: exemplars, metadata and start timestamps are passed over and counted; native histograms
are samples, so a 2.0 request that has some is answered 400 when all others of it are stored, as the specification asks
(a 1.0 sender could do nothing with that answer). Every answer to 2.0 says how much was written.

Headers are judged before a byte of the body is read; the body is read against limits; only one body is decoded at a
time (a big one on a thread of its own, so that the event loop goes on), and what waits for its turn is bounded too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from kpwatch.base.asgi import Answer
from kpwatch.base.errors import (
    BadInput,
    ClientGone,
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
from kpwatch.remote_write.snappy import decompress
from kpwatch.remote_write.v2 import WRITTEN_HEADERS

if TYPE_CHECKING:
    from kpwatch.base.asgi import Request
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.encoded import Protocol
    from kpwatch.model.source import Appender
    from kpwatch.receive.gather import Decoded
    from kpwatch.receive.limits import ReceiveOptions

_BIG_BODY_BYTES = 64 << 10
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


class WriteHandler:
    """Answers Remote Write requests; all methods run on the event loop."""

    def __init__(self, store: Appender, options: ReceiveOptions, telemetry: Registry) -> None:
        self._store = store
        self._options = options
        self._decoders: dict[bool, Decoder] = {}
        self._turn = asyncio.Lock()
        self._held_bytes = 0
        self._counts = _Counts(telemetry, self)

    async def __call__(self, request: Request) -> Answer:
        """Answer one request; raises ClientGone."""
        protocol: Protocol = "1.0"
        try:
            protocol = _protocol(request.header(b"content-type"))
            answer = await self._take(request, protocol)
        except ClientGone:
            self._counts.gone.add()
            raise
        except KpwatchError as error:
            answer = self._refuse(error, protocol)
        self._counts.answered(answer.status, protocol)
        return answer

    async def _take(self, request: Request, protocol: Protocol) -> Answer:
        _check_encoding(request.header(b"content-encoding"))
        decoder = self._decoder(host_is_ident=_host_is_ident(request.query))
        body = await self._read(request)
        self._held_bytes += len(body)
        try:
            async with self._turn:
                decoded = await self._decode(decoder, body, protocol)
        finally:
            self._held_bytes -= len(body)
        self._counts.received(decoded)
        written = 0
        if decoded.frames:
            try:
                appended = await asyncio.wrap_future(self._store.append(decoded.frames))
            except OverLimit as error:
                self._counts.stored(Appended(error.samples, error.overwritten))
                return Answer(400, f"{error}\n".encode(), headers=_written(protocol, error.samples))
            self._counts.stored(appended)
            written = appended.samples
        if decoded.histograms:
            return Answer(400, _histograms_refused(decoded.histograms, written), headers=_written(protocol, written))
        return Answer(204, headers=_written(protocol, written))

    async def _read(self, request: Request) -> bytes:
        """The compressed body; raises TooLarge, StoreOverloaded, TooSlow, ClientGone."""
        length = request.header(b"content-length")
        if length.isdigit() and int(length) > self._options.body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        held = 0
        try:
            async with asyncio.timeout(self._options.body_seconds):
                async for chunk in request.chunks():
                    held += len(chunk)
                    self._held_bytes += len(chunk)
                    parts.append(chunk)
                    self._check_held(held)
        except TimeoutError as error:
            raise TooSlow(f"the body did not arrive within {self._options.body_seconds:g} s") from error
        finally:
            self._held_bytes -= held
        return b"".join(parts)

    def _check_held(self, held: int) -> None:
        if held > self._options.body_bytes:
            raise self._too_large()
        if self._held_bytes > self._options.in_flight_bytes:
            raise StoreOverloaded(
                f"requests of {self._held_bytes} bytes are being read, the limit is {self._options.in_flight_bytes}; "
                "send this one again later"
            )

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is longer than {self._options.body_bytes} bytes; send fewer samples at once")

    async def _decode(self, decoder: Decoder, body: bytes, protocol: Protocol) -> Decoded:
        if len(body) > _BIG_BODY_BYTES:
            return await asyncio.to_thread(self._decode_now, decoder, body, protocol)
        return self._decode_now(decoder, body, protocol)

    def _decode_now(self, decoder: Decoder, body: bytes, protocol: Protocol) -> Decoded:
        return decoder.decode(decompress(body, self._options.decoded_bytes), protocol)

    def _decoder(self, *, host_is_ident: bool) -> Decoder:
        decoder = self._decoders.get(host_is_ident)
        if decoder is None:
            decoder = self._decoders[host_is_ident] = Decoder(self._options, host_is_ident=host_is_ident)
        return decoder

    def _refuse(self, error: KpwatchError, protocol: Protocol) -> Answer:
        status = next((status for kind, status in _REFUSALS if isinstance(error, kind)), 500)
        wait = (("retry-after", str(self._options.retry_after_seconds)),) if status in _REPEATABLE else ()
        return Answer(status, f"{error}\n".encode(), headers=wait + _written(protocol, 0))

    def held_bytes(self) -> float:
        """Bytes of bodies that are being read or wait to be decoded."""
        return self._held_bytes

    def forgotten(self) -> float:
        """Names and runs forgotten for want of room."""
        return sum(decoder.forgotten() for decoder in self._decoders.values())


class _Counts:
    """What the handler counts."""

    def __init__(self, telemetry: Registry, handler: WriteHandler) -> None:
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
        self._dropped = {
            what: telemetry.counter(
                "kpwatch_hub_write_dropped_total", "Parts of admitted requests not kept.", what=what
            )
            for what in (
                "duplicate_sample",
                "exemplar_or_histogram",
                "metadata",
                "series_without_samples",
                "start_timestamp",
            )
        }
        self._by_protocol = {
            protocol: telemetry.counter(
                "kpwatch_hub_write_protocol_total",
                "Write requests answered, by the protocol their type names.",
                protocol=protocol,
            )
            for protocol in ("1.0", "2.0")
        }
        telemetry.gauge(
            "kpwatch_hub_write_held_bytes", "Bytes of write bodies being read or decoded.", handler.held_bytes
        )
        telemetry.gauge(
            "kpwatch_hub_write_names_forgotten",
            "Remembered names and runs dropped for want of room.",
            handler.forgotten,
        )

    def answered(self, status: int, protocol: Protocol) -> None:
        self._telemetry.counter(
            "kpwatch_hub_write_requests_total", "Write requests answered, by status.", status=str(status)
        ).add()
        self._by_protocol[protocol].add()

    def received(self, decoded: Decoded) -> None:
        self._samples.add(decoded.samples)
        self._in_runs.add(decoded.in_runs)
        self._dropped["duplicate_sample"].add(decoded.duplicates)
        self._dropped["exemplar_or_histogram"].add(decoded.ignored)
        self._dropped["metadata"].add(decoded.metadata)
        self._dropped["series_without_samples"].add(decoded.without_samples)
        self._dropped["start_timestamp"].add(decoded.start_timestamps)

    def stored(self, appended: Appended) -> None:
        self._stored.add(appended.samples)
        self._overwritten.add(appended.overwritten)


def _protocol(content_type: str) -> Protocol:
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


def _histograms_refused(histograms: int, samples: int) -> bytes:
    return (
        f"native histograms are not kept: {histograms} of this request were left out, its {samples} other samples are "
        "stored; send classic histograms (Prometheus: send_native_histograms: false)\n"
    ).encode()


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
