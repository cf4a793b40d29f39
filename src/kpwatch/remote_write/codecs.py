"""The two versions of Remote Write behind one interface: what an encoder, a converter and a writer need of a version.

A codec belongs to one target, because 2.0 keeps the target's strings; 1.0 has nothing to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kpwatch.remote_write import v1, v2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.encoded import Protocol as Version
    from kpwatch.model.labels import Labels


class SeriesCodec(Protocol):
    """Encodes series of one target."""

    @property
    def symbols(self) -> int:
        """How many texts go with every request, whatever its series."""
        ...

    def label_block(self, labels: Labels, family_type: str, help_text: str, unit: str = "") -> bytes:
        """Everything a series says about itself."""
        ...

    def series_key(self, block: bytes) -> bytes:
        """The part of a block that tells series apart: all but metadata."""
        ...

    def series_head(self, block: bytes, start_ms: int = 0) -> bytes:
        """What comes before the value of a series with one sample at the scrape's timestamp.

        `start_ms`: when its counter began; 0 where that is not known.
        """
        ...

    def block_of_head(self, head: bytes) -> bytes:
        """The block of which a series head was made."""
        ...

    def encode_series(self, block: bytes, samples: Sequence[tuple[int, float]], start_ms: int = 0) -> bytes:
        """A whole series with samples at any time."""
        ...

    def preamble(self) -> bytes:
        """What comes before the series in the body of a request."""
        ...

    def request(self, series: bytes) -> bytes:
        """The body of a request that holds these series."""
        ...


class CodecV1:
    """Remote Write 1.0: every series carries its labels in full and nothing about its family."""

    symbols = 0

    def label_block(self, labels: Labels, _family_type: str, _help_text: str, _unit: str = "") -> bytes:
        """The label fields."""
        return v1.encode_labels(labels)

    def series_key(self, block: bytes) -> bytes:
        """There is nothing but labels."""
        return block

    def series_head(self, block: bytes, _start_ms: int = 0) -> bytes:
        """See `v1.series_head`."""
        return v1.series_head(block)

    def block_of_head(self, head: bytes) -> bytes:
        """See `v1.block_of_head`."""
        return v1.block_of_head(head)

    def encode_series(self, block: bytes, samples: Sequence[tuple[int, float]], _start_ms: int = 0) -> bytes:
        """See `v1.encode_series`."""
        return v1.encode_series(block, samples)

    def preamble(self) -> bytes:
        """Nothing: the series are the request."""
        return b""

    def request(self, series: bytes) -> bytes:
        """The series."""
        return series


class CodecV2:
    """Remote Write 2.0: labels and help are references into the target's symbols."""

    def __init__(self) -> None:
        self._symbols = v2.SymbolTable()

    @property
    def symbols(self) -> int:
        """Size of the table."""
        return len(self._symbols)

    def label_block(self, labels: Labels, family_type: str, help_text: str, unit: str = "") -> bytes:
        """References to the labels, and metadata."""
        return v2.encode_labels(labels, self._symbols) + v2.encode_metadata(family_type, help_text, unit, self._symbols)

    def series_key(self, block: bytes) -> bytes:
        """The references alone."""
        return v2.labels_field(block)

    def series_head(self, block: bytes, start_ms: int = 0) -> bytes:
        """See `v2.series_head`."""
        return v2.series_head(block, start_ms)

    def block_of_head(self, head: bytes) -> bytes:
        """See `v2.block_of_head`."""
        return v2.block_of_head(head)

    def encode_series(self, block: bytes, samples: Sequence[tuple[int, float]], start_ms: int = 0) -> bytes:
        """See `v2.encode_series`."""
        return v2.encode_series(block, samples, start_ms)

    def preamble(self) -> bytes:
        """The symbols."""
        return self._symbols.encode()

    def request(self, series: bytes) -> bytes:
        """The symbols, then the series."""
        return self._symbols.encode() + series


CODECS: dict[Version, type[CodecV1 | CodecV2]] = {"1.0": CodecV1, "2.0": CodecV2}

HEADERS: dict[Version, dict[str, str]] = {
    "1.0": {"Content-Type": v1.CONTENT_TYPE, "X-Prometheus-Remote-Write-Version": v1.VERSION},
    "2.0": {"Content-Type": v2.CONTENT_TYPE, "X-Prometheus-Remote-Write-Version": v2.VERSION},
}
"""What a request of each version says of itself, beside `Content-Encoding: snappy`."""
