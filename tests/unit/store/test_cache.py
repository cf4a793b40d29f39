"""What queries leave in memory: bounded, shared, and never what a later query must not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.telemetry import Registry
from kpwatch.model.matchers import Matcher
from kpwatch.store import block
from kpwatch.store.cache import ENTRY_BYTES, Budget, Cache
from tests.unit.store.samples import FOREVER, T0, everything, frame, layout, opened, remember, told

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.database import Store

SHAPES = (layout(*range(6)), layout(0, 3, 5))
QUESTION = (Matcher("__name__", "=", "m0"),)


def scrape(store: Store, model: dict, numbers: range, nodes: int = 2) -> None:
    for number in numbers:
        shape = SHAPES[number % 2]
        values = [number * 10.0 + place for place in range(len(shape.columns))]
        frames = [frame(node, shape, T0 + number, values) for node in range(nodes)]
        store.append(frames).result(60)
        remember(model, frames)


def asked(model: dict) -> dict:
    return {key: bits for key, bits in model.items() if ("__name__", "m0") in key[0]}


def test_it_holds_no_more_than_it_may() -> None:
    """What was used least recently goes first; what is too large is not taken at all."""
    cache = Cache(3 * (100 + ENTRY_BYTES))
    for name in "abc":
        cache.put(name, name, 100)
    assert cache.get("a") == "a"
    cache.put("d", "d", 100)
    cache.put("e", "e", 100_000)
    assert [cache.get(name) for name in "abcde"] == ["a", None, "c", "d", None]
    cache.put("d", "D", 90)
    assert cache.bytes == 290 + 3 * ENTRY_BYTES
    assert (cache.found, cache.missed) == (4, 2)


def test_one_query_does_not_push_out_all_others() -> None:
    """It puts half of what the cache holds, and decodes the rest for itself."""
    cache = Cache(20 * (1000 + ENTRY_BYTES))
    cache.put("other", 1, 1000)
    budget = Budget(cache)
    for number in range(100):
        budget.put(number, number, 1000)
    assert cache.get("other") == 1


def test_the_second_query_reads_no_block(tmp_path: Path) -> None:
    """It finds the columns of blocks and of the journal's rows; new rows are added to them."""
    model: dict = {}
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry) as store:
        scrape(store, model, range(10))
        store.seal()
        scrape(store, model, range(10, 14))
        assert everything(store, QUESTION) == asked(model)
        missed = store._cache.missed
        assert everything(store, QUESTION) == asked(model)
        few = told(store.select(QUESTION, T0 + 3, T0 + 11))
        assert few == {key: bits for key, bits in asked(model).items() if 3 <= key[1] - T0 <= 11}
        assert store._cache.missed == missed
        scrape(store, model, range(14, 14 + 24))
        for number in range(50, 50 + 24):
            scrape(store, model, range(number, number + 1))
            assert everything(store, QUESTION) == asked(model)
        assert store._cache.missed == missed
        assert 'kpwatch_store_cache_lookups_total{answer="missed"}' in telemetry.render()


def test_deleted_samples_are_not_remembered(tmp_path: Path) -> None:
    """Neither of the journal's rows nor of blocks."""
    model: dict = {}
    with opened(tmp_path) as store:
        scrape(store, model, range(10))
        store.seal()
        scrape(store, model, range(10, 14))
        assert everything(store, QUESTION) == asked(model)
        store.delete([[Matcher("le", "=", "3")]], *FOREVER).result(60)
        kept = {key: bits for key, bits in model.items() if ("le", "3") not in key[0]}
        assert everything(store, QUESTION) == asked(kept)


def test_who_asked_first_still_sees_rows_that_were_sealed_since(tmp_path: Path) -> None:
    """A query that took the journal's rows before a seal, and reads them after another query remembered fewer."""
    model: dict = {}
    with opened(tmp_path) as store:
        scrape(store, model, range(10))
        slow = iter(store.select(QUESTION, *FOREVER))
        slices = [next(slow)]
        before = asked(model)
        store.seal()
        scrape(store, model, range(10, 12))
        assert everything(store, QUESTION) == asked(model)
        assert told([*slices, *slow]) == before


def test_nobody_writes_to_what_is_shared(tmp_path: Path) -> None:
    """An answer that is the cache's own array cannot be changed."""
    with opened(tmp_path) as store:
        scrape(store, {}, range(0, 10, 2), nodes=1)
        store.seal()
        (one,) = store.select(QUESTION, *FOREVER)
        with pytest.raises(ValueError, match="read-only"):
            one.values[0, 0] = np.nan


def test_the_next_column_is_found_by_the_same_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block's head is read once, whatever columns are asked for, where there is room for it."""
    read: list[object] = []
    read_head = block._read_head
    monkeypatch.setattr(block, "_read_head", lambda *what: read.append(what) or read_head(*what))
    for bytes_max, reads in ((1 << 20, 2), (200, 6)):
        read.clear()
        with opened(tmp_path / str(bytes_max), cache_bytes=bytes_max) as store:
            scrape(store, {}, range(10), nodes=2)
            store.seal()
            for metric in ("m0", "m1", "m2"):
                assert told(store.select([Matcher("__name__", "=", metric)], *FOREVER))
            assert len(read) == reads
