#!/usr/bin/env python3
"""Packs a stretch of a recording into the form `bench.lib.recording` reads.

    bench/data/pack.py FOLDER FIRST LAST > recording-1.36.3-iptables.xz

FOLDER holds `NNNN.metrics`, bodies of one kube-proxy's /metrics in order, all with the same lines but for values.
"""

from __future__ import annotations

import lzma
import sys
from pathlib import Path


def pack(bodies: list[bytes]) -> bytes:
    """The first body whole, then for every further one the lines that changed, as `index value`."""
    stretches = [bodies[0].rstrip(b"\n")]
    before = bodies[0].split(b"\n")
    for body in bodies[1:]:
        now = body.split(b"\n")
        stretches.append(b"\n".join(_changes(before, now)))
        before = now
    return lzma.compress(b"\n\n".join(stretches), preset=9 | lzma.PRESET_EXTREME)


def _changes(before: list[bytes], now: list[bytes]) -> list[bytes]:
    changes = []
    for index, (old, new) in enumerate(zip(before, now, strict=True)):
        if old != new:
            head, _, value = new.rpartition(b" ")
            if head != old.rpartition(b" ")[0]:
                raise SystemExit(f"line {index + 1}: {old!r} became {new!r}; choose a stretch without new series")
            changes.append(b"%d %s" % (index, value))
    return changes


def main() -> None:
    """Pack FOLDER/FIRST.metrics … FOLDER/LAST.metrics to stdout."""
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    bodies = [(folder / f"{number:04d}.metrics").read_bytes() for number in range(first, last + 1)]
    sys.stdout.buffer.write(pack(bodies))


if __name__ == "__main__":
    main()
