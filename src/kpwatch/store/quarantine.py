"""Setting aside what failed its checksum: the row is kept whole for a person to look at, and nobody reads it again."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from kpwatch.base.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.store.catalog import DamagedRow
    from kpwatch.store.state import State

DIRECTORY = "quarantine"
"""Beside the database: whole files that a rescue set aside (rescue.py)."""
LISTED = 100
"""Entries shown in the status."""


def set_aside_rows(state: State, rows: Sequence[DamagedRow]) -> None:
    """Move rows found damaged while loading."""
    if not rows:
        return
    found_ms = state.clock.unix_ms()

    def work() -> None:
        for row in rows:
            state.connection.execute(
                "INSERT INTO quarantine (source, source_id, reason, found_ms, body) VALUES (?, ?, ?, ?, ?)",
                (row.source, row.number, row.reason, found_ms, row.body),
            )
            state.connection.execute(f"DELETE FROM {row.source} WHERE id = ?", (row.number,))  # noqa: S608 - our names

    state.unsynced(work)
    for row in rows:
        _note(state, row.source, row.number, row.reason)


def set_aside_block(state: State, number: int, reason: str) -> None:
    """Move a block that could not be read; where even that fails, remember not to read it."""
    found = state.connection.total_changes

    def work() -> None:
        state.connection.execute(
            "INSERT INTO quarantine (source, source_id, target, start_ms, end_ms, reason, found_ms, body)"
            " SELECT 'blocks', id, target, start_ms, end_ms, ?, ?, body FROM blocks WHERE id = ?",
            (reason, state.clock.unix_ms(), number),
        )
        state.connection.execute("DELETE FROM blocks WHERE id = ?", (number,))

    try:
        state.unsynced(work)
    except (StoreError, sqlite3.Error) as error:
        state.set_aside.add(number)
        state.log.error(f"block {number} is damaged and cannot be moved to the quarantine: {error}")  # noqa: TRY400 - our own logger
    state.blocks_changed(list(state.catalog.targets))  # whose it was need not be legible
    if state.connection.total_changes != found or number in state.set_aside:
        _note(state, "blocks", number, reason)


def _note(state: State, source: str, number: int, reason: str) -> None:
    state.counters.quarantined.add()
    state.log.error(f"row {number} of {source} is damaged and was set aside: {reason}")


def listed(connection: sqlite3.Connection) -> dict[str, object]:
    """The quarantine as the status shows it: how many, and the latest."""
    rows = connection.execute(
        "SELECT source, source_id, target, start_ms, end_ms, reason, found_ms, length(body) FROM quarantine"
        " ORDER BY id DESC LIMIT ?",
        (LISTED,),
    )
    names = ("source", "id", "target", "startMs", "endMs", "reason", "foundMs", "bytes")
    entries = [dict(zip(names, row, strict=True)) for row in rows]
    count = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    return {"count": count, "latest": entries}
