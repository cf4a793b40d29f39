"""The load's origin: 79 consecutive scrapes of a real kube-proxy 1.36.3 (bench/data/README.md).

Replayed as text it is what agents scrape; as a matrix of values (`movement.py`) it is what stores receive.
"""

from __future__ import annotations

import lzma
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

FILE = Path(__file__).resolve().parent.parent / "data" / "recording-1.36.3-iptables.xz"


class Recording(NamedTuple):
    """Bodies of one target in order; the same lines in all of them, but for values."""

    bodies: tuple[bytes, ...]

    @property
    def series(self) -> int:
        """Samples in each body."""
        return sum(1 for line in self.bodies[0].split(b"\n") if line and not line.startswith(b"#"))

    @property
    def lines(self) -> int:
        """Lines in each body, comments included."""
        return self.bodies[0].count(b"\n")

    def describe(self) -> str:
        """The load in one line, for a results page."""
        pairs = zip(self.bodies, self.bodies[1:], strict=False)
        changed = median(
            sum(old != new for old, new in zip(before.split(b"\n"), now.split(b"\n"), strict=True))
            for before, now in pairs
        )
        return (
            f"real kube-proxy 1.36.3, {len(self.bodies)} bodies of {self.lines} lines, {self.series} series, "
            f"{len(self.bodies[0]) / 1000:.0f} kB; {changed:.0f} lines ({100 * changed / self.series:.0f} % of the "
            "series) differ from one to the next (median)"
        )


@lru_cache(maxsize=1)
def load() -> Recording:
    """Unpack the recording (some 9 MB)."""
    first, *changes = lzma.decompress(FILE.read_bytes()).split(b"\n\n")
    lines = first.split(b"\n")
    bodies = [first + b"\n"]
    for change in changes:
        for row in change.split(b"\n"):
            index, _, value = row.partition(b" ")
            lines[int(index)] = lines[int(index)].rpartition(b" ")[0] + b" " + value
        bodies.append(b"\n".join(lines) + b"\n")
    return Recording(tuple(bodies))
