"""Names and numbers: found again after a restart, never given twice, and dropped when nobody uses them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.model.frames import Layout
from kpwatch.model.labels import make_labels
from kpwatch.store.catalog import Catalog, Target, pack_ids, unpack_ids
from kpwatch.store.packing import Damaged
from kpwatch.store.schema import migrate
from tests.unit.store.samples import column, layout, target


def tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("memory"))
    return connection


def save(catalog: Catalog, connection: sqlite3.Connection) -> None:
    catalog.write_new(connection)
    catalog.committed()


def loaded(connection: sqlite3.Connection) -> Catalog:
    catalog = Catalog()
    assert catalog.load(connection) == []
    return catalog


def test_names_have_the_same_numbers_after_a_restart() -> None:
    """And new ones go on behind them."""
    with closing(tables()) as connection:
        catalog = Catalog()
        first, _ = catalog.resolve(layout(3, 1))
        number = catalog.target(target(1)).number
        save(catalog, connection)
        again = loaded(connection)
        stored, order = again.resolve(layout(1, 3))
        assert (stored.number, stored.columns.tolist()) == (first.number, first.columns.tolist())
        assert order is not None
        assert order.tolist() == [1, 0]
        assert again.target(target(1)).number == number
        assert again.target(target(2)).number == number + 1
        assert again.resolve(layout(7))[0].columns.tolist() == [3]


def test_one_layout_for_one_set_of_columns() -> None:
    """Whatever order they come in, and a layout object is looked up only once."""
    catalog = Catalog()
    shape = layout(0, 1, 2)
    stored, order = catalog.resolve(shape)
    assert order is None
    assert catalog.resolve(shape)[0] is stored
    assert catalog.resolve(layout(2, 0, 1))[0] is stored


def test_a_column_twice_is_refused() -> None:
    """With its name."""
    with pytest.raises(BadInput, match="m1"):
        Catalog().resolve(layout(0, 1, 1))


def test_a_name_that_could_not_be_written_is_written_next_time() -> None:
    """A transaction that failed forgets nothing: names stay new until a commit."""
    with closing(tables()) as connection:
        catalog = Catalog()
        catalog.resolve(layout(0))
        catalog.target(target(1))
        connection.execute("BEGIN")
        catalog.write_new(connection)
        connection.rollback()
        catalog.write_new(connection)
        catalog.committed()
        catalog.write_new(connection)
        assert loaded(connection).columns == [None, column(0)]


def test_forgetting() -> None:
    """What is forgotten gets a new number if it comes again; a layout object resolved before is resolved afresh."""
    with closing(tables()) as connection:
        catalog = Catalog()
        shape = layout(0, 1)
        stored, _ = catalog.resolve(shape)
        where = catalog.target(target(1))
        save(catalog, connection)
        catalog.forget(connection, [where], [stored], stored.columns)
        assert (catalog.by_metric, catalog.targets, catalog.layouts) == ({}, {}, {})
        assert loaded(connection).by_metric == {}
        assert catalog.resolve(shape)[0].columns.tolist() == [3, 4]
        assert catalog.target(target(1)).number == where.number + 1


def test_the_number_of_a_lost_name_is_not_given_again() -> None:
    """Its samples still stand in blocks, and must not turn into another column's."""
    with closing(tables()) as connection:
        catalog = Catalog()
        catalog.resolve(layout(0, 1, 2))
        save(catalog, connection)
        connection.execute('UPDATE columns SET labels = \'["__name__","evil"]\' WHERE id = 3')
        again = Catalog()
        (damaged,) = again.load(connection)
        assert (damaged.source, damaged.number) == ("columns", 3)
        assert again.columns == [None, column(0), column(1), None]
        assert again.resolve(layout(2))[0].columns.tolist() == [4]


@given(st.sets(st.integers(0, (1 << 31) - 1)), st.integers(1, 1 << 31), st.integers(0, 1 << 60))
def test_ids_and_back(numbers: set[int], row: int, note: int) -> None:
    """And bytes of one row do not pass in another, nor a byte changed."""
    ids = np.array(sorted(numbers), np.uint32)
    packed = pack_ids(row, ids, note)
    back, noted = unpack_ids(row, packed)
    assert (back.tolist(), noted) == (ids.tolist(), note)
    for wrong in ((row + 1, packed), (row, packed[:-1]), (row, packed[:-1] + bytes([packed[-1] ^ 1])), (row, b"")):
        with pytest.raises(Damaged):
            unpack_ids(*wrong)


def test_a_target_remembers_its_columns_and_times() -> None:
    """The union of what it was seen with; the array is shared with the layout where they are equal."""
    catalog = Catalog()
    where = Target(1, target(1))
    wide, narrow, other = (catalog.resolve(layout(*n))[0] for n in ((0, 1, 2), (1,), (5,)))
    for stored, at in ((narrow, 50), (wide, 20), (narrow, 30)):
        where.saw(stored, at)
    assert where.columns is wide.columns
    where.saw(other, 90)
    assert where.columns.tolist() == [1, 2, 3, 4]
    assert (where.first_ms, where.last_ms) == (20, 90)


def test_layouts_of_the_caller_are_not_kept_alive() -> None:
    """A sender that cuts its requests anywhere makes a new layout object each time."""
    catalog = Catalog()
    for _ in range(10):
        catalog.resolve(Layout((make_labels({"__name__": "x"}),)))
    assert len(catalog._resolved) <= 1
