"""The writers of an agent and their ways through the spool: a lane each, which may come, change and go.

A lane is its writer's URL. A writer that is configured otherwise goes on from its cursor, one that is gone takes its
cursor along: what waited for it is counted and said. A new one gets what is scraped from then on.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from kpwatch.base.http import redact_url
from kpwatch.base.named import NamedTuple
from kpwatch.model.encoded import Form
from kpwatch.send.protocol import first_version
from kpwatch.send.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.encoded import IdentMode
    from kpwatch.send.options import QueueOptions, WriterOptions
    from kpwatch.spool.log import Reader, Spool


class LaneState(NamedTuple):
    """How a writer is."""

    url: str
    """As it may be shown."""
    waiting_samples: int
    lag_seconds: float
    """Age of the oldest scrape that waits; 0 where none does."""
    problem: str
    """What the receiver said last, where it did not take what it was sent."""


class Lane(NamedTuple):
    """A writer and its way through the spool."""

    reader: Reader
    writer: Writer


class Lanes:
    """All writers of one agent."""

    def __init__(
        self, spool: Spool, *, loop: Loop, log: Logger, registry: Registry, company: Callable[[], bool] = lambda: True
    ) -> None:
        """`company` says whether other scrapes are expected to end about now."""
        self._spool = spool
        self._company = company
        self._loop = loop
        self._log = log
        self._registry = registry
        self._lanes: dict[str, Lane] = {}
        registry.gauge(
            "kpwatch_agent_spool_oldest_seconds",
            "Age of the oldest scrape that waits for any writer.",
            lambda: max((self._lag_seconds(lane.reader) for lane in self), default=0.0),
        )
        self._let_go = registry.counter(
            "kpwatch_agent_samples_let_go_total", "Samples that waited for a writer when it was taken out."
        )

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def adopt(self, writers: Sequence[WriterOptions], queue: QueueOptions) -> None:
        """Deliver to these writers from now on."""
        wanted = dict(zip(writer_keys(writers), writers, strict=True))
        for key in [key for key in self._lanes if key not in wanted]:
            self._remove(key)
        for key, options in wanted.items():
            ident = ident_mode(options)
            if key in self._lanes:
                reader, writer = self._lanes[key]
                reader.form = reader.form._replace(ident=ident)
                writer.change(options, queue.batch_samples)
            else:
                reader = self._spool.reader(key, Form(ident, first_version(options.protocol)))
                self._lanes[key] = self._lane(options, reader, queue.batch_samples)

    def states(self) -> list[LaneState]:
        """How each writer is."""
        return [
            LaneState(redact_url(writer.options.url), reader.samples, self._lag_seconds(reader), writer.problem)
            for reader, writer in self
        ]

    def _lag_seconds(self, reader: Reader) -> float:
        """Age of the oldest scrape that waits; 0 where none does."""
        oldest_ms = reader.oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, self._loop.clock.unix_seconds() - oldest_ms / 1000)

    def forms(self) -> tuple[Form, ...]:
        """How the writers want scrapes written down."""
        return tuple(sorted({lane.reader.form for lane in self}))

    def notice(self) -> None:
        """Something was added to the spool."""
        for lane in self:
            lane.writer.notice()

    def hurry(self) -> None:
        """Try now what waits: the agent is about to end."""
        for lane in self:
            lane.writer.hurry()

    @property
    def idle(self) -> bool:
        """Whether everything is delivered or given up."""
        return all(lane.writer.idle for lane in self)

    def close(self) -> None:
        """No request any more."""
        for lane in self:
            lane.writer.close()

    def _lane(self, options: WriterOptions, reader: Reader, batch_samples: int) -> Lane:
        url, registry = redact_url(options.url), self._registry
        registry.gauge("kpwatch_agent_queue_samples", "Samples that wait.", lambda: reader.samples, url=url)
        registry.gauge(
            "kpwatch_agent_writer_lag_seconds",
            "Age of the oldest scrape that waits; 0 where none does.",
            lambda: self._lag_seconds(reader),
            url=url,
        )
        registry.read_counter(
            "kpwatch_agent_samples_lost_total", "Samples a writer will never get.", lambda: reader.lost, url=url
        )
        writer = Writer(
            options,
            reader,
            batch_samples,
            loop=self._loop,
            log=self._log,
            registry=registry,
            jitter=_jitter,
            company=self._company,
        )
        return Lane(reader, writer)

    def _remove(self, key: str) -> None:
        lane = self._lanes.pop(key)
        lane.writer.let_go()
        waited = self._spool.forget(key)
        self._let_go.add(waited)
        url = redact_url(lane.writer.options.url)
        if not any(redact_url(other.writer.options.url) == url for other in self):
            self._registry.forget(url=url)
        say = self._log.warning if waited else self._log.info
        say(f"writer {url} is no longer configured; {waited} samples that waited for it are let go")


def ident_mode(writer: WriterOptions) -> IdentMode:
    """The mode a writer's `ident` option comes down to."""
    if writer.ident != "auto":
        return writer.ident
    return "off" if writer.has_nightingales_path else "rename"


def writer_keys(writers: Sequence[WriterOptions]) -> list[str]:
    """Which writer a cursor belongs to, over restarts; no secret, and another secret is not another writer.

    Writers of one URL are told apart by their order.
    """
    names = [f"{redact_url(writer.url)}#{zlib.crc32(writer.url.encode()):08x}" for writer in writers]
    earlier = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name}#{count + 1}" if count else name for name, count in zip(names, earlier, strict=True)]


def _jitter() -> float:
    """Evenly between 0 and 1; `random` would be a tenth of a megabyte for some pauses."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)
