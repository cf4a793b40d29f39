"""The agent: the left half of the map.

    targets -> watch (fetch, read, name, encode) -> spool -> a reader per writer -> writer ~~HTTP~~>

`build` wires the rooms and nothing else, `build_printing` the same with a printer in the place of the writers; one
loop on one thread runs everything. Several agents may share a process (`kpwatch up --demo`): each has its own loop,
registry and name. `Agent.adopt` goes on with other options: what they leave as it was is not touched (`operate`).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import ConfigError
from kpwatch.base.logs import Logger
from kpwatch.base.loop import Loop
from kpwatch.base.telemetry import Registry
from kpwatch.exposition.delta import Skeletons
from kpwatch.model.encoded import SOURCES
from kpwatch.operate.lanes import Lanes
from kpwatch.operate.self_metrics import SelfMetrics
from kpwatch.operate.status import Status
from kpwatch.operate.watches import Watches
from kpwatch.relabel.identity import Identity
from kpwatch.scrape.watch import Counters, TargetWatch, Way
from kpwatch.spool.convert import convert
from kpwatch.spool.opening import note_forgotten, open_spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.base.clock import Clock
    from kpwatch.config.options import AgentOptions
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.heartbeat.sender import Heartbeat
    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.operate.endpoint import Endpoint
    from kpwatch.scrape.lifecycle import OneWatch
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.printer import SamplePrinter
    from kpwatch.scrape.printing import PrintingWatch
    from kpwatch.spool.log import Spool
    from kpwatch.spool.options import SpoolOptions

TICK_SECONDS = 1.0
TICK_PATIENCE_SECONDS = 0.5
"""Of the spool's housekeeping, `fdatasync` above all: a machine that stops costs what came in so much time."""


