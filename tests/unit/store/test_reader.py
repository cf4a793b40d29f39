"""Queries: snapshots of their own, large blocks read piece by piece, connections given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.errors import StoreClosed, StoreError
from kpwatch.model.matchers import Matcher
from kpwatch.store.blocks import INLINE_BYTES
from kpwatch.store.reader import IDLE_CONNECTIONS
from tests.unit.store.samples import FOREVER, T0, everything, frame, layout, opened, remember, sql, told

if TYPE_CHECKING:
    from pathlib import Path

WIDE = layout(*range(60))


def noise(store, rows: int) -> dict:
    model: dict = {}
    rng = np.random.default_rng(1)
    for number in range(rows):
        frames = [frame(1, WIDE, T0 + number, rng.random(60))]
        store.append(frames)
        remember(model, frames)
    store.seal()
    return model


def test_a_large_block_is_read_piece_by_piece(tmp_path: Path) -> None:
    """Whole, some of its columns, some of its rows; and damage in a piece hides that block only."""
    with opened(tmp_path, seal_rows=1000, cache_bytes=0) as store:
        model = noise(store, 200)
        assert store.status()["blocks"]["bytes"] > INLINE_BYTES  # type: ignore[index,operator]
        assert everything(store) == model
        few = told(store.select([Matcher("le", "=", "7")], T0 + 50, T0 + 59))
        assert few == {key: bits for key, bits in model.items() if ("le", "7") in key[0] and 50 <= key[1] - T0 < 60}
        ((body,),) = sql(store, "SELECT body FROM blocks")
        sql(store, "UPDATE blocks SET body = ?", body[:-1] + bytes([body[-1] ^ 1]))
        found = everything(store)
        assert found.items() <= model.items()
        store.maintain()
        assert store.status()["quarantine"]["count"] == 1  # type: ignore[index]


def test_an_abandoned_query_gives_its_connection_back(tmp_path: Path) -> None:
    """Whoever stops iterating holds nothing open; of many at once some connections are kept for the next."""
    with opened(tmp_path, cache_bytes=0) as store:
        store.append([frame(n, layout(0), T0, [n]) for n in range(20)]).result(60)
        store.seal()
        queries = [iter(store.select([], *FOREVER)) for _ in range(IDLE_CONNECTIONS + 3)]
        for query in queries:
            next(query)
        assert store._pool._idle == []
        del query, queries
        assert len(store._pool._idle) == IDLE_CONNECTIONS


@pytest.mark.parametrize("known", [0, 5, 10])
def test_a_query_sees_one_moment(tmp_path: Path, known: int) -> None:
    """What is appended, sealed and merged while it runs does not show up in its middle, whatever the cache has."""
    with opened(tmp_path, seal_rows=2) as store:
        model: dict = {}
        for number in range(5):
            frames = [frame(n, layout(0), T0 + number, [number]) for n in range(10)]
            store.append(frames).result(60)
            remember(model, frames)
        for number in range(known):
            list(store.select([Matcher("ident", "=", f"node-{number}")], *FOREVER))
        query = iter(store.select([], *FOREVER))
        slices = [next(query)]
        store.append([frame(n, layout(0), T0 + 9, [9]) for n in range(10)]).result(60)
        store.seal()
        store.compact()
        assert told([*slices, *query]) == model


def test_closing_while_somebody_reads(tmp_path: Path) -> None:
    """The query that runs ends in peace, the next is refused."""
    with opened(tmp_path) as store:
        store.append([frame(n, layout(0), T0, [n]) for n in range(3)]).result(60)
        query = iter(store.select([], *FOREVER))
        first = next(query)
        store.close()
        assert len(told([first, *query])) == 3
        with pytest.raises(StoreClosed):
            everything(store)


def test_what_sqlite_cannot_do_is_a_store_error(tmp_path: Path) -> None:
    """Here: the table is gone."""
    with opened(tmp_path) as store:
        store.append([frame(1, layout(0), T0, [1])]).result(60)
        store.seal()
        sql(store, "DROP TABLE blocks")
        with pytest.raises(StoreError, match="no such table"):
            everything(store)
        with pytest.raises(StoreError):
            store.status()
