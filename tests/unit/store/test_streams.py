"""Numbers come back bit by bit, whatever they are, and steady ones cost next to nothing."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.model.numbers import NORMAL_NAN_BITS, STALE_NAN_BITS
from kpwatch.store.packing import planes, width_of
from kpwatch.store.streams import CONSTANT, XOR, Way, encode_columns, run, unzigzag, way_of, write_columns, zigzag


def bits_of(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


ODD = [
    STALE_NAN_BITS, NORMAL_NAN_BITS, 0x7FF0000000000001, -1, -(1 << 63), 1,
    *(bits_of(x) for x in (0.0, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 2.0**53, 2.0**63,
                           -(2.0**63), 2.0**62, 0.1, 1e-9, 1.5e9, 1795378433.4965894, 9.3e9)),
]  # fmt: skip

words = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(-1000, 1000).map(lambda n: bits_of(float(n))),
    st.integers(-(10**12), 10**12).map(lambda n: bits_of(n / 1e9)),
    st.floats(width=64).map(bits_of),
)


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    rows = draw(st.integers(1, 6))
    lines = draw(st.lists(st.lists(words, min_size=rows, max_size=rows), min_size=1, max_size=6))
    return np.array(lines, np.int64)


def planes_of(words: np.ndarray) -> np.ndarray:
    width = width_of(words)
    return np.frombuffer(planes(words, width), np.uint8).reshape(1, width, len(words))


def decoded(bits: np.ndarray) -> np.ndarray:
    """Columns that move alike are written together."""
    encoded = encode_columns(bits)
    back = np.repeat(encoded.firsts[:, None], bits.shape[1], axis=1)
    alike: dict[tuple[int, int, int], list[int]] = {}
    for line in np.flatnonzero(encoded.kinds).tolist():
        key = (int(encoded.kinds[line]), int(encoded.stream_of[line]), int(encoded.residual_of[line]))
        alike.setdefault(key, []).append(line)
    for (kind, stream, residual), lines in alike.items():
        (moves,) = run(planes_of(encoded.streams[stream]), way_of(kind))
        off = run(planes_of(encoded.streams[residual - 1]), Way.ONCE)[0] if residual else None
        some = np.empty((len(lines), bits.shape[1]), np.int64)
        write_columns(kind, encoded.firsts[lines], moves, off, some)
        back[lines] = some
    return back


@given(matrices())
def test_every_bit_comes_back(bits: np.ndarray) -> None:
    """NaN payloads, signed zeros, infinities, the ends of the range: nothing is rounded, quietened or lost."""
    assert decoded(bits).tolist() == bits.tolist()


whole_numbers = st.sampled_from([0, 1, 1 << 52, (1 << 53) - 1, 1 << 53, (1 << 53) + 2, 1 << 62, (1 << 63) - 1024])


@given(st.lists(whole_numbers, min_size=2, max_size=4), st.lists(whole_numbers, min_size=2, max_size=4), st.booleans())
def test_columns_that_move_together_come_back(firsts: list[int], steps: list[int], falls: bool) -> None:
    """Also at the ends of what a float can say, where adding floats would round what adding integers does not."""
    moves = np.array([0, *steps], np.int64)
    with np.errstate(over="ignore"):
        numbers = np.array(firsts, np.int64)[:, None] + (-moves if falls else moves)
    bits = numbers.astype(np.float64).view(np.int64)
    assert decoded(bits).tolist() == bits.tolist()


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))
def test_zigzag_and_back(numbers: list[int]) -> None:
    """A bijection on 64 bits."""
    assert unzigzag(zigzag(np.array(numbers, np.int64))).tolist() == numbers


KINDS = (
    ("a constant", [3.5, 3.5, 3.5, 3.5], CONSTANT),
    ("the staleness marker throughout", [struct.unpack("<d", struct.pack("<Q", STALE_NAN_BITS))[0]] * 4, CONSTANT),
    ("a counter", [1.0, 4.0, 4.0, 9.0], 1),
    ("a steady counter", [10.0, 20.0, 30.0, 40.0, 51.0], 2),
    ("milliseconds", [0.125, 0.25, 0.126, 0.5], 3),
    ("microseconds", [0.000125, 0.25, 0.126, 0.5], 5),
    ("nanoseconds", [0.000000125, 0.25, 0.126, 0.5], 7),
    ("a sum of nanoseconds with its rounding", [1.0, 1.2162753969999998, 1.1, 1.9], 7),
    ("minus zero", [0.0, -0.0, 1.0, 2.0], XOR),
    ("noise", [0.1234567890123456, 1e-300, 2e250, 3.0], XOR),
    ("infinity", [1.0, float("inf"), 1.0, 1.0], XOR),
)


@pytest.mark.parametrize(("name", "values", "kind"), KINDS)
def test_each_column_gets_the_cheapest_kind_that_is_exact(name: str, values: list[float], kind: int) -> None:
    """Scales are tried from coarse to fine."""
    bits = np.array([values], np.float64).view(np.int64)
    assert encode_columns(bits).kinds.tolist() == [kind], name
    assert decoded(bits).tolist() == bits.tolist()


def test_columns_that_move_together_share_one_stream() -> None:
    """The upper buckets of a histogram all grow by the same steps, from different heights."""
    bits = (np.cumsum([[5, 1, 0, 2], [70, 1, 0, 2], [900, 1, 0, 2], [3, 1, 1, 1]], axis=1) * 1.0).view(np.int64)
    encoded = encode_columns(bits)
    assert len(encoded.streams) == 2
    assert len(set(encoded.stream_of[:3].tolist())) == 1


def test_streams_are_sorted_by_width() -> None:
    """So that neighbours in a group share their zero bytes."""
    bits = np.array([[0.0, 1e12], [0.0, 3.0], [0.0, 40000.0]]).view(np.int64)
    assert encode_columns(bits).widths.tolist() == [1, 3, 6]
