"""A loop for a test: it runs until what is waited for holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable


class Running:
    """A loop, its errors, and the lines that were logged."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.lines: list[str] = []
        self.loop = Loop(self.errors.append)
        self.log = Logger(self.lines.append)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Run until `holds`; it is looked at often."""
        looks = [0]

        def look() -> None:
            looks[0] += 1
            if holds() or self.errors or looks[0] * 0.005 > WAIT_SECONDS:
                self.loop.stop()
            else:
                self.loop.call_later(0.005, look)

        self.loop.call_later(0.0, look)
        self.loop.run()
        assert not self.errors, self.errors
        assert holds(), f"waited {WAIT_SECONDS} s for {what}; the log says {self.lines}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()
