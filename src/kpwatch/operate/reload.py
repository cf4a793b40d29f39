r"""A running agent's configuration: read again when its files change or SIGHUP asks for it.

    look -> changed? -> stood still since the last look? -> load (on a thread) -> still the same files? -> adopt
                                                                        \-> bad: said line by line, the old goes on

A look is a `stat` a file, so the swap of a ConfigMap's `..data` is seen like any other change. A file that is being
written is left alone until it stands still, because half a file may be a whole configuration with half its targets. A
configuration that was refused is not tried again until its files change or somebody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.config.problems import BadConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.config.options import AgentOptions, Loaded
    from kpwatch.config.sight import Sight

STILL_SECONDS = 1.0
"""How long changed files must stand still (or a look's interval, if that is less)."""


class Configuration(NamedTuple):
    """Where an agent's options come from."""

    load: Callable[[], Loaded]
    """Read the files; raises BadConfig."""
    look: Callable[[Loaded], Sight]
    """What the files look like, those named in a configuration included."""
    loaded: Loaded
    """What was read at the start."""


class Reloader:
    """Keeps an agent at its files."""

    def __init__(
        self,
        configuration: Configuration,
        adopt: Callable[[AgentOptions], None],
        *,
        loop: Loop,
        log: Logger,
        registry: Registry,
    ) -> None:
        """`adopt` lets the agent go on with other options; it is called on the loop's thread."""
        self._configuration = configuration
        self._loaded = configuration.loaded
        self._adopt = adopt
        self._loop = loop
        self._log = log
        self._timer: Timer | None = None
        self._tried = configuration.look(self._loaded)
        """What the files looked like when they were last loaded, well or not."""
        self._latest = self._tried
        self._loading = False
        self._asked_again = False
        self._number = 0
        self._reloads = registry.counter("kpwatch_agent_config_reloads_total", "Changed configurations taken up.")
        self._refused = registry.counter(
            "kpwatch_agent_config_reloads_refused_total", "Changed configurations with errors; the old one went on."
        )
        self._successful = registry.gauge(
            "kpwatch_agent_config_last_reload_successful", "1 where the files are what runs, 0 where they are wrong."
        )
        self._taken_at = registry.gauge(
            "kpwatch_agent_config_last_reload_success_timestamp_seconds", "When the configuration that runs was read."
        )
        registry.gauge(
            "kpwatch_agent_config_hash",
            "Of the configuration that runs, without its secrets; equal files have equal ones.",
            lambda: self._loaded.hash,
        )
        self._note_success()

    @property
    def problem(self) -> str:
        """Why the files are not what runs, or ""."""
        return "" if self._successful.value else "the configuration in the files has errors; an older one runs"

    def start(self) -> None:
        """Look every so often."""
        self._schedule(self._interval_seconds)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def reload(self, why: str) -> None:
        """Read the files now; on the loop's thread."""
        if self._loading:
            self._asked_again = True
            return
        self._loading = True
        self._number += 1
        self._log.info(f"reading the configuration again: {why}", about=f"reload {self._number}")
        self._tried = self._configuration.look(self._loaded)
        import threading  # noqa: PLC0415 - most agents never come here

        threading.Thread(target=self._load, name="reload", daemon=True).start()

    @property
    def _interval_seconds(self) -> float:
        return self._loaded.options.reload_seconds

    def _schedule(self, seconds: float) -> None:
        self.stop()
        if self._interval_seconds > 0:
            self._timer = self._loop.call_later(seconds, self._look, patience_seconds=seconds / 2)

    def _look_soon(self) -> None:
        self.stop()
        seconds = min(STILL_SECONDS, self._interval_seconds) or STILL_SECONDS
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        before, self._latest = self._latest, self._configuration.look(self._loaded)
        self._schedule(self._interval_seconds)
        if self._latest == self._tried or self._loading:
            return
        if self._latest == before:
            self.reload("its files have changed")
        else:
            self._look_soon()

    def _load(self) -> None:
        """On a thread of its own: a host name that is looked up for `$ip` may take its time."""
        try:
            outcome: Loaded | Exception = self._configuration.load()
        except Exception as error:  # noqa: BLE001 - said by `_refuse`, whatever it is
            outcome = error
        self._loop.call_from_thread(lambda: self._finish(outcome))

    def _finish(self, outcome: Loaded | Exception) -> None:
        self._loading = False
        again, self._asked_again = self._asked_again, False
        if self._configuration.look(self._loaded) != self._tried:
            self._latest = self._tried = ()  # they changed while they were read: nobody knows what that was
            self._log.info("the configuration's files are changing; reading them once they stand still")
            self._look_soon()
        elif isinstance(outcome, Exception):
            self._refuse(outcome)
        else:
            self._take_up(outcome)
        if again:
            self.reload("asked again")

    def _refuse(self, error: Exception) -> None:
        self._refused.add()
        self._successful.set(0)
        if isinstance(error, BadConfig):
            problems = [str(problem) for problem in error.problems]
        else:
            problems = [str(error) if isinstance(error, ConfigError) else repr(error)]
        for index, problem in enumerate(problems):
            self._log.error(f"failed to reload config: {problem}", about=f"reload {self._number} {index}: {problem}")
        self._log.error(
            f"the new configuration is refused ({len(problems)} errors); the old one goes on",
            about=f"refused {self._number}",
        )

    def _take_up(self, loaded: Loaded) -> None:
        self._log.conceal(loaded.secrets)
        try:
            self._adopt(loaded.options)
        except ConfigError as error:  # what only trying could tell
            self._refuse(error)
            return
        before, self._loaded = self._loaded.options, loaded
        for warning in loaded.warnings:
            self._log.warning(str(warning))
        for sentence in needs_restart(before, loaded.options):
            self._log.warning(sentence)
        self._tried = self._latest = self._configuration.look(loaded)  # it may name other files
        self._reloads.add()
        self._note_success()
        self._schedule(self._interval_seconds)
        self._log.info(
            f"the new configuration runs: {len(loaded.options.targets)} targets listed, "
            f"{len(loaded.options.discoveries)} discoveries, {len(loaded.options.writers)} writers",
            about=f"taken up {self._number}",
        )

    def _note_success(self) -> None:
        self._successful.set(1)
        self._taken_at.set(self._loop.clock.unix_seconds())


def needs_restart(before: AgentOptions, after: AgentOptions) -> list[str]:
    """What of a new configuration a running agent cannot take up, in sentences."""
    if before.spool.directory == after.spool.directory:
        return []
    places = f"{before.spool.directory} until the agent is restarted, then in {after.spool.directory}"
    return [f"[kpwatch] spool_dir: samples wait in {places}"]
