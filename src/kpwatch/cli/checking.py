"""Saying what is wrong with a store: `hub --check`, and the last step of `backup` and `restore`."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.verify import Seen


def check_data(directory: Path) -> int:
    """Verify a stopped hub's directory: every damage a line on stdout, progress on stderr; 0 sound, 1 not.

    Raises ConfigError while a hub runs on it.
    """
    from kpwatch.store.lock import held_still
    from kpwatch.store.schema import FILE_NAME

    with held_still(directory):
        seen = verify_file(directory / FILE_NAME)
    print(f"{directory}: {verdict(seen)}")
    return 1 if seen.damages else 0


def verify_file(path: Path) -> Seen:
    """Verify a database, saying every damage on stdout; nobody may write to it meanwhile."""
    from kpwatch.store.schema import connect_looker
    from kpwatch.store.verify import Seen, verify

    seen = Seen()
    with closing(connect_looker(path)) as connection:
        for damage in verify(connection, path, seen, say):
            print(f"damaged: {damage}", flush=True)
    return seen


def say(text: str) -> None:
    """How far it is, for a person who waits."""
    print(f"kpwatch: {text}", file=sys.stderr, flush=True)


def verdict(seen: Seen) -> str:
    """One sentence on what was looked at and found."""
    looked_at = (
        f"{seen.blocks} blocks and {seen.journal_rows} frames of the journal with {seen.samples} samples,"
        f" {seen.targets} targets, {seen.columns} columns"
    )
    aside = f"; {seen.quarantined} rows stand in the quarantine from earlier" if seen.quarantined else ""
    if not seen.damages:
        return f"sound: {looked_at}{aside}"
    return (
        f"{seen.damages} damage{'s' * (seen.damages != 1)} in {looked_at}{aside}."
        " A hub started on it sets aside what is damaged and answers from the rest"
    )
