"""A hub that writes down when its store was at what, so that an answer's wait can be told apart.

    python bench/lib/steps.py FILE hub --listen …        as `kpwatch hub --listen …`

A line of FILE is one step: its stage, when it began and when it ended, CLOCK_MONOTONIC in seconds, which all processes
of a machine share, and the CPU that its thread used since the step before: a busy machine stretches the one, hardly the
other. COMMIT is what a write asks for itself, COPYING what the checkpoint's own thread does beside it;
the rest is done between commits, and a write that comes meanwhile waits.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

COMMIT = "journal"
COPYING = "copying"


class Step(NamedTuple):
    """One line."""

    stage: str
    began: float
    ended: float
    cpu_seconds: float


def read(path: Path) -> list[Step]:
    """All steps, in the order they ended."""
    fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return [Step(stage, *map(float, times)) for stage, *times in fields]


def within(steps: Iterable[Step], began: float, ended: float) -> float:
    """Seconds of these steps, which do not overlap, between two times."""
    return sum(max(0.0, min(step.ended, ended) - max(step.began, began)) for step in steps)


def main() -> int:
    """Be the hub."""
    from kpwatch.__main__ import main as kpwatch  # noqa: PLC0415 - whoever reads the file needs no hub
    from kpwatch.store.checkpoint import Checkpointer  # noqa: PLC0415
    from kpwatch.store.state import Stages  # noqa: PLC0415

    out = open(sys.argv[1], "w", buffering=1, encoding="ascii")  # noqa: SIM115, PTH123 - for the process's life
    note, copy = Stages.note, Checkpointer._pass  # noqa: SLF001
    used = threading.local()

    def write(stage: str, began: float, ended: float) -> None:
        before, used.seconds = getattr(used, "seconds", 0.0), time.thread_time()
        out.write(f"{stage} {began:.6f} {ended:.6f} {used.seconds - before:.6f}\n")

    def noting(stages: Stages, stage: str, seconds: float) -> None:
        ended = time.monotonic()
        write(stage, ended - seconds, ended)
        note(stages, stage, seconds)

    def copying(checkpointer: Checkpointer, connection: sqlite3.Connection) -> int:
        began = time.monotonic()
        left = copy(checkpointer, connection)
        if threading.current_thread() is checkpointer._thread:  # noqa: SLF001 - else it is a step
            write(COPYING, began, time.monotonic())
        return left

    Stages.note, Checkpointer._pass = noting, copying  # type: ignore[method-assign]  # noqa: SLF001
    sys.argv = ["kpwatch", *sys.argv[2:]]
    return kpwatch()


if __name__ == "__main__":
    sys.exit(main())
