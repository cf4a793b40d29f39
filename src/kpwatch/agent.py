"""The agent: the left half of the map.

    targets -> watch (fetch, read, name, encode) -> spool -> a reader per writer -> writer ~~HTTP~~>

`build` wires the rooms and nothing else, `build_printing` the same with a printer in the place of the writers; one
loop on one thread runs everything. Several agents may share a process (`kpwatch up --demo`): each has its own loop,
registry and name.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.http import redact_url
from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from kpwatch.base.telemetry import Registry
from kpwatch.model.encoded import SOURCES, Form
from kpwatch.relabel.identity import Identity
from kpwatch.scrape.printer import SamplePrinter
from kpwatch.scrape.printing import PrintingWatch
from kpwatch.scrape.watch import Counters, TargetWatch
from kpwatch.send.options import NIGHTINGALE_WRITE_PATH
from kpwatch.send.writer import Writer
from kpwatch.spool.convert import convert
from kpwatch.spool.opening import note_forgotten, open_spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.config.options import AgentOptions
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.heartbeat.sender import Heartbeat
    from kpwatch.model.encoded import EncodedScrape, IdentMode
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.send.options import WriterOptions
    from kpwatch.spool.log import Reader, Spool

DRAIN_SECONDS = 5.0
"""How long an ending agent waits for its writers."""

SPREAD_SECONDS = 0.5
"""First scrapes of many targets are spread over this time."""


def build(
    options: AgentOptions,
    *,
    print_line: Callable[[str], None] | None = None,
    dialect: Dialect = "v0.2",
    log: Logger | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Agent:
    """Wire one agent; `print_line` shows what it sends (-debug). Raises ConfigError for a URL that cannot be one."""
    log = log or Logger(clock=clock)
    agent = Agent(log, clock)
    bounds = replace(options.spool, memory_samples=options.queue.queue_samples, memory_bytes=options.queue.queue_bytes)
    spool = agent.spool = open_spool(bounds, convert, log, agent.registry, clock)
    for writer, key in zip(options.writers, _writer_keys(options.writers), strict=True):
        reader = spool.reader(key, Form(ident_mode(writer), "1.0"))
        agent.lanes.append(_lane(writer, reader, options, agent))
    note_forgotten(spool, log)

    def hand_on(scrapes: Mapping[Form, EncodedScrape]) -> None:
        spool.append(scrapes)
        for lane in agent.lanes:
            lane.writer.notice()

    numbers = count(1)

    def forms() -> tuple[Form, ...]:
        return tuple(sorted({lane.reader.form for lane in agent.lanes}))

    def watch_of(target: TargetOptions, finished: Callable[[bool], None]) -> TargetWatch:
        identity = identity_of(target, options)
        return TargetWatch(
            target,
            identity,
            forms,
            lambda: next(numbers) % SOURCES,
            loop=agent.loop,
            log=log,
            counters=Counters(agent.registry),
            precision=options.precision,
            hand_on=hand_on,
            finished=finished,
            printer=SamplePrinter(target, identity, print_line=print_line, dialect=dialect) if print_line else None,
        )

    agent.watches = _watches(options, agent, watch_of)
    agent.heartbeat = _heartbeat(options, agent)
    return agent


def build_printing(
    options: AgentOptions,
    print_line: Callable[[str], None],
    *,
    dialect: Dialect = "v0.2",
    log: Logger | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Agent:
    """Wire an agent that prints what it scrapes and sends nothing (`--test`)."""
    log = log or Logger(clock=clock)
    agent = Agent(log, clock)

    def watch_of(target: TargetOptions, finished: Callable[[bool], None]) -> PrintingWatch:
        return PrintingWatch(
            target,
            identity_of(target, options),
            loop=agent.loop,
            log=log,
            print_line=print_line,
            dialect=dialect,
            finished=finished,
        )

    agent.watches = _watches(options, agent, watch_of)
    return agent


def _watches(
    options: AgentOptions, agent: Agent, watch_of: Callable[[TargetOptions, Callable[[bool], None]], Watch]
) -> list[Watch]:
    """One watch for each target that is listed, then one for each discovery: whatever it finds."""
    watches = [watch_of(target, partial(agent.note_scrape, number)) for number, target in enumerate(options.targets)]
    if options.discoveries:
        from kpwatch.scrape.discovery.watch import DiscoveredWatch, key_of  # noqa: PLC0415 - few agents discover

        claims = {key_of(target) for target in options.targets}
        watches += [
            DiscoveredWatch(
                discovery,
                watch_of,
                loop=agent.loop,
                log=agent.log,
                registry=agent.registry,
                claims=claims,
                finished=partial(agent.note_scrape, number),
                once=lambda: agent.once,
            )
            for number, discovery in enumerate(options.discoveries, start=len(watches))
        ]
    return watches


def _heartbeat(options: AgentOptions, agent: Agent) -> Heartbeat | None:
    if options.heartbeat is None:
        return None
    from kpwatch.heartbeat.sender import Heartbeat  # noqa: PLC0415 - few agents have one

    return Heartbeat(options.heartbeat, agent.loop, agent.log, agent.registry)


def identity_of(target: TargetOptions, options: AgentOptions) -> Identity:
    """What a target's samples are called."""
    hostname = "" if options.omit_hostname else options.hostname
    return Identity(target.url_labels, target.labels, options.global_labels, hostname, target.rules)


