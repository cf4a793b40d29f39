"""docs/formats/database.md says what the code writes: its schema word for word, its rows read by hand."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path

import cramjam

from kpwatch.store.schema import FILE_NAME, MIGRATIONS, connect_writer, migrate
from tests.unit.store.samples import T0, column, frame, layout, opened, target

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "formats" / "database.md").read_text()


def words(sql: str) -> str:
    return " ".join(sql.split()).replace("( ", "(")


def test_the_schema_is_the_page_s(tmp_path: Path) -> None:
    """Every table and index, and nothing else; the version in the heading."""
    with closing(connect_writer(tmp_path / "new")) as connection:
        migrate(connection, tmp_path / "new")
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    said = re.search(r"## Schema version (\d+)\n\n```sql\n(.*?)```", PAGE, re.DOTALL)
    assert said is not None
    assert int(said[1]) == len(MIGRATIONS)
    statements = ["CREATE" + text for text in said[2].split("CREATE")[1:]]
    assert sorted(words(text) for text in statements) == sorted(
        words(sql).replace("IF NOT EXISTS ", "") for (sql,) in found
    )


def crc(number: int, raw: bytes) -> int:
    return zlib.crc32(number.to_bytes(8, "little") + raw)


def ids_of(number: int, raw: bytes) -> tuple[list[int], int]:
    checksum, count, note = struct.unpack_from("<IIq", raw)
    assert checksum == crc(number, raw[4:])
    planes = bytes(cramjam.zstd.decompress(raw[16:]))
    steps = [int.from_bytes(planes[place::count], "little") for place in range(count)]
    return [sum(steps[: place + 1]) for place in range(count)], note


def test_rows_read_by_hand(tmp_path: Path) -> None:
    """Names, lists of columns, a frame of the journal, what a block covers."""
    with opened(tmp_path, close_seconds=0) as store:
        for number in range(3):
            store.append([frame(1, layout(4, 2), T0 + number, [number + 0.5, 7.0])]).result(60)
            if number == 1:
                store.seal()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        names = connection.execute("SELECT id, CAST(labels AS BLOB), checksum FROM columns ORDER BY id").fetchall()
        assert [json.loads(text) for _, text, _ in names] == [
            [part for pair in column(n) for part in pair] for n in (4, 2)
        ]
        ((number, labels, checksum, state),) = connection.execute(
            "SELECT id, CAST(labels AS BLOB), checksum, state FROM targets"
        )
        assert json.loads(labels) == [part for pair in target(1) for part in pair]
        assert all(crc(n, text) == expected for n, text, expected in [*names, (number, labels, checksum)])
        assert ids_of(number, state) == ([1, 2], 2)
        ((number, packed),) = connection.execute("SELECT id, columns FROM layouts")
        assert ids_of(number, packed) == ([1, 2], 0)
        ((*numbers, checksum, samples),) = connection.execute("SELECT * FROM journal WHERE id > 2")
        assert numbers == [3, 1, 1, T0 + 2]
        assert checksum == zlib.crc32(struct.pack("<4q", *numbers) + samples)
        values = bytes(cramjam.lz4.decompress_block(samples, output_len=16))
        assert struct.unpack("<2d", values) == (2.5, 7.0)
        ((number, *covers, checksum, body),) = connection.execute("SELECT * FROM blocks")
        assert covers == [1, T0, T0 + 1, 2, 4]
        assert checksum == crc(number, struct.pack("<6q", *covers, len(body)))
        assert body.startswith(b"KPB1")
