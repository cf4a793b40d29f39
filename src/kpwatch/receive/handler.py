"""POST .../write: the HTTP edge of Remote Write 1.0 and 2.0.

204 means on disk: it is sent when the store's Future is done, not before. A request is stored whole or not at all, but
for what the hub never keeps: exemplars, metadata and start timestamps are passed over and counted; native histograms
are samples, so a 2.0 request that has some is answered 400 when all others of it are stored, as the specification asks
(a 1.0 sender could do nothing with that answer). Every answer to 2.0 says how much was written.

Headers are judged before a byte of the body is read; the body is read against limits; only one body is decoded at a
time (a big one on a thread of its own, so that the event loop goes on), and what waits for its turn is bounded too.

A request comes in one of two ways, and both are judged, decoded and answered by the same functions: its body is read
(`WriteHandler.__call__`), or pushed (`WriteHandler.upload`), which has no task for a request and wakes the event loop
once for all requests of a commit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kpwatch.base.errors import ClientGone, KpwatchError, OverLimit
from kpwatch.receive.intake import Intake, protocol_of, taken
from kpwatch.receive.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpwatch.base.asgi import Answer, Head, Reply, Request
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.encoded import Protocol
    from kpwatch.model.metadata import FamilyMetadata
    from kpwatch.model.source import Appender
    from kpwatch.receive.intake import Terms
    from kpwatch.receive.limits import ReceiveOptions


class WriteHandler:
    """Answers Remote Write requests; all methods run on the event loop."""

    def __init__(self, store: Appender, options: ReceiveOptions, telemetry: Registry) -> None:
        self._intake = Intake(store, options, telemetry)

    async def __call__(self, request: Request) -> Answer:
        """Answer one request; raises ClientGone."""
        intake = self._intake
        protocol: Protocol = "1.0"
        try:
            protocol = protocol_of(request.header(b"content-type"))
            answer = await self._take(request, intake.terms(request, protocol))
        except ClientGone:
            intake.counts.gone.add()
            raise
        except KpwatchError as error:
            answer = intake.refuse(error, protocol)
        intake.counts.answered(answer.status, protocol)
        return answer

    def descriptions(self) -> Mapping[str, Sequence[FamilyMetadata]]:
        """What senders said of their metrics, by family."""
        return self._intake.descriptions.families()

    def upload(self, head: Head, reply: Reply) -> Upload:
        """Answer one request whose body is pushed."""
        return Upload(self._intake, head, reply)

    async def _take(self, request: Request, terms: Terms) -> Answer:
        intake = self._intake
        body = await self._read(request)
        intake.held_bytes += len(body)
        try:
            async with intake.turn:
                decoded = await intake.decode(terms, body)
        finally:
            intake.held_bytes -= len(body)
        intake.counts.received(decoded)
        if not decoded.frames:
            return taken(decoded, terms.protocol, 0)
        try:
            appended = await asyncio.wrap_future(intake.store.append(decoded.frames))
        except OverLimit as error:
            return intake.over(error, terms.protocol)
        intake.counts.stored(appended)
        return taken(decoded, terms.protocol, appended.samples)

    async def _read(self, request: Request) -> bytes:
        """The compressed body; raises TooLarge, StoreOverloaded, TooSlow, ClientGone."""
        intake = self._intake
        parts: list[bytes] = []
        held = 0
        try:
            async with asyncio.timeout(intake.options.body_seconds):
                async for chunk in request.chunks():
                    held += len(chunk)
                    intake.held_bytes += len(chunk)
                    parts.append(chunk)
                    intake.check_held(held)
        except TimeoutError as error:
            raise intake.too_slow() from error
        finally:
            intake.held_bytes -= held
        return b"".join(parts)
