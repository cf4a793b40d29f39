"""What is said to repeat does repeat."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.remote_write.repeats import repeats

FAR_BACK = 32 << 10
TEXTS = st.lists(
    st.sampled_from([b"kubeproxy_sync_", b'le="0.', b"\0" * 300, b"a", b"10.206.0.7"]) | st.binary(max_size=20)
)


def check(content: bytes) -> int:
    """Hold what is said against the content; gives how many bytes repeat."""
    end = total = 0
    for begin, length, back in repeats(content):
        assert end <= begin
        assert 3 <= length <= 258
        assert 1 <= back <= min(begin, FAR_BACK)
        for place in range(begin, begin + length):
            assert content[place] == content[place - back]
        end, total = begin + length, total + length
    assert end <= len(content)
    return total


@given(TEXTS)
def test_any_content(texts: list[bytes]) -> None:
    """Whatever it holds, in order and never beyond its end."""
    check(b"".join(texts))


@pytest.mark.parametrize("size", [0, 1, 1_000, 200_000])
def test_noise(size: int) -> None:
    """A content without repetition is stored by zlib as it is, in blocks of its own; what follows is found."""
    noise = random.Random(1).randbytes(size)
    found = check(noise + b"series" * 50_000)
    assert 299_000 <= found <= 300_000 + size // 100


def test_every_length_and_distance() -> None:
    """Each code of both tables, least and greatest of its range."""
    source = random.Random(2)
    content = bytearray(source.randbytes(1 << 15))
    wanted = [(length, 1 << bits) for length in range(4, 259) for bits in (3, 9, 13)]
    wanted += [(20, (1 << bits) + more) for bits in range(5, 15) for more in (0, 1, (1 << bits) - 300)]
    for length, back in wanted:
        begin = len(content) - back
        content += (content[begin : begin + length] * (length // back + 1))[:length] + source.randbytes(8)
    assert check(bytes(content)) >= sum(length for length, back in wanted if back <= FAR_BACK - 300) * 0.99
