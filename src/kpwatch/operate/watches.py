"""The targets of an agent, listed and discovered, as watches that come, change and go.

A target that is in the new configuration as it was in the old is not touched: its timer, connection and series go on.
One that is there in another way is changed in place, between two scrapes; one that is gone gets staleness markers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from kpwatch.base.pairing import pair
from kpwatch.scrape.lifecycle import SPREAD_SECONDS, OneWatch, Watch
from kpwatch.scrape.likeness import LIKENESSES, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.base.telemetry import Registry
    from kpwatch.config.options import AgentOptions
    from kpwatch.scrape.discovery.options import DiscoveryOptions
    from kpwatch.scrape.discovery.watch import DiscoveredWatch
    from kpwatch.scrape.likeness import TargetKey
    from kpwatch.scrape.options import TargetOptions

AnyWatch = TypeVar("AnyWatch", bound=Watch)


class Watches(Generic[OneWatch]):
    """All watches of one agent."""

    def __init__(
        self,
        options: AgentOptions,
        make_watch: Callable[[TargetOptions, AgentOptions, Callable[[bool], None]], OneWatch],
        change_watch: Callable[[OneWatch, TargetOptions, AgentOptions], None],
        *,
        loop: Loop,
        log: Logger,
        registry: Registry,
        once: Callable[[], bool],
        all_done: Callable[[], None],
    ) -> None:
        """`make_watch` gets whom to tell after each scrape whether the target was up.

        `once` says whether each target is scraped a single time; `all_done` is told when each was.
        """
        self._options = options
        self._make_watch = make_watch
        self._change_watch = change_watch
        self._loop = loop
        self._log = log
        self._registry = registry
        self._once = once
        self._all_done = all_done
        self._running = False
        self._listed: dict[TargetOptions, OneWatch] = {}
        self._discovered: list[DiscoveredWatch[OneWatch]] = []
        self._claims: set[TargetKey] = set()
        self._scrapes_seen = 0
        self.scrapes_failed = 0
        self.adopt(options)

    def start(self) -> None:
        """First scrapes of all, spread."""
        self._running = True
        watches = self._all()
        for index, watch in enumerate(watches):
            watch.start(SPREAD_SECONDS * index / len(watches))
        if not watches:
            self._loop.call_later(0.0, self._settle)

    def stop(self) -> None:
        """No scrape any more."""
        for watch in self._all():
            watch.stop()

    def retire(self) -> None:
        """No scrape any more, and all series end."""
        for watch in self._all():
            watch.retire()

    def _all(self) -> list[Watch]:
        return [*self._listed.values(), *self._discovered]

    def __iter__(self) -> Iterator[OneWatch]:
        """Every target there is now."""
        yield from self._listed.values()
        for discovered in self._discovered:
            yield from discovered.watches.values()

    def __len__(self) -> int:
        return len(self._listed) + sum(len(discovered.watches) for discovered in self._discovered)

    def adopt(self, options: AgentOptions) -> None:
        """Watch the targets of these options from now on."""
        self._options = options
        self._adopt_discoveries(options.discoveries)
        self._adopt_listed(options.targets)
        for discovered in self._discovered:
            discovered.reconsider()

    def make(self, target: TargetOptions, finished: Callable[[bool], None]) -> OneWatch:
        """For a discovery: a watch of what it found."""
        return self._make_watch(target, self._options, finished)

    def change(self, watch: OneWatch, target: TargetOptions) -> None:
        """Let a watch go on with `target`, the same in another way; nothing happens where it is the same way."""
        self._change_watch(watch, target, self._options)

    def _adopt_listed(self, targets: tuple[TargetOptions, ...]) -> None:
        before = list(self._listed)
        partners = pair(before, targets, LIKENESSES)
        for index, target in enumerate(before):
            if index not in partners:
                self._listed[target].retire()
        self._claims.difference_update(map(key_of, before))
        for key in {key_of(target) for target in targets} & self._claims:
            for discovered in self._discovered:
                discovered.give_up(key)
        old, self._listed, new = self._listed, {}, []
        for target, partner in zip(targets, partners, strict=True):
            if partner is None:
                new.append(target)
                self._listed[target] = self._new(partial(self.make, target))
            else:
                self._listed[target] = old[before[partner]]
                self.change(self._listed[target], target)
        self._claims.update(map(key_of, targets))
        if self._running:
            for index, target in enumerate(new):
                self._listed[target].start(SPREAD_SECONDS * index / len(new))

    def _adopt_discoveries(self, wanted: tuple[DiscoveryOptions, ...]) -> None:
        if not (wanted or self._discovered):
            return
        from kpwatch.scrape.discovery.watch import SAME_DISCOVERY  # noqa: PLC0415 - few agents discover

        before = self._discovered
        partners = pair([discovered.options for discovered in before], wanted, SAME_DISCOVERY)
        for index, discovered in enumerate(before):
            if index not in partners:
                discovered.retire()
        self._discovered = []
        for options, partner in zip(wanted, partners, strict=True):
            if partner is not None:
                before[partner].change(options)
                self._discovered.append(before[partner])
                continue
            self._discovered.append(self._discoverer(options))
            if self._running:
                self._discovered[-1].start()

    def _discoverer(self, options: DiscoveryOptions) -> DiscoveredWatch[OneWatch]:
        from kpwatch.scrape.discovery.watch import DiscoveredWatch  # noqa: PLC0415 - few agents discover

        return self._new(
            lambda finished: DiscoveredWatch(
                options,
                self,
                loop=self._loop,
                log=self._log,
                registry=self._registry,
                claims=self._claims,
                finished=finished,
                once=self._once,
            )
        )

    def _new(self, make: Callable[[Callable[[bool], None]], AnyWatch]) -> AnyWatch:
        """A watch that tells of its scrapes."""
        made: list[AnyWatch] = []
        made.append(make(lambda up: self._scraped(made[0], up=up)))
        return made[0]

    def _scraped(self, watch: Watch, *, up: bool) -> None:
        """A watch finished a scrape; with `once` it is its only one, however long the others take."""
        if not self._once():
            return
        watch.stop()
        self._scrapes_seen += 1
        self.scrapes_failed += not up
        self._settle()

    def _settle(self) -> None:
        if self._once() and self._scrapes_seen == len(self._listed) + len(self._discovered):
            self._all_done()
