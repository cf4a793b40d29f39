"""Asks over a real connection on a real loop and waits for the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.connection import Connection
from kpwatch.base.http import format_request, parse_url
from kpwatch.base.loop import Loop
from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from typing import Self

    from kpwatch.base.http import Answer, Failure
    from kpwatch.base.tls import TlsOptions


class Client:
    """One connection on a loop of its own; `ask` runs the loop until the outcome is there."""

    def __init__(self, url: str, *, tls: TlsOptions | None = None, dial_timeout_seconds: float = WAIT_SECONDS) -> None:
        self.errors: list[Exception] = []
        self.loop = Loop(self.errors.append)
        self.url = parse_url(url)
        self.connection = Connection(self.loop, self.url, tls=tls, dial_timeout_seconds=dial_timeout_seconds)

    def ask(
        self,
        body: bytes | None = None,
        *,
        timeout_seconds: float = WAIT_SECONDS,
        body_limit_bytes: int = 1 << 20,
        dial_apart: bool = False,
    ) -> Answer | Failure:
        """The outcome of one GET, or of one POST of `body`."""
        outcomes: list[Answer | Failure] = []

        def done(outcome: Answer | Failure) -> None:
            outcomes.append(outcome)
            self.loop.stop()

        request = format_request("GET" if body is None else "POST", self.url, {}, body or b"")
        self.connection.ask(
            request, done, timeout_seconds=timeout_seconds, body_limit_bytes=body_limit_bytes, dial_apart=dial_apart
        )
        watchdog = self.loop.call_later(2 * WAIT_SECONDS, self.loop.stop)
        if not outcomes:
            self.loop.run()
        watchdog.cancel()
        assert not self.errors, self.errors
        (outcome,) = outcomes
        assert not self.connection.busy
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.loop.close()
