#!/usr/bin/env python3
"""How long a spool of 1 GiB holds: bytes that real scrapes take on disk, by the agent's own encoder and spool.

    bench/spool_hours.py [--out FILE]

One hour of scrapes every 15 s, of one target and of 200, is appended to a spool whose writer delivers nothing; what the
directory holds then is what an hour takes. Every target replays the recording (kube-proxy 1.36.3) from a place of its
own, in both versions of Remote Write: the spool keeps the form in which the first writer sends.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lib import page, programs, recording
from bench.lib.bodies import identity
from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.recordlog import RecordLog
from kpwatch.exposition.delta import DeltaParser
from kpwatch.model.encoded import Form
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.spool.convert import convert
from kpwatch.spool.log import Spool
from kpwatch.spool.options import SpoolOptions

if TYPE_CHECKING:
    from kpwatch.model.encoded import Protocol

NOW_MS = 1_800_000_000_000
INTERVAL_SECONDS = 15
SCRAPES_AN_HOUR = 3600 // INTERVAL_SECONDS
GIB = 1 << 30
HOURS_MEASURED = {1: 1.0, 200: 0.1}
"""By number of targets; what an hour takes is in proportion."""


def hour_bytes(targets: int, protocol: Protocol) -> float:
    """What the spool's directory grows by in an hour."""
    bodies = recording.load().bodies
    scrapes = round(SCRAPES_AN_HOUR * HOURS_MEASURED[targets])
    form = Form("rename", protocol)
    up = OwnSample("up", (), 1.0)
    parsers = [DeltaParser() for _ in range(targets)]
    encoders = [SeriesEncoder(identity(number), "rename", protocol=protocol) for number in range(targets)]
    with tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as folder:
        options = SpoolOptions(directory=folder, max_bytes=100 * GIB)
        spool = Spool(options, RecordLog(folder, options.segment_bytes), convert, SYSTEM_CLOCK)
        spool.reader("http://receiver.example/api/v1/write#0", form)
        for scrape in range(scrapes):
            for number, (parser, encoder) in enumerate(zip(parsers, encoders, strict=True)):
                encoder.feed(parser.feed(bodies[(number + scrape) % len(bodies)]))
                spool.append({form: encoder.encode(NOW_MS + 1000 * INTERVAL_SECONDS * scrape, [up])})
        spool.close()
        held = sum(file.stat().st_size for file in Path(folder).glob("*.log"))
    return held / HOURS_MEASURED[targets]


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="", help="write the page here as well")
    arguments = parser.parse_args()
    rows = []
    for targets in HOURS_MEASURED:
        for protocol in ("2.0", "1.0"):
            held = hour_bytes(targets, protocol)
            a_scrape = held / SCRAPES_AN_HOUR / targets
            rows.append((str(targets), protocol, page.number(a_scrape / 1024), page.number(GIB / held)))
    head = page.head("How long the spool holds", {"kpwatch": programs.kpwatch()})
    text = f"{head}\nLoad: {recording.load().describe()}, every {INTERVAL_SECONDS} s.\n\n"
    page.publish(
        text + page.table(("targets", "Remote Write", "KB a scrape on disk", "hours in 1 GiB"), rows), arguments.out
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
