"""The agent: the left half of the map.

    targets -> watch (fetch, read, name, encode) -> queue per writer -> writer ~~HTTP~~>

`build` wires the rooms and nothing else; one loop on one thread runs everything. Several agents may share a process
(`kpwatch up --demo`): each has its own loop, registry and name.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.http import redact_url
from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from kpwatch.base.telemetry import Registry
from kpwatch.relabel.identity import Identity
from kpwatch.scrape.watch import Counters, TargetWatch
from kpwatch.send.options import NIGHTINGALE_WRITE_PATH
from kpwatch.send.writer import Writer
from kpwatch.spool.queue import Queue

if TYPE_CHECKING:
    from kpwatch.base.clock import Clock
    from kpwatch.config.options import AgentOptions
    from kpwatch.model.encoded import EncodedScrape
    from kpwatch.scrape.encoder import IdentMode
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.send.options import WriterOptions

DRAIN_SECONDS = 5.0
"""How long an ending agent waits for its writers."""

SPREAD_SECONDS = 0.5
"""First scrapes of many targets are spread over this time."""


def build(options: AgentOptions, *, log: Logger | None = None, clock: Clock = SYSTEM_CLOCK) -> Agent:
    """Wire one agent. Raises ConfigError for a URL that cannot be one."""
    registry = Registry()
    log = log or Logger(clock=clock)
    errors = registry.counter("kpwatch_agent_internal_errors_total", "Bugs: exceptions nobody expected.")

    def on_error(error: Exception) -> None:
        errors.add()
        log.error(f"internal error: {type(error).__name__}: {error}; please report it", about=repr(error))

    loop = Loop(on_error, clock)
    lanes = [_Lane(writer, options, loop, log, registry) for writer in options.writers]

    def hand_on(mode: IdentMode, scrape: EncodedScrape) -> None:
        for lane in lanes:
            if lane.mode == mode:
                lane.queue.append(scrape)
                lane.writer.notice()

    modes = sorted({lane.mode for lane in lanes})
    watches = [
        TargetWatch(
            target,
            identity_of(target, options),
            modes,
            loop=loop,
            log=log,
            counters=Counters(registry),
            precision=options.precision,
            hand_on=hand_on,
        )
        for target in options.targets
    ]
    return Agent(loop, watches, lanes, registry)


def identity_of(target: TargetOptions, options: AgentOptions) -> Identity:
    """What a target's samples are called."""
    hostname = "" if options.omit_hostname else options.hostname
    return Identity(target.url_labels, target.labels, options.global_labels, hostname)


def ident_mode(writer: WriterOptions) -> IdentMode:
    """The mode a writer's `ident` option comes down to."""
    if writer.ident != "auto":
        return writer.ident
    path = writer.url.partition("?")[0].rstrip("/")
    return "off" if path.endswith(NIGHTINGALE_WRITE_PATH) else "rename"


class _Lane:
    """A writer and what waits for it."""

    def __init__(
        self, writer: WriterOptions, options: AgentOptions, loop: Loop, log: Logger, registry: Registry
    ) -> None:
        self.mode = ident_mode(writer)
        url = redact_url(writer.url)
        dropped = registry.counter(
            "kpwatch_agent_samples_overflowed_total", "Samples dropped because the writer's queue was full.", url=url
        )
        self.queue = Queue(options.queue.queue_samples, options.queue.queue_bytes, dropped)
        registry.gauge("kpwatch_agent_queue_samples", "Samples that wait.", lambda: self.queue.samples, url=url)
        registry.gauge("kpwatch_agent_queue_bytes", "Their size.", lambda: self.queue.size_bytes, url=url)
        self.writer = Writer(
            writer,
            self.queue,
            options.queue.batch_samples,
            loop=loop,
            log=log,
            registry=registry,
            jitter=random.random,
        )


class Agent:
    """Runs until it is stopped, then drains."""

    def __init__(self, loop: Loop, watches: list[TargetWatch], lanes: list[_Lane], registry: Registry) -> None:
        self.registry = registry
        self._loop = loop
        self._watches = watches
        self._lanes = lanes
        self._ending = False

    def run(self) -> None:
        """Scrape and send until `stop`; returns when the writers are drained or DRAIN_SECONDS are over."""
        for index, watch in enumerate(self._watches):
            watch.start(SPREAD_SECONDS * index / len(self._watches))
        self._loop.run()
        for watch in self._watches:
            watch.stop()
        for lane in self._lanes:
            lane.writer.close()
        self._loop.close()

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self._loop.call_from_thread(self._end)

    def _end(self) -> None:
        if self._ending:
            return
        self._ending = True
        for watch in self._watches:
            watch.stop()
        for lane in self._lanes:
            lane.writer.hurry()
        self._loop.call_later(DRAIN_SECONDS, self._loop.stop)
        self._wait_for_writers()

    def _wait_for_writers(self) -> None:
        if all(lane.writer.idle for lane in self._lanes):
            self._loop.stop()
        else:
            self._loop.call_later(0.02, self._wait_for_writers)
