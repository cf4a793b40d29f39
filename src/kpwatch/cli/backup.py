"""`kpwatch backup DATA OUT`: a copy of a hub's data, made while the hub goes on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

_DESCRIPTION = """\
Copy DATA, a hub's data directory, to OUT, which must be empty or not exist.

The hub may run and write: the copy is everything that was acknowledged at one instant shortly after the start. OUT is a
data directory itself: the samples and, where there are any, states of alerts and silences (rules.db) and the files a
rescue set aside. The copy is verified.
"""
_EPILOG = """\
  kpwatch backup /var/lib/kpwatch/hub /backup/hub-2026-11-23
  kpwatch restore /backup/hub-2026-11-23 /var/lib/kpwatch/hub     put it back, with the hub stopped

Exit code: 0 for a sound copy, 1 where it cannot be made or DATA is damaged (what is wrong is said, the copy is kept),
2 for a wrong command line.
"""
_PROGRESS_SECONDS = 2.0


def main(arguments: list[str]) -> int:
    """Copy and verify; 0 sound, 1 not."""
    given = _parser().parse_args(arguments)
    from kpwatch.cli.checking import say, verdict, verify_file
    from kpwatch.rules.options import MEMORY_FILE
    from kpwatch.store import backup
    from kpwatch.store.schema import FILE_NAME, require_store

    require_store(given.data / FILE_NAME)  # a DATA that is none is told before OUT is made
    backup.require_nothing_in(given.out)
    backup.copy(given.data, given.out, pages_said(say))
    left_out = backup.copy_beside(given.data, given.out, MEMORY_FILE)
    backup.publish(given.out)
    seen = verify_file(given.out / FILE_NAME)
    if left_out:
        print(f"damaged: {left_out}")
    print(f"{given.out}: {verdict(seen)}")
    return 1 if seen.damages or left_out else 0


def pages_said(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """A listener for `backup.copy` that says every two seconds how far it is."""
    last = SYSTEM_CLOCK.monotonic_seconds()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = SYSTEM_CLOCK.monotonic_seconds()
        if now - last >= _PROGRESS_SECONDS:
            last = now
            say(f"{done} of {total} pages copied")

    return progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch backup",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="the hub's --data directory")
    parser.add_argument("out", type=Path, metavar="OUT", help="where the copy goes")
    return parser
