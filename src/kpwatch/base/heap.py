"""How the C library's malloc keeps what was freed.

Arrays of a query are some hundred kilobytes to some megabytes, made and freed by the dozen. As it comes, malloc gets
such ones from the kernel and gives them back each time, and every page of the next one is a fault: a third of the time
of a query that reads a day. So once somebody asks, what is freed is kept, up to `KEPT_BYTES` a thread, and given back
by whoever notices that nobody asks any more (`give_back`). A hub that is only written to is left as it is. Another C
library than glibc knows neither: there nothing is done.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import CDLL

KEPT_BYTES = 64 << 20
DIRECT_BYTES = 32 << 20
"""What is larger comes from the kernel itself; more malloc does not take."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""


def keep_freed() -> None:
    """From now on, for the whole process."""
    mallopt = getattr(_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, DIRECT_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Give what is free to the kernel: some milliseconds, without the interpreter's lock."""
    malloc_trim = getattr(_library(), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _library() -> CDLL:
    from ctypes import CDLL  # noqa: PLC0415 - a start should not wait for it

    return CDLL(None)