def build(
    options: AgentOptions,
    *,
    print_line: Callable[[str], None] | None = None,
    dialect: Dialect = "v0.2",
    log: Logger | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Agent:
    """Wire one agent; `print_line` shows what it sends (-debug).

    Raises ConfigError for a URL that cannot be one and for an endpoint that cannot be opened.
    """
    log = log or Logger(clock=clock)
    agent = Agent(options, log, clock)
    spool = agent.spool = open_spool(_bounds(options), convert, log, agent.registry, clock)

    def company() -> bool:
        """Whether a scrape that is over has others beside it; that of an only target whose pages answered has not."""
        return len(watches) != 1 or any(watch.busy for watch in watches)

    lanes = agent.lanes = Lanes(spool, loop=agent.loop, log=log, registry=agent.registry, company=company)
    lanes.adopt(options.writers, options.queue)
    note_forgotten(spool, log)

    def hand_on(scrapes: Mapping[Form, EncodedScrape]) -> None:
        spool.append(scrapes)
        agent.look_after_spool()
        lanes.notice()

    numbers, skeletons = count(1), Skeletons()
    agent.self_metrics = SelfMetrics(agent.registry, lanes.forms, next(numbers), hand_on, agent.loop)

    def make_printer(target: TargetOptions, identity: Identity) -> SamplePrinter | None:
        if print_line is None:
            return None
        from kpwatch.scrape.printer import SamplePrinter  # noqa: PLC0415 - for -debug

        return SamplePrinter(target, identity, print_line=print_line, dialect=dialect)

    def make_watch(target: TargetOptions, now: AgentOptions, finished: Callable[[bool], None]) -> TargetWatch:
        return TargetWatch(
            way_of(target, now),
            lanes.forms,
            lambda: next(numbers) % SOURCES,
            loop=agent.loop,
            log=log,
            counters=Counters(agent.registry),
            skeletons=skeletons,
            hand_on=hand_on,
            finished=finished,
            make_printer=make_printer,
        )

    def change_watch(watch: TargetWatch, target: TargetOptions, now: AgentOptions) -> None:
        watch.change(way_of(target, now))

    watches = agent.watches = _watches(agent, make_watch, change_watch)
    agent.status = Status(watches, lanes, spool, agent.registry)
    try:
        agent.serve(options)
    except ConfigError:
        agent.close()
        raise
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
    from kpwatch.scrape.printing import PrintingWatch  # noqa: PLC0415 - for who looks, not for who runs

    log = log or Logger(clock=clock)
    agent = Agent(options, log, clock)

    def make_watch(target: TargetOptions, now: AgentOptions, finished: Callable[[bool], None]) -> PrintingWatch:
        return PrintingWatch(
            target,
            identity_of(target, now),
            loop=agent.loop,
            log=log,
            print_line=print_line,
            dialect=dialect,
            finished=finished,
        )

    def change_watch(watch: PrintingWatch, target: TargetOptions, now: AgentOptions) -> None:
        watch.change(target, identity_of(target, now))

    agent.watches = _watches(agent, make_watch, change_watch)
    return agent


def _watches(
    agent: Agent,
    make_watch: Callable[[TargetOptions, AgentOptions, Callable[[bool], None]], OneWatch],
    change_watch: Callable[[OneWatch, TargetOptions, AgentOptions], None],
) -> Watches[OneWatch]:
    return Watches(
        agent.options,
        make_watch,
        change_watch,
        loop=agent.loop,
        log=agent.log,
        registry=agent.registry,
        once=lambda: agent.once,
        all_done=agent.end,
    )


def identity_of(target: TargetOptions, options: AgentOptions) -> Identity:
    """What a target's samples are called."""
    hostname = "" if options.omit_hostname else options.hostname
    return Identity(target.url_labels, target.labels, options.global_labels, hostname, target.rules)


def way_of(target: TargetOptions, options: AgentOptions) -> Way:
    """How a target is watched."""
    return Way(target, identity_of(target, options), options.precision)


def _bounds(options: AgentOptions) -> SpoolOptions:
    queue = options.queue
    return options.spool._replace(memory_samples=queue.queue_samples, memory_bytes=queue.queue_bytes)


class Agent:
    """Runs until it is stopped, then drains."""

    def __init__(self, options: AgentOptions, log: Logger, clock: Clock) -> None:
        self.options = options
        self.registry = Registry()
        self.watches: Watches[TargetWatch] | Watches[PrintingWatch] | None = None
        self.lanes: Lanes | None = None
        """None where nothing is sent; then so are the next three."""
        self.status: Status | None = None
        self.self_metrics: SelfMetrics | None = None
        self.endpoint: Endpoint | None = None
        """None also where nobody asked for one yet."""
        self.spool: Spool | None = None
        self.log = log
        self._errors = self.registry.counter("kpwatch_agent_internal_errors_total", "Bugs: exceptions nobody expected.")
        self.loop = Loop(self._internal_error, clock)
        self._heartbeat: Heartbeat | None = None
        self._ending = False
        self._disk_problem = ""
        self._ticks = False
        """Whether the spool's housekeeping is to come."""
        self.once = False
        """Whether every target is scraped a single time."""

    def adopt(self, options: AgentOptions) -> None:
        """Go on with these options; on the loop's thread. Where the spool lies does not change.

        Raises ConfigError where the endpoint cannot be opened; then everything goes on as it was.
        """
        if self._ending:
            return
        self.serve(options)  # first: it may fail, and then nothing has changed
        before, self.options = self.options, options
        if self.lanes is not None and self.spool is not None:
            self.spool.change_bounds(_bounds(options))
            self.lanes.adopt(options.writers, options.queue)
        if self.watches is not None:
            self.watches.adopt(options)
        if before.heartbeat != options.heartbeat:
            self._beat()
        if self.self_metrics is not None:
            self.self_metrics.adopt(options)

    def serve(self, options: AgentOptions) -> None:
        """Answer about itself where these options say; raises ConfigError where that cannot be."""
        if self.status is None:
            return
        if self.endpoint is None and options.endpoint is not None:
            from kpwatch.operate.endpoint import Endpoint  # noqa: PLC0415 - not every agent has one

            self.endpoint = Endpoint(self.status, loop=self.loop, log=self.log, registry=self.registry)
        if self.endpoint is not None:
            self.endpoint.adopt(options.endpoint)
        self.status.max_lag_seconds = options.ready_max_lag_seconds

    def run(self) -> None:
        """Scrape and send until `stop`; returns when the writers are drained or `drain_seconds` are over."""
        if self.watches is not None:
            self.watches.start()
        if self.lanes is not None:
            self.lanes.notice()  # what an earlier process left behind
        self._beat()
        if self.self_metrics is not None:
            self.self_metrics.adopt(self.options)
        self._tick()
        self.loop.run()
        if self.endpoint is not None:
            self.endpoint.close()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self.watches is not None:
            self.watches.stop()
        self.close()

    def close(self) -> None:
        """Give free what is held: connections, the spool's directory."""
        if self.lanes is not None:
            self.lanes.close()
        if self.spool is not None:
            self.spool.close()
        self.loop.close()

    def run_once(self) -> bool:
        """Scrape every target once, deliver, and say whether all of them answered."""
        self.once = True
        self.run()
        return self.watches is None or self.watches.scrapes_failed == 0

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self.loop.call_from_thread(self.end)

    def end(self) -> None:
        """Scrape no more and drain; on the loop's thread."""
        if self._ending:
            return
        self._ending = True
        if self.watches is not None:
            if self.options.stale_at_shutdown:
                self.watches.retire()
            else:
                self.watches.stop()
        if self.self_metrics is not None:
            self.self_metrics.stop()
            if self.options.stale_at_shutdown:
                self.self_metrics.retire()
        if self.lanes is not None:
            self.lanes.hurry()
        self.loop.call_later(self.options.drain_seconds, self.loop.stop)
        self._wait_for_writers()

    def _wait_for_writers(self) -> None:
        if self.lanes is None or self.lanes.idle:
            self.loop.stop()
        else:
            self.loop.call_later(0.02, self._wait_for_writers)

    def _beat(self) -> None:
        """The heartbeat as it is configured now, where anything is sent."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        if self.options.heartbeat is not None and self.lanes is not None:
            from kpwatch.heartbeat.sender import Heartbeat  # noqa: PLC0415 - few agents have one

            self._heartbeat = Heartbeat(self.options.heartbeat, self.loop, self.log, self.registry)
            self._heartbeat.start()

    def look_after_spool(self) -> None:
        """Do its housekeeping in a second, and once a second until nothing is left to do."""
        if not self._ticks and self.spool is not None:
            self._ticks = True
            self.loop.call_later(TICK_SECONDS, self._tick, patience_seconds=TICK_PATIENCE_SECONDS)

    def _tick(self) -> None:
        if self.spool is not None:
            self._ticks = False
            self.spool.tick()
            self._say_how_the_disk_is(self.spool)
            if self.spool.restless:
                self.look_after_spool()

    def _say_how_the_disk_is(self, spool: Spool) -> None:
        """Once when it refuses what is written, once when it takes it again."""
        before, self._disk_problem = self._disk_problem, spool.problem
        place = f"spool {self.options.spool.directory}"
        if spool.problem and not before:
            self.log.warning(f"{place}: {spool.problem}; what waits is kept in memory until the disk takes it again")
        elif before and not spool.problem:
            self.log.info(f"{place}: the disk takes what waits again")

    def _internal_error(self, error: Exception) -> None:
        self._errors.add()
        self.log.error(f"internal error: {type(error).__name__}: {error}; please report it", about=repr(error))
