"""The agent's whole configuration, checked: what `config.load` returns and `agent.build` takes.

Plain values, all of it: `config.apart` hands it from one process to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kpwatch.base.named import NamedTuple
from kpwatch.base.shown import shown_without
from kpwatch.send.options import QueueOptions
from kpwatch.spool.options import SpoolOptions

if TYPE_CHECKING:
    from kpwatch.base.server_options import ServerOptions
    from kpwatch.config.problems import Problem
    from kpwatch.heartbeat.options import HeartbeatOptions
    from kpwatch.scrape.discovery.options import DiscoveryOptions
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.send.options import WriterOptions

OUR_INPUT = "prometheus"


class AgentOptions(NamedTuple):
    """One agent."""

    hostname: str
    """Value of `agent_hostname` (and, at most receivers, of `ident`)."""
    targets: tuple[TargetOptions, ...]
    writers: tuple[WriterOptions, ...] = ()
    queue: QueueOptions = QueueOptions()
    spool: SpoolOptions = SpoolOptions()
    omit_hostname: bool = False
    global_labels: tuple[tuple[str, str], ...] = ()
    """Set only where the series has no such label."""
    precision: Literal["ms", "s", "m"] = "ms"
    """Timestamps are cut down to whole milliseconds, seconds or minutes."""
    discoveries: tuple[DiscoveryOptions, ...] = ()
    """What finds more targets while the agent runs."""
    heartbeat: HeartbeatOptions | None = None
    drain_seconds: float = 5.0
    """How long an ending agent waits for its writers."""
    endpoint: ServerOptions | None = None
    """Where the agent answers about itself."""
    ready_max_lag_seconds: float = 300.0
    """A writer that lags further behind makes the agent not ready; 0: none does."""
    self_metrics_seconds: float = 0.0
    """How often the agent writes its own metrics; 0: never."""
    reload_seconds: float = 5.0
    """How often the files are looked at for changes; 0: never."""
    stale_at_shutdown: bool = False
    """Whether all series get staleness markers when the agent ends; not by default: a restart tears graphs."""


class Loaded(NamedTuple):
    """A configuration that may run, and what is strange about it."""

    options: AgentOptions
    warnings: tuple[Problem, ...] = ()
    hash: int = 0
    """Of the files' content without secrets."""
    secrets: frozenset[str] = frozenset()
    """What must be shown nowhere."""

    def __repr__(self) -> str:
        return shown_without(self, "secrets")
