"""What this process costs, as the kernel counts it, under the names that all exporters use."""

from __future__ import annotations

import os
import resource
from functools import partial
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.looks import read_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.telemetry import Registry

_STAT = "/proc/self/stat"
_BOOT = "/proc/stat"
_FDS = "/proc/self/fd"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/self/stat (proc_pid_stat(5)), counted behind the name in brackets, which may hold anything.
_USER, _SYSTEM, _THREADS, _STARTED, _VIRTUAL, _RESIDENT = 11, 12, 17, 19, 20, 21


_SAME_LOOK_SECONDS = 0.1
"""Who shows all of it at once looks once: the kernel takes longer to write the file than we to read it."""


def show_process(registry: Registry) -> None:
    """Show `process_*` in a registry."""
    stat = _Stat()
    started_seconds = _boot_seconds() + stat.field(_STARTED) / _TICKS
    gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
        ("process_resident_memory_bytes", "Resident memory.", lambda: stat.field(_RESIDENT) * _PAGE_BYTES),
        ("process_virtual_memory_bytes", "Virtual memory.", partial(stat.field, _VIRTUAL)),
        ("process_threads", "Threads.", partial(stat.field, _THREADS)),
        ("process_start_time_seconds", "When it began.", lambda: started_seconds),
        ("process_open_fds", "Open file descriptors.", lambda: float(len(os.listdir(_FDS)))),
        ("process_max_fds", "How many may be open.", lambda: float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])),
    )
    for name, help_text, read in gauges:
        registry.gauge(name, help_text, read)
    registry.read_counter(
        "process_cpu_seconds_total", "Processor time.", lambda: (stat.field(_USER) + stat.field(_SYSTEM)) / _TICKS
    )


class _Stat:
    """The kernel's figures, as they were a moment ago at most."""

    def __init__(self) -> None:
        self._looked_seconds = -_SAME_LOOK_SECONDS
        self._fields: list[bytes] = []

    def field(self, number: int) -> float:
        now = SYSTEM_CLOCK.monotonic_seconds()
        if now >= self._looked_seconds + _SAME_LOOK_SECONDS:
            self._looked_seconds = now
            self._fields = read_file(_STAT).rpartition(b")")[2].split()
        return float(self._fields[number])


def _boot_seconds() -> float:
    """When the machine began, by the wall clock."""
    for line in read_file(_BOOT).splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return 0.0
