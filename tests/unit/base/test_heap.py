"""What malloc keeps: in a process of its own, because it is the whole process that is told."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ARRAYS_OF_8_MB = """
import resource
from kpwatch.base.heap import give_back, keep_freed
{before}
def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
def use(): return [b"x" * (8 << 20) for _ in range(4)]
use()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): use()
faults, kept = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults, resident()
give_back()
print(faults, kept - resident())
"""
PAGES_OF_AN_ARRAY = 2048


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told")
def test_freed_arrays_are_kept_and_given_back() -> None:
    """Arrays that are made again cost no page faults; who gives back what is free gives back their memory."""
    told = subprocess.run(
        [sys.executable, "-c", ARRAYS_OF_8_MB.format(before="keep_freed()")], capture_output=True, text=True, check=True
    )
    faults, given_back = map(int, told.stdout.split())
    assert faults < PAGES_OF_AN_ARRAY
    assert given_back > 16 << 20
