"""Measured programs are seen from outside as the kernel sees them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.lib.process import BenchError, Program

if TYPE_CHECKING:
    from pathlib import Path

BUSY = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ntime.sleep(60)"


def test_cpu_and_memory_are_the_programs_own(tmp_path: Path) -> None:
    """A program that says it used 0.2 s did."""
    with Program([sys.executable, "-c", BUSY], tmp_path / "log") as program:
        program.wait_until("printing", lambda: b"done" in (tmp_path / "log").read_bytes(), 30)
        assert program.cpu_seconds() >= 0.2
        memory = program.memory()
        assert memory.resident >= memory.anonymous > 1_000_000
        program.end()
        assert program.total_cpu_seconds >= 0.2


def test_a_program_that_ends_early_is_quoted(tmp_path: Path) -> None:
    """Its last lines stand in the error."""
    command = [sys.executable, "-c", "import sys; print('no such port'); sys.exit(3)"]
    with Program(command, tmp_path / "log") as program, pytest.raises(BenchError, match=r"ended with 3:\nno such port"):
        program.wait_until("anything", lambda: False, 30)
