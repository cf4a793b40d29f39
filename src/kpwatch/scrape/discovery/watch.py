"""The targets of one discovery as one watch: they start when they are found and end when they are gone.

To the agent this is a watch like any other: started, stopped, and finished once all targets that the first answer named
were scraped once. A target that two of an agent's discoveries find is scraped by the first, because two scrapes would
write the same series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol

from kpwatch.base.errors import ConfigError
from kpwatch.base.pairing import pair
from kpwatch.base.urls import redacted
from kpwatch.scrape.discovery.options import ConsulOptions, KubernetesOptions
from kpwatch.scrape.lifecycle import SPREAD_SECONDS, OneWatch
from kpwatch.scrape.likeness import LIKENESSES, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.scrape.discovery.options import DiscoveryOptions
    from kpwatch.scrape.discovery.target_files import Found
    from kpwatch.scrape.likeness import TargetKey
    from kpwatch.scrape.options import TargetOptions


class Maker(Protocol[OneWatch]):
    """Makes watches, and changes them."""

    def make(self, target: TargetOptions, finished: Callable[[bool], None]) -> OneWatch:
        """A watch of `target`; `finished` is told after each scrape whether it was up."""
        ...

    def change(self, watch: OneWatch, target: TargetOptions) -> None:
        """Let a watch go on with `target`, the same in another way."""
        ...


class Discovery(Protocol):
    """Finds targets."""

    def start(self) -> None:
        """Look now, and again every so often."""
        ...

    def stop(self) -> None:
        """Look no more."""
        ...


class DiscoveredWatch(Generic[OneWatch]):
    """All targets of one discovery."""

    def __init__(
        self,
        options: DiscoveryOptions,
        maker: Maker[OneWatch],
        *,
        loop: Loop,
        log: Logger,
        registry: Registry,
        claims: set[TargetKey],
        finished: Callable[[bool], None],
        once: Callable[[], bool] = lambda: False,
    ) -> None:
        """`claims` are the keys of all targets of the agent, shared by its discoveries. `finished` is told once. `once`
        says whether each target is scraped a single time.
        """
        self._loop = loop
        self._timer: Timer | None = None
        self._maker = maker
        self._log = log
        self._registry = registry
        self._claims = claims
        self._finished = finished
        self._once = once
        self._watches: dict[TargetOptions, OneWatch] = {}
        self._unscraped: set[TargetOptions] | None = None
        """Targets of the first answer that were not scraped yet; None before there is an answer."""
        self._all_up = True
        self._found_latest: list[Found] | None = None
        kind = self._look_by(options)
        self._failures = registry.counter(
            "kpwatch_agent_discovery_failures_total", "Lists, answers and targets that cannot be used.", kind=kind
        )

    def _look_by(self, options: DiscoveryOptions) -> str:
        """Make what finds targets by `options`; gives its kind."""
        self.options = options
        self._discovery = self._make(options)
        kind, source = _names(options)
        self._registry.gauge(
            "kpwatch_agent_targets_discovered", "Targets found.", lambda: len(self._watches), kind=kind, source=source
        )
        return kind

    def _make(self, options: DiscoveryOptions) -> Discovery:
        """Imported when asked for: who lists its targets pays for none of them."""
        if isinstance(options, ConsulOptions):
            from kpwatch.scrape.discovery.consul import ConsulDiscovery  # noqa: PLC0415 - see above

            return ConsulDiscovery(options, self._loop, found=self._found, failed=self._failed)
        if isinstance(options, KubernetesOptions):
            from kpwatch.scrape.discovery.kubernetes import KubernetesDiscovery  # noqa: PLC0415 - see above

            return KubernetesDiscovery(
                options, self._loop, self._log, self._registry, found=self._found, failed=self._failed
            )
        from kpwatch.scrape.discovery.files import FileDiscovery  # noqa: PLC0415 - see above

        return FileDiscovery(options, self._loop, self._log, found=self._found, failed=self._failed)

    @property
    def watches(self) -> Mapping[TargetOptions, OneWatch]:
        """What is scraped now."""
        return self._watches

    def change(self, options: DiscoveryOptions) -> None:
        """Find targets by other options of the same kind; those there are go on until the first answer."""
        if options == self.options:
            return
        self._end_discovery()
        kind, source = _names(self.options)
        self._registry.forget(kind=kind, source=source)
        self._found_latest = None
        self._look_by(options)
        self._discovery.start()

    def reconsider(self) -> None:
        """Who else claims targets, or how all are watched, has changed: hold what was found last against it."""
        for target, watch in self._watches.items():
            self._maker.change(watch, target)
        if self._found_latest is not None:
            self._adopt(self._targets(self._found_latest))

    def give_up(self, key: TargetKey) -> None:
        """Somebody else scrapes this target from now on."""
        for target in [target for target in self._watches if key_of(target) == key]:
            self._watches.pop(target).retire()
            self._scraped(target, up=True)

    def start(self, delay_seconds: float = 0.0) -> None:
        """Look for targets in `delay_seconds`."""
        self._timer = self._loop.call_later(delay_seconds, self._discovery.start)

    def stop(self) -> None:
        """No scrape any more, and no target."""
        self._end_discovery()
        for watch in self._watches.values():
            watch.stop()

    def retire(self) -> None:
        """Stop because the instance is gone: the series of all its targets end."""
        self._end_discovery()
        self._found([])
        kind, source = _names(self.options)
        self._registry.forget(kind=kind, source=source)

    def _end_discovery(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._discovery.stop()

    def _found(self, found: list[Found] | None) -> None:
        """Take in what there is now; None: nobody knows, so all stays as it is."""
        if found is not None:
            self._found_latest = found
            self._adopt(self._targets(found))
        if self._unscraped is None:
            self._unscraped = set(self._watches)
            self._settle()

    def _targets(self, found: list[Found]) -> list[TargetOptions]:
        """The targets of a list, without what cannot be one and what another scrapes already."""
        own = {key_of(target): target for target in self._watches}
        targets: dict[TargetKey, TargetOptions] = {}
        for url, labels in found:
            try:
                target = self.options.instance.target(url, labels)
            except ConfigError as error:
                self._failed(f"target left out: {error}")
                continue
            key = key_of(target)
            if len(targets) >= self.options.target_limit and key not in targets:
                self._failed(f"{len(found)} targets, the limit is {self.options.target_limit}: the others are left out")
                break
            if key in self._claims and key not in own:
                self._log.warning(f"target {redacted(target.url)} is scraped already by another instance")
                continue
            targets.setdefault(key, target)
        return list(targets.values())

    def _adopt(self, targets: list[TargetOptions]) -> None:
        before = list(self._watches)
        self._claims.difference_update(map(key_of, before))
        partners = pair(before, targets, LIKENESSES)
        gone = [target for index, target in enumerate(before) if index not in partners]
        for target in gone:
            self._watches.pop(target).retire()
            self._scraped(target, up=True)  # whoever is gone is no failure
        for target, partner in zip(targets, partners, strict=True):
            if partner is not None and before[partner] != target:
                self._go_on(before[partner], target)
        new = [target for target, partner in zip(targets, partners, strict=True) if partner is None]
        for index, target in enumerate(new):
            watch = self._watches[target] = self._maker.make(target, self._teller(target))
            watch.start(SPREAD_SECONDS * index / len(new))
        self._claims.update(map(key_of, self._watches))
        if new or gone:
            self._log.info(f"{_names(self.options)[1]}: {len(new)} targets appeared, {len(gone)} are gone")

    def _go_on(self, before: TargetOptions, target: TargetOptions) -> None:
        """The same target in another way."""
        self._scraped(before, up=True)
        watch = self._watches[target] = self._watches.pop(before)
        self._maker.change(watch, target)

    def _teller(self, target: TargetOptions) -> Callable[[bool], None]:
        return lambda up: self._scraped(target, up=up)

    def _scraped(self, target: TargetOptions, *, up: bool) -> None:
        if self._unscraped and target in self._unscraped:
            self._all_up = self._all_up and up
            self._unscraped.discard(target)
            if self._once() and target in self._watches:
                self._watches[target].stop()
            self._settle()

    def _settle(self) -> None:
        if not self._unscraped:
            self._finished(self._all_up)

    def _failed(self, reason: str) -> None:
        self._failures.add()
        self._log.error(reason)
        if self._unscraped is None:
            self._all_up = False


def _names(options: DiscoveryOptions) -> tuple[str, str]:
    """(kind, source) for labels and log lines."""
    if isinstance(options, ConsulOptions):
        return "consul", f"consul {redacted(options.agent_url)}"
    if isinstance(options, KubernetesOptions):
        return "kubernetes", f"kubernetes {redacted(options.api_url)} {options.role}s"
    return "file", f"file_sd {' '.join(options.patterns)}"


SAME_DISCOVERY: tuple[Callable[[DiscoveryOptions], Hashable], ...] = (
    lambda options: options,
    _names,
    lambda options: _names(options)[0],
)
"""What two discoveries have in common if one goes on from the other (`base.pairing`)."""
