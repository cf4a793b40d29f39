"""A write request whose body is pushed: see `base.asgi.Upload`.

It has no task and no coroutine, because most of them are decoded in a tenth of the time these take.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kpwatch.base.errors import ClientGone, KpwatchError, OverLimit
from kpwatch.receive.intake import BIG_BODY_BYTES, protocol_of, taken

if TYPE_CHECKING:
    from kpwatch.base.asgi import Answer, Head, Reply
    from kpwatch.model.encoded import Protocol
    from kpwatch.model.source import Appended
    from kpwatch.receive.gather import Decoded
    from kpwatch.receive.intake import Intake


class Upload:
    """One request whose body is pushed."""

    __slots__ = ("_decoded", "_held", "_intake", "_late", "_parts", "_protocol", "_reply", "_terms")

    def __init__(self, intake: Intake, head: Head, reply: Reply) -> None:
        self._intake = intake
        self._reply: Reply | None = reply
        """None once there was an answer, or nobody to hear it."""
        self._protocol: Protocol = "1.0"
        self._held = 0
        self._parts: list[bytes] = []
        self._late: asyncio.TimerHandle | None = None
        try:
            terms = intake.known_terms(head)
            if terms is not None:
                self._protocol = terms.protocol
                intake.check_length(head)
            else:
                self._protocol = protocol_of(head.header(b"content-type"))
                terms = intake.terms(head, self._protocol)
                intake.remember_terms(head, terms)
            self._terms = terms
        except KpwatchError as error:
            self._fail(error)

    def feed(self, piece: bytes) -> None:
        """See Upload."""
        if self._reply is None:
            return
        self._parts.append(piece)
        self._held += len(piece)
        self._intake.held_bytes += len(piece)
        try:
            self._intake.check_held(self._held)
        except KpwatchError as error:
            self._fail(error)

    def unfinished(self) -> None:
        """See Upload."""
        if self._reply is not None and self._late is None:
            seconds = self._intake.options.body_seconds
            self._late = asyncio.get_running_loop().call_later(seconds, self._is_late)

    def _is_late(self) -> None:
        if self._reply is not None:
            self._fail(self._intake.too_slow())

    def gone(self) -> None:
        """See Upload."""
        if self._reply is not None:
            self._intake.counts.gone.add()
            reply = self._let_go()
            reply(ClientGone())

    def end(self) -> None:
        """See Upload."""
        if self._reply is None:
            return
        if self._late is not None:
            self._late.cancel()
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        intake = self._intake
        if len(body) > BIG_BODY_BYTES or intake.turn.locked():
            task = asyncio.get_running_loop().create_task(self._decode_later(body))
            intake.waiting.add(task)
            task.add_done_callback(intake.waiting.discard)
            return
        try:
            decoded = intake.decode_now(self._terms, body)
        except Exception as error:  # noqa: BLE001 - whoever answers judges it
            self._fail(error)
        else:
            self._append(decoded)

    async def _decode_later(self, body: bytes) -> None:
        try:
            async with self._intake.turn:
                decoded = await self._intake.decode(self._terms, body)
        except Exception as error:  # noqa: BLE001 - whoever answers judges it
            self._fail(error)
        else:
            self._append(decoded)

    def _append(self, decoded: Decoded) -> None:
        self._release()
        intake = self._intake
        intake.counts.received(decoded)
        if not decoded.frames:
            self._answer(taken(decoded, self._protocol, 0))
            return
        self._decoded = decoded
        try:
            intake.store.append_then(decoded.frames, intake.returned.on_loop(self._stored))
        except Exception as error:  # noqa: BLE001 - whoever answers judges it
            self._fail(error)

    def _stored(self, outcome: Appended | Exception) -> None:
        """The store has done with it, one way or the other."""
        if isinstance(outcome, OverLimit):
            self._answer(self._intake.over(outcome, self._protocol))
        elif isinstance(outcome, Exception):
            self._fail(outcome)
        else:
            self._intake.counts.stored(outcome)
            self._answer(taken(self._decoded, self._protocol, outcome.samples))

    def _fail(self, error: Exception) -> None:
        if isinstance(error, KpwatchError):
            self._answer(self._intake.refuse(error, self._protocol))
        else:
            self._let_go()(error)

    def _answer(self, answer: Answer) -> None:
        self._intake.counts.answered(answer.status, self._protocol)
        self._let_go()(answer)

    def _let_go(self) -> Reply:
        reply, self._reply = self._reply, None
        assert reply is not None, "there is one answer"
        self._release()
        if self._late is not None:
            self._late.cancel()
        return reply

    def _release(self) -> None:
        self._intake.held_bytes -= self._held
        self._held = 0
        self._parts = []
