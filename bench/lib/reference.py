"""A fixed piece of work whose duration says how fast this machine is now, and what is held against it.

Times of different machines, or of one machine at different hours, do not compare; the ratio of a time to the reference
loop of the same run nearly does. `bench/results/baseline.json` keeps such ratios; `check` fails when one has become
WORSE_AT_MOST times what it was.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from itertools import compress
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BASELINE = Path(__file__).resolve().parent.parent / "results" / "baseline.json"
WORSE_AT_MOST = 1.5

_REPEATS = 15


def reference_seconds(repeats: int = _REPEATS) -> float:
    """CPU time of the reference loop, the best of some: bytecode, dictionaries, bytes, a little C. 2 to 5 ms."""
    return min(_once() for _ in range(repeats))


def _once() -> float:
    began = time.process_time()
    text = b"\n".join(b'name_%d{label="value"} %d' % (number % 400, number) for number in range(4000))
    lines = text.split(b"\n")
    known: dict[bytes, float] = {}
    for line in lines:
        head, _, value = line.rpartition(b" ")
        known[head] = known.get(head, 0.0) + float(value)
    packed = b"".join(map(struct.Struct("<d").pack, known.values()))
    changed = list(compress(lines, map(ne, lines, reversed(lines))))
    zlib.crc32(packed + b"".join(changed))
    return time.process_time() - began


def baseline() -> dict[str, float]:
    """What is kept: reference loops by name."""
    kept: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    return kept


def write(loops: Mapping[str, float]) -> None:
    """Make these the baseline, beside what it holds of other names."""
    kept = baseline() | {name: float(f"{value:.4g}") for name, value in loops.items()}
    BASELINE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def check(loops: Mapping[str, float]) -> list[str]:
    """A sentence for each name that is worse than the baseline allows."""
    known = baseline()
    return [
        f"{name}: {value:.4g} reference loops, the baseline is {known[name]:.4g}; "
        f"at most {WORSE_AT_MOST} times that is allowed"
        for name, value in loops.items()
        if name in known and value > WORSE_AT_MOST * known[name]
    ]
