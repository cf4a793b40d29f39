"""What there is to say of a running agent, gathered for whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.base.process import show_process
from kpwatch.operate.reports import reasons_not_ready, targets_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.telemetry import Registry
    from kpwatch.operate.lanes import Lanes
    from kpwatch.operate.watches import Watches
    from kpwatch.scrape.watch import TargetWatch
    from kpwatch.spool.log import Spool


class Status:
    """Looks at the parts of one agent."""

    def __init__(self, watches: Watches[TargetWatch], lanes: Lanes, spool: Spool, registry: Registry) -> None:
        self._watches = watches
        self._lanes = lanes
        self._spool = spool
        self._registry = registry
        self._first_round_over = False
        self.problems: list[Callable[[], str]] = [self._spool_problem]
        """What somebody should mend while the agent works; "" where there is nothing."""
        registry.gauge("kpwatch_agent_info", "The agent's version: 1.", version=__version__).set(1)
        registry.gauge("kpwatch_agent_targets", "Targets that are scraped.", lambda: len(watches))
        registry.gauge(
            "kpwatch_agent_targets_up",
            "Targets whose latest scrape gave samples.",
            lambda: sum(watch.latest is not None and watch.latest.error is None for watch in watches),
        )
        registry.gauge("kpwatch_agent_ready", "1 where /readyz says yes.", lambda: float(not self.reasons()))
        show_process(registry)
        self.max_lag_seconds = 0.0
        """A writer that lags further behind makes the agent not ready; 0: none does."""

    def reasons(self) -> list[str]:
        """Why the agent is not ready; empty where it is. Its first round of scrapes counts once."""
        unscraped = 0 if self._first_round_over else sum(watch.latest is None for watch in self._watches)
        self._first_round_over = self._first_round_over or unscraped == 0
        return reasons_not_ready(unscraped, len(self._watches), self._lanes.states(), self.max_lag_seconds)

    def readiness(self) -> dict[str, Any]:
        """The document of /readyz."""
        reasons = self.reasons()
        warnings = [said for problem in self.problems if (said := problem())]
        return {"ready": not reasons, "reasons": reasons, "warnings": warnings}

    def targets(self) -> dict[str, Any]:
        """The document of /targets."""
        return targets_document(self._watches)

    def metrics(self) -> str:
        """The document of /metrics."""
        return self._registry.render()

    def _spool_problem(self) -> str:
        if self._spool.on_disk:
            return ""
        return f"what waits is only in memory{f': {self._spool.problem}' if self._spool.problem else ''}"
