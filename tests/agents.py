"""A whole agent in a thread: real sockets, real time, short intervals."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kpwatch.agent import build
from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.logs import Logger
from kpwatch.config.options import AgentOptions
from kpwatch.scrape.options import TargetOptions
from kpwatch.send.options import WriterOptions
from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from kpwatch.base.clock import Clock

HOSTNAME = "10.206.0.7"
INTERVAL_SECONDS = 0.03


def target(url: str, name: str = "target", **options) -> TargetOptions:
    """A target told apart by its `instance`."""
    return TargetOptions(
        url,
        **{"interval_seconds": INTERVAL_SECONDS, "timeout_seconds": WAIT_SECONDS, "url_labels": (("instance", name),)}
        | options,
    )


def writer(url: str, **options) -> WriterOptions:
    """A writer that does not wait long."""
    return WriterOptions(url, **{"retry_min_seconds": 0.02, "retry_max_seconds": 0.05} | options)


class RunningAgent:
    """An agent that runs from `with` to the end of its block, or to `stop`."""

    def __init__(
        self,
        targets: Sequence[TargetOptions],
        writers: Sequence[WriterOptions],
        *,
        clock: Clock = SYSTEM_CLOCK,
        **options,
    ) -> None:
        self.lines: list[str] = []
        self._said = threading.Condition()
        log = Logger(self._say)
        self.agent = build(AgentOptions(HOSTNAME, tuple(targets), tuple(writers), **options), log=log, clock=clock)
        self._thread = threading.Thread(target=self.agent.run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as SIGTERM does; it must end by itself and have had no bug."""
        self.agent.stop()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        assert self.counted("internal_errors") == 0, self.lines

    @property
    def running(self) -> bool:
        """Whether `run` has not returned."""
        return self._thread.is_alive()

    def counted(self, name: str, **labels: str) -> float:
        """The sum of one of its counters over all label sets with these labels."""
        return sum(
            value
            for full, pairs, value in list(self.agent.registry.samples())
            if full == f"kpwatch_agent_{name}_total" and labels.items() <= dict(pairs).items()
        )

    def wait_for_line(self, words: str) -> str:
        """Wait until the log says so; the line."""

        def found() -> str:
            return next((line for line in self.lines if words in line), "")

        with self._said:
            assert self._said.wait_for(found, WAIT_SECONDS), f"waited for {words!r} in {self.lines}"
            return found()

    def _say(self, line: str) -> None:
        with self._said:
            self.lines.append(line)
            self._said.notify_all()
