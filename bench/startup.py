#!/usr/bin/env python3
"""How long a person waits: the command line's answers, and a hub until it is ready.

    bench/startup.py [--runs 9] [--out FILE]

Wall time from the start of the process, and the CPU time it took; medians. The first run of each, which finds cold
caches, is not counted. Where other work takes turns with it, the CPU time tells what a quiet machine would show.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.doctor import Took, children_cpu_seconds, save_bundle
from bench.lib import page, process, programs
from bench.lib.agents import Task, write_article_files
from bench.lib.stores import STORES, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Start(NamedTuple):
    """One row: `once(path, folder)` is one run."""

    name: str
    goal_seconds: float
    once: Callable[[str, Path], Took]


def _command(*arguments: str) -> Callable[[str, Path], Took]:
    def once(path: str, folder: Path) -> Took:
        began, used = time.monotonic(), children_cpu_seconds()
        subprocess.run([path, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        return Took(time.monotonic() - began, children_cpu_seconds() - used)

    return once


def _hub(path: str, folder: Path) -> Took:
    with tempfile.TemporaryDirectory(dir=folder) as name, Running(STORES[0], path, Path(name)) as server:
        took = Took(server.ready_seconds, server.program.cpu_seconds())
        server.program.end()
        return took


def _doctor(path: str, folder: Path) -> Took:
    if not (folder / "bundle").exists():
        save_bundle(folder / "bundle")
    return _command("doctor", "bundle")(path, folder)


STARTS = (
    Start("kpwatch --version", 0.5, _command("--version")),
    Start("kpwatch agent --version", 0.5, _command("agent", "--version")),
    Start("kpwatch check config DIR", 0.5, _command("check", "config", "conf")),
    Start("kpwatch explain sync-failing", 0.5, _command("explain", "sync-failing")),
    Start("kpwatch doctor BUNDLE", 0.5, _doctor),
    Start("kpwatch hub until /-/ready is 200", 0.6, _hub),
)


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder with the article's configuration in `conf`."""
    with tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as name:
        folder = Path(name)
        write_article_files(Task(["127.0.0.1:10249"], "http://10.206.0.16:19000/prometheus/v1/write", 15, folder))
        yield folder


def main() -> int:
    """Measure all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--kpwatch", default="", metavar="PATH")
    parser.add_argument("--out", default="", help="write the page here as well")
    arguments = parser.parse_args()
    found = programs.kpwatch(arguments.kpwatch)
    rows = []
    with _workplace() as folder:
        for start in STARTS:
            runs = [start.once(found.path, folder) for _ in range(arguments.runs + 1)][1:]
            walls, cpus = zip(*runs, strict=True)
            reached = "reached" if median(walls) <= start.goal_seconds else "not reached"
            spread = f"{min(walls):.2f}–{max(walls):.2f}"
            wall, cpu = f"{median(walls):.2f}", f"{median(cpus):.2f}"
            rows.append((start.name, f"<= {start.goal_seconds:g}", wall, spread, cpu, reached))
    heads = ("", "wanted, s", "wall, s", "of all", "CPU, s", "")
    page.publish(
        page.head("How long a start takes", {"kpwatch": found}) + "\n" + page.table(heads, rows), arguments.out
    )
    return 0


if __name__ == "__main__":
    sys.exit(process.run(main))
