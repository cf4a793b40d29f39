"""The agent in the foreground: until a signal or for one scrape, sending or printing."""

from __future__ import annotations

import gc
import resource
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from kpwatch.agent import build, build_printing
from kpwatch.operate.reload import Reloader

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from kpwatch.agent import Agent
    from kpwatch.base.logs import Logger
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.operate.reload import Configuration

_ENDING = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated", signal.SIGQUIT: "quit"}
"""Signals that end the agent, by the names Go gives them."""

SETTLED_SECONDS = 5.0
"""After the start: the targets have been scraped, the receivers have answered."""

_GARBAGE_THRESHOLDS = (20_000, 20, 20)
"""A scrape makes many short-lived tuples and no cycles."""

_WITHOUT_EFFECT = {
    signal.SIGUSR2: "there is no profiler here",
}
"""Signals that would end a process that does not know them."""


def send_samples(configuration: Configuration, dialect: Dialect, log: Logger, *, once: bool, debug: bool) -> int:
    """Scrape and send until a signal or, with `once`, one time; gives the exit code. `debug` prints what is sent."""
    options = configuration.loaded.options
    if not debug:
        return _drive(build(options, log=log), configuration, log, once=once)
    output = _Output()
    output.agent = agent = build(options, print_line=output.print_line, dialect=dialect, log=log)
    return _drive_printing(agent, configuration, output, log, once=once)


def print_samples(configuration: Configuration, dialect: Dialect, log: Logger, *, once: bool) -> int:
    """`--test`: print what would be sent; raises BrokenPipeError when nobody reads it any more."""
    output = _Output()
    agent = build_printing(configuration.loaded.options, output.print_line, dialect=dialect, log=log)
    output.agent = agent
    return _drive_printing(agent, configuration, output, log, once=once)


def _drive_printing(agent: Agent, configuration: Configuration, output: _Output, log: Logger, *, once: bool) -> int:
    code = _drive(agent, configuration, log, once=once)
    output.flush()
    if output.reader_is_gone:
        raise BrokenPipeError
    return code


def _drive(agent: Agent, configuration: Configuration, log: Logger, *, once: bool) -> int:
    _allow_open_files()
    if once:
        _on_signals(agent.stop, lambda: None, log)
        return 0 if agent.run_once() else 1
    reloader = Reloader(configuration, agent.adopt, loop=agent.loop, log=log, registry=agent.registry)
    if agent.status is not None:
        agent.status.problems.append(lambda: reloader.problem)
    reload = partial(agent.loop.call_from_thread, partial(reloader.reload, "SIGHUP"))
    _on_signals(agent.stop, reload, log)
    reloader.start()
    agent.loop.call_later(SETTLED_SECONDS, _settle_down)
    agent.run()
    log.info("exited")
    return 0


def _settle_down() -> None:
    """What the start leaves behind goes, what stays is not looked at again by every collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def _allow_open_files() -> None:
    """As many connections as this process may have: a kube-proxy takes three, and the soft limit is often 1,024."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _on_signals(stop: Callable[[], None], reload: Callable[[], None], log: Logger) -> None:
    """Call `stop` when a signal asks for the end, `reload` at SIGHUP."""

    def end(number: int, _: FrameType | None) -> None:
        log.info(f"received signal: {_ENDING[signal.Signals(number)]}")
        stop()

    def explain(number: int, _: FrameType | None) -> None:
        log.warning(f"received signal: {signal.Signals(number).name}: {_WITHOUT_EFFECT[signal.Signals(number)]}")

    signal.signal(signal.SIGHUP, lambda _number, _frame: reload())
    for number in _ENDING:
        signal.signal(number, end)
    for number in _WITHOUT_EFFECT:
        signal.signal(number, explain)


class _Output:
    """Lines to stdout, flushed once all lines of a scrape are there; a reader that is gone ends the agent."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.reader_is_gone = False
        self._lines: list[str] = []

    def print_line(self, line: str) -> None:
        """Take a line; it is written when the callback that made it is over."""
        if not self._lines and self.agent is not None:
            self.agent.loop.call_later(0.0, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what waits."""
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._lines.clear()
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.reader_is_gone = True
            if self.agent is not None:
                self.agent.stop()
