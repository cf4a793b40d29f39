"""Tables and results pages: what was measured, on what, with what, by which command."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.lib.programs import Found

MB = 1_000_000
REPOSITORY = Path(__file__).resolve().parents[2]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table, aligned; the first column to the left, the others to the right."""
    grid = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[index]) for row in grid) for index in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return "| " + " | ".join(cells) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(grid[0]), "| " + " | ".join(rule) + " |", *map(line, grid[1:])])


def number(value: float, digits: int = 3) -> str:
    """`value` with so many significant digits, never in exponents."""
    if value == 0:
        return "0"
    whole_digits = len(str(int(abs(value))))
    return f"{value:,.{max(0, digits - whole_digits)}f}" if abs(value) >= 1 else f"{value:.{digits}g}"


def head(title: str, versions: Mapping[str, Found | None]) -> str:
    """The beginning of a page."""
    present = ", ".join(f"{name} {found.version}" for name, found in versions.items() if found)
    absent = ", ".join(name for name, found in versions.items() if not found)
    return "\n".join(
        (
            f"# {title}",
            "",
            f"- machine: {_machine()}",
            f"- versions: {present}" + (f"; not found and left out: {absent}" if absent else ""),
            f"- command: `{_command()}`",
            f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load average at the end "
            + " ".join(f"{load:.1f}" for load in os.getloadavg()),
            "",
        )
    )


def publish(page: str, out: str) -> None:
    """Print a page; write it where `out` says."""
    print(page)
    if out:
        Path(out).write_text(page + "\n", encoding="utf-8")


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} x {model}, {memory:.0f} GB, Linux {platform.release()}, Python {platform.python_version()}"
    )


def _command() -> str:
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(REPOSITORY) if script.is_relative_to(REPOSITORY) else script.name
    words = [word for before, word in pairwise(sys.argv) if "--out" not in (before, word)]
    return " ".join(["python", str(name), *words])
