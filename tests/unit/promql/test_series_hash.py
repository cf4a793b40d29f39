"""xxHash64 and the hash of labels."""

from __future__ import annotations

import pytest

from kpwatch.promql.series_hash import hash_labels, xxhash64

# github.com/Cyan4973/xxHash and its ports publish these.
VECTORS = [
    (b"", 0xEF46DB3751D8E999),
    (b"a", 0xD24EC4F1A98C6E5B),
    (b"as", 0x1C330FB2D66BE179),
    (b"asd", 0x631C37CE72A97393),
    (b"asdf", 0x415872F599CEA71E),
    (b"abc", 0x44BC2CF5AD770999),
    (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0x02A2E85470D6FD96),
    (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS, ids=[str(len(data)) for data, _ in VECTORS])
def test_known_hashes(data: bytes, expected: int) -> None:
    """Every length class: empty, bytes, words, stripes."""
    assert xxhash64(data) == expected


def test_labels_are_hashed_as_one_string_of_sized_texts() -> None:
    """One byte of size, four from 255 bytes on."""
    assert hash_labels((("a", "bc"),)) == xxhash64(b"\x01a\x02bc")
    long = "x" * 300
    assert hash_labels((("a", long),)) == xxhash64(b"\x01a\xff\x2c\x01\x00" + long.encode())
    assert hash_labels(()) == xxhash64(b"")
