"""Blocks are rewritten in steps: what happens to them meanwhile is never undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.model.matchers import Matcher
from kpwatch.model.numbers import STALE_NAN
from kpwatch.store import blocks
from kpwatch.store.block import BlockReader, BlockWriter, encode_block, memory_source
from kpwatch.store.parts import Part
from kpwatch.store.rewriting import Rewriting
from tests.unit.store.samples import FOREVER, T0, everything, frame, layout, opened, remember

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.store.database import Store

WIDE = layout(*range(40))


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpwatch.store.rewriting.STEP_SAMPLES", 100)


def fill(store: Store, count: int) -> dict:
    """`count` blocks of five rows; columns begin and end, go stale, stand still, move."""
    model: dict = {}
    for number in range(5 * count):
        values = [float(number * column % 7 == 0) + column * number for column in range(40)]
        if number == 7:
            values[::3] = [STALE_NAN] * len(values[::3])
        shape = WIDE if number % 4 else layout(*range(3, 25))
        frames = [frame(1, shape, T0 + number * 1000, values[: len(shape.columns)])]
        store.append(frames).result(60)
        remember(model, frames)
        if number % 5 == 4:
            store.seal()
    return model


def begin(store: Store) -> Rewriting:
    """Merging all blocks, one step taken."""
    state = store._state
    merging = store._in_writer(lambda: Rewriting(state, blocks.of_target(state.connection, 1)))
    assert not store._in_writer(merging.step), "there is more than one step"
    return merging


def finish(store: Store, merging: Rewriting) -> bool:
    while not store._in_writer(merging.step):
        pass
    return store._in_writer(lambda: merging.commit(store._state))


def test_samples_that_come_meanwhile_stay(tmp_path: Path) -> None:
    """A block that is sealed between two steps is younger, and not touched."""
    with opened(tmp_path) as store:
        model = fill(store, 3)
        merging = begin(store)
        frames = [frame(1, WIDE, T0 + 2000, [-1.0] * 40), frame(1, WIDE, T0 + 99_000, [5.0] * 40)]
        store.append(frames).result(60)
        remember(model, frames)
        store.seal()
        assert finish(store, merging)
        assert everything(store) == model
        assert store.status()["blocks"]["count"] == 2  # type: ignore[index]


def test_samples_that_are_deleted_meanwhile_stay_deleted(tmp_path: Path) -> None:
    """What was read is not what stands there any more: nothing is written."""
    with opened(tmp_path) as store:
        model = fill(store, 3)
        merging = begin(store)
        store.delete([[Matcher("le", "=", "4")]], *FOREVER).result(60)
        assert not finish(store, merging)
        assert everything(store) == {key: bits for key, bits in model.items() if ("le", "4") not in key[0]}


def test_blocks_that_are_merged_meanwhile_lose_their_deleted_samples(tmp_path: Path) -> None:
    """A deletion that finds its block changed looks again at what stands in its place."""
    with opened(tmp_path) as store:
        model = fill(store, 3)
        real = Rewriting.commit
        others: list[Rewriting] = []

        def merged_first(self: Rewriting, _: object) -> bool:
            if not others:
                others.append(Rewriting(store._state, blocks.of_target(store._state.connection, 1)))
                while not others[0].step():
                    pass
                assert real(others[0], store._state)
            return real(self, store._state)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Rewriting, "commit", merged_first)
            store.delete([[Matcher("le", "=", "4")]], *FOREVER).result(60)
        assert everything(store) == {key: bits for key, bits in model.items() if ("le", "4") not in key[0]}
        assert store.status()["blocks"]["count"] == 1  # type: ignore[index]


def test_a_block_made_in_runs_is_a_block() -> None:
    """One part for columns with the same times, whatever the runs; streams and residuals find their columns."""
    random = np.random.default_rng(7)
    times = np.cumsum(random.integers(1, 99, 300))
    values = np.where(random.random((50, 1)) < 0.4, 3.25, np.cumsum(random.random((50, 300)) / 3, axis=1))
    values[10:20] = np.round(values[10:20] * 1e9) / 1e9 + 5e-16
    part = Part(np.arange(3, 53, dtype=np.uint32), times, values.view(np.int64))
    writer = BlockWriter(3)
    for first in range(0, 50, 7):
        chosen = slice(first, first + 7)
        writer.add([Part(part.columns[chosen], times, part.bits[chosen])])
    (read,) = BlockReader(memory_source(writer.finish())).everything()
    (whole,) = BlockReader(memory_source(encode_block([part], 3))).everything()
    for one in (read, whole):
        assert one.columns.tolist() == part.columns.tolist()
        assert one.timestamps_ms.tolist() == times.tolist()
        assert one.bits.tolist() == part.bits.tolist()
