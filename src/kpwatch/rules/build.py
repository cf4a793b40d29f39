"""The room, wired: what a hub calls where it was given rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.rules.memory import Memory
from kpwatch.rules.notifiers import Notifiers
from kpwatch.rules.options import MEMORY_FILE
from kpwatch.rules.ruler import Ruler
from kpwatch.rules.sinks import EngineSink, NoSink, StoreSink

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.rules.evaluate import Ask, Sink
    from kpwatch.rules.options import RuleOptions

__all__ = ["EngineSink", "NoSink", "StoreSink", "make_ruler"]


def make_ruler(
    options: RuleOptions, ask: Ask, sink: Sink, data: Path, *, telemetry: Registry, clock: Clock, log: Logger
) -> Ruler:
    """Rules that wait to be started; raises ConfigError where their memory cannot be had."""
    memory = Memory(data / MEMORY_FILE, telemetry, log)
    notifiers = Notifiers(options, memory, telemetry, clock, log)
    return Ruler(options, ask, sink, memory, notifiers, telemetry, clock, log)
