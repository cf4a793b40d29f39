"""A measured program: started, looked at from outside, ended. Linux only.

CPU is the kernel's own clock of the process (user + system, all threads, nanoseconds): the same figure as utime + stime
of /proc/PID/stat, without its 10 ms steps. Memory is /proc/PID/smaps_rollup: Rss, and Anonymous (what belongs to the
process alone, its heap).
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

_CPUCLOCK_SCHED = 2
"""Which clock of a process a dynamic clock id names: ~PID << 3 | this (linux/posix-timers.h)."""

END_SECONDS = 30.0
POLL_SECONDS = 0.005


class BenchError(Exception):
    """A measurement could not be taken; the message says what to look at."""


def run(main: Callable[[], int]) -> int:
    """`main`'s exit code, 1 where a measurement could not be taken; a measured program's words need no traceback."""
    try:
        return main()
    except BenchError as error:
        print(f"no figures: {error}", file=sys.stderr)
        return 1


class Memory(NamedTuple):
    """Of one process, in bytes."""

    resident: int
    anonymous: int


class Program:
    """One started program; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self._output: IO[bytes] = log.open("wb")
        self.started_ns = time.monotonic_ns()
        """CLOCK_MONOTONIC, the same for all processes of the machine."""
        self.total_cpu_seconds = 0.0
        """Of its whole life, known after `end`."""
        self.popen = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def cpu_seconds(self) -> float:
        """CPU used since its start."""
        self.check()
        return time.clock_gettime_ns((~self.pid << 3) | _CPUCLOCK_SCHED) / 1e9

    def memory(self) -> Memory:
        """What it holds now."""
        self.check()
        fields = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        )
        return Memory(*(int(fields[name].split()[0]) * 1024 for name in ("Rss", "Anonymous")))

    def check(self) -> None:
        """Raises BenchError with the end of its log if it has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.command[0]} ended with {self.popen.returncode}:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def wait_until(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for `condition`; raises BenchError when it ends first or time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.command[0]}: {what} did not happen in {seconds:g} s:\n{self.last_lines()}")
            time.sleep(POLL_SECONDS)

    def end(self, seconds: float = END_SECONDS) -> float:
        """SIGTERM and wait; gives how long it took. Raises BenchError when it does not end, or not well."""
        began, used_before = time.monotonic(), _children_cpu_seconds()
        self.popen.terminate()
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise BenchError(f"{self.command[0]} did not end within {seconds:g} s of SIGTERM") from error
        self._output.close()
        self.total_cpu_seconds = _children_cpu_seconds() - used_before
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self._output.close()


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def disk_bytes(folder: Path) -> int:
    """What `du` shows: allocated blocks of `folder` and everything in it."""
    return sum(path.lstat().st_blocks * 512 for path in (folder, *folder.rglob("*")) if path.exists())