def ident_mode(writer: WriterOptions) -> IdentMode:
    """The mode a writer's `ident` option comes down to."""
    if writer.ident != "auto":
        return writer.ident
    path = writer.url.partition("?")[0].rstrip("/")
    return "off" if path.endswith(NIGHTINGALE_WRITE_PATH) else "rename"


def _writer_keys(writers: Sequence[WriterOptions]) -> list[str]:
    """Which writer a cursor belongs to, over restarts; no secret, and another secret is not another writer.

    Writers of one URL are told apart by their order.
    """
    names = [f"{redact_url(writer.url)}#{zlib.crc32(writer.url.encode()):08x}" for writer in writers]
    earlier = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name}#{count + 1}" if count else name for name, count in zip(names, earlier, strict=True)]


class _Lane(NamedTuple):
    """A writer and its way through the spool."""

    reader: Reader
    writer: Writer


def _lane(options: WriterOptions, reader: Reader, agent_options: AgentOptions, agent: Agent) -> _Lane:
    url = redact_url(options.url)
    registry = agent.registry
    registry.gauge("kpwatch_agent_queue_samples", "Samples that wait.", lambda: reader.samples, url=url)
    registry.read_counter(
        "kpwatch_agent_samples_lost_total", "Samples a writer will never get.", lambda: reader.lost, url=url
    )
    writer = Writer(
        options,
        reader,
        agent_options.queue.batch_samples,
        loop=agent.loop,
        log=agent.log,
        registry=registry,
        jitter=random.random,
    )
    return _Lane(reader, writer)


class Watch(Protocol):
    """A target that is scraped until it is stopped."""

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then every interval."""
        ...

    def stop(self) -> None:
        """No scrape any more."""
        ...

    def retire(self) -> None:
        """Stop because the target is gone: its series end."""
        ...


class Agent:
    """Runs until it is stopped, then drains."""

    def __init__(self, log: Logger, clock: Clock) -> None:
        self.registry = Registry()
        self.watches: Sequence[Watch] = []
        self.lanes: list[_Lane] = []
        self.spool: Spool | None = None
        self.heartbeat: Heartbeat | None = None
        self.log = log
        self._errors = self.registry.counter("kpwatch_agent_internal_errors_total", "Bugs: exceptions nobody expected.")
        self.loop = Loop(self._internal_error, clock)
        self._ending = False
        self.once = False
        """Whether every target is scraped a single time."""
        self._scrapes_seen = 0
        self._scrapes_failed = 0

    def run(self) -> None:
        """Scrape and send until `stop`; returns when the writers are drained or DRAIN_SECONDS are over."""
        for index, watch in enumerate(self.watches):
            watch.start(SPREAD_SECONDS * index / len(self.watches))
        for lane in self.lanes:
            lane.writer.notice()  # what an earlier process left behind
        if self.heartbeat is not None:
            self.heartbeat.start()
        self._tick()
        self.loop.run()
        if self.heartbeat is not None:
            self.heartbeat.stop()
        for watch in self.watches:
            watch.stop()
        for lane in self.lanes:
            lane.writer.close()
        if self.spool is not None:
            self.spool.close()
        self.loop.close()

    def run_once(self) -> bool:
        """Scrape every target once, deliver, and say whether all of them answered."""
        self.once = True
        if self.watches:
            self.run()
        return self._scrapes_failed == 0

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self.loop.call_from_thread(self._end)

    def note_scrape(self, number: int, up: bool) -> None:
        """A watch finished a scrape; with `run_once` it is its only one, however long the others take."""
        if self.once:
            self.watches[number].stop()
        self._scrapes_seen += 1
        self._scrapes_failed += not up
        if self.once and self._scrapes_seen == len(self.watches):
            self._end()

    def _tick(self) -> None:
        """Once a second: the spool's housekeeping."""
        if self.spool is not None:
            self.spool.tick()
            self.loop.call_later(1.0, self._tick)

    def _internal_error(self, error: Exception) -> None:
        self._errors.add()
        self.log.error(f"internal error: {type(error).__name__}: {error}; please report it", about=repr(error))

    def _end(self) -> None:
        if self._ending:
            return
        self._ending = True
        for watch in self.watches:
            watch.stop()
        for lane in self.lanes:
            lane.writer.hurry()
        self.loop.call_later(DRAIN_SECONDS, self.loop.stop)
        self._wait_for_writers()

    def _wait_for_writers(self) -> None:
        if all(lane.writer.idle for lane in self.lanes):
            self.loop.stop()
        else:
            self.loop.call_later(0.02, self._wait_for_writers)
