"""Snappy blocks are checked before they are opened, and joined without being opened."""

from __future__ import annotations

import tracemalloc

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.remote_write.protobuf import encode_varint
from kpwatch.remote_write.snappy import MAX_EXPANSION, compress, decompress, join_blocks, promised_length

LIMIT_BYTES = 1 << 20
TEXT = b"kubeproxy " * 500 + bytes(range(256))

BAD_BLOCKS = [
    # block, words of the error
    (b"", "does not begin with a length"),
    (b"\x80", "does not begin with a length"),
    (b"\xff\xff\xff\xff\x7f" + bytes(9), "does not begin with a length"),
    (b"\xff\xff\xff\xff\xff\x01" + bytes(9), "does not begin with a length"),
    (encode_varint(6) + b"\x10hello", "expected 6 decompressed bytes but got 5"),
    (encode_varint(4) + b"\x10hello", "corrupt block of 7 bytes"),
    (encode_varint(5) + b"\x10hell", "corrupt block of 6 bytes"),
    (encode_varint(4) + b"\x0e\x01\x00", "corrupt"),
    (encode_varint(1000) + b"\x00a", "promises 1000 bytes, 4 bytes cannot hold that many"),
    (b'{"json": true}' + bytes(40), "send snappy's block format"),
    (b"\x28\xb5\x2f\xfd" + bytes(20), "send snappy's block format"),
    (b"\xff\x06\x00\x00sNaPpY" + bytes(20), "send snappy's block format"),
]


@pytest.mark.parametrize("content", [b"", b"a", TEXT, bytes(300_000)])
def test_there_and_back(content: bytes) -> None:
    """What is compressed comes back, and its header promises its length."""
    block = compress(content)
    assert promised_length(block)[0] == len(content)
    assert decompress(block, LIMIT_BYTES) == content


@given(st.lists(st.binary(max_size=300) | st.sampled_from([TEXT, b"", b"\0" * 70_000]), max_size=5))
def test_joined_blocks_are_the_contents_joined(contents: list[bytes]) -> None:
    """Blocks one after the other under the summed length are a block, for another decoder too."""
    joined = join_blocks(compress(content) for content in contents)
    expected = b"".join(contents)
    assert decompress(joined, 1 << 30) == expected
    assert bytes(cramjam.snappy.decompress_raw(joined)) == expected


@pytest.mark.parametrize(("block", "words"), BAD_BLOCKS)
def test_bad_block(block: bytes, words: str) -> None:
    """What is no block is refused with words, and not as too large."""
    with pytest.raises(BadInput, match=words) as caught:
        decompress(block, LIMIT_BYTES)
    assert not isinstance(caught.value, TooLarge)


def test_over_the_limit() -> None:
    """Content of exactly the limit is taken, one byte more is not."""
    assert len(decompress(compress(bytes(LIMIT_BYTES)), LIMIT_BYTES)) == LIMIT_BYTES
    with pytest.raises(TooLarge, match=f"{LIMIT_BYTES + 1} bytes, the limit is {LIMIT_BYTES}"):
        decompress(compress(bytes(LIMIT_BYTES + 1)), LIMIT_BYTES)


@pytest.mark.parametrize(
    ("limit_bytes", "error", "words"),
    [(LIMIT_BYTES, TooLarge, "decompresses to 4294967295 bytes"), (1 << 40, BadInput, "cannot hold that many")],
)
def test_a_promise_of_4_gib_costs_nothing(limit_bytes: int, error: type[BadInput], words: str) -> None:
    """A header is no reason to allocate: neither against the limit nor, where the limit is higher, for real."""
    block = encode_varint(0xFFFFFFFF) + b"\x10hello"
    tracemalloc.start()
    try:
        with pytest.raises(error, match=words):
            decompress(block, limit_bytes)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_the_best_case_of_compression_is_within_the_bound() -> None:
    """No honest block is refused for promising too much."""
    block = compress(bytes(1 << 24))
    assert promised_length(block)[0] <= len(block) * MAX_EXPANSION
    assert len(decompress(block, 1 << 24)) == 1 << 24


def test_cut_anywhere() -> None:
    """A block cut at any byte is BadInput and nothing else."""
    block = compress(TEXT)
    for cut in range(len(block)):
        with pytest.raises(BadInput):
            decompress(block[:cut], LIMIT_BYTES)


@given(st.binary(max_size=200), st.integers(0, 1 << 33))
def test_any_bytes_are_read_or_refused(elements: bytes, promised: int) -> None:
    """Nothing but BadInput leaves it, whatever the header says."""
    for block in (elements, encode_varint(promised) + elements):
        try:
            content = decompress(block, LIMIT_BYTES)
        except BadInput:
            continue  # refused: nothing more to hold it against
        assert len(content) == promised_length(block)[0] <= LIMIT_BYTES
