"""`kpwatch agent spool --inspect DIR`: what waits, for whom, since when. Reads only; the agent may be running."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.clock import local_text
from kpwatch.base.errors import KpwatchError

if TYPE_CHECKING:
    from kpwatch.spool.inspect import Contents

_EXAMPLE = "example: kpwatch agent spool --inspect /var/lib/kpwatch/spool"


def main(arguments: list[str]) -> int:
    """Run the verb; gives the exit code."""
    parser = argparse.ArgumentParser(prog="kpwatch agent spool", description=__doc__, epilog=_EXAMPLE)
    parser.add_argument("--inspect", metavar="DIR", type=Path, required=True, help="the spool's directory")
    directory = parser.parse_args(arguments).inspect
    if not directory.is_dir():
        raise KpwatchError(
            f"{directory} is no directory; the agent's is [kpwatch] spool_dir, else $STATE_DIRECTORY/spool"
        )
    from kpwatch.spool.inspect import inspect

    print("\n".join(_lines(directory, inspect(directory))))
    return 0


def _lines(directory: Path, contents: Contents) -> list[str]:
    lines = [
        (
            f"{directory}: {contents.segments} segments, {contents.size_bytes:,} bytes, "
            f"{contents.scrapes:,} scrapes, {contents.samples:,} samples"
        )
    ]
    if contents.oldest_ms is not None and contents.newest_ms is not None:
        lines.append(f"  oldest scrape  {_time(contents.oldest_ms)}")
        lines.append(f"  newest scrape  {_time(contents.newest_ms)}")
    lines += [
        f"  {samples:>12,} samples wait for {key.rpartition('#')[0]}" for key, samples in contents.waiting.items()
    ]
    if contents.damaged_bytes:
        lines.append(
            f"  {contents.damaged_bytes:,} bytes are damaged; the samples in them are lost, the others are not"
        )
    return lines


def _time(unix_ms: int) -> str:
    return local_text(unix_ms / 1000, "%Y-%m-%d %H:%M:%S")
