"""`kpwatch restore OUT DATA`: a backup becomes a data directory again."""

from __future__ import annotations

import argparse
from pathlib import Path

_DESCRIPTION = """\
Copy a backup into DATA, which must be empty or not exist, and verify it. A hub started on DATA then answers what the
hub answered when the backup was made. Nothing is overwritten, and nothing is left in DATA if the backup is damaged.
"""
_EPILOG = """\
  systemctl stop kpwatch-hub && mv /var/lib/kpwatch/hub /var/lib/kpwatch/hub.old
  kpwatch restore /backup/hub-2026-11-23 /var/lib/kpwatch/hub && systemctl start kpwatch-hub

Exit code: 0 restored, 1 where it cannot be or the backup is damaged (what is wrong is said), 2 for a wrong line.
"""


def main(arguments: list[str]) -> int:
    """Copy, verify, publish; 0 restored, 1 not."""
    given = _parser().parse_args(arguments)
    from kpwatch.cli.backup import pages_said
    from kpwatch.cli.checking import say, verdict, verify_file
    from kpwatch.rules.options import MEMORY_FILE
    from kpwatch.store import backup
    from kpwatch.store.lock import DirectoryLock
    from kpwatch.store.schema import FILE_NAME, require_store

    require_store(given.backup / FILE_NAME)  # a backup that is none is told before DATA is made
    backup.require_nothing_in(given.data)
    lock = DirectoryLock(given.data)
    try:
        backup.copy(given.backup, given.data, pages_said(say))
        seen = verify_file(given.data / backup.PARTIAL_NAME)
        if seen.damages:
            backup.discard(given.data)
            print(
                f"{given.backup}: {verdict(seen)}. Nothing was restored; to have a hub rescue what is readable, copy"
                f" the directory (cp -r) and start the hub on the copy"
            )
            return 1
        left_out = backup.copy_beside(given.backup, given.data, MEMORY_FILE)
        if left_out:
            backup.discard(given.data)
            print(f"{left_out}. Nothing was restored; without that file in {given.backup} alerts begin anew")
            return 1
        backup.publish(given.data)
    finally:
        lock.release()
    print(f"{given.data}: restored, {verdict(seen)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch restore",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backup", type=Path, metavar="OUT", help="what `kpwatch backup` made")
    parser.add_argument("data", type=Path, metavar="DATA", help="the data directory to make")
    return parser
