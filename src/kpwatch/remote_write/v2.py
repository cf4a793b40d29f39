"""Remote Write 2.0, both directions.

    Request     4 symbols*  5 timeseries*
    TimeSeries  1 labels_refs (packed)  2 samples*  3 histograms*  4 exemplars*  5 metadata
                6 created_timestamp (int64, ms; until rc.3, before samples had one)
    Sample      1 value (double)  2 timestamp (int64, ms)  3 start_timestamp (int64, ms)
    Metadata    1 type  3 help_ref  4 unit_ref

(prometheus.io/docs/specs/prw/remote_write_spec_2_0; symbols[0] is "".) A series names its labels by references into the
request's symbol table, so requests cannot be joined as those of 1.0 can: one scrape of one target is one request.

Sending is prepared as in `v1`: metadata goes before the sample, so that everything up to the value is a head that is
made once. The table is laid out so that heads can be the same bytes for every target: first the target's own labels,
always at the same places, then what all targets of one version share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.base.named import NamedTuple
from kpwatch.remote_write.protobuf import decode_varint, encode_varint, signed, skip_field
from kpwatch.remote_write.v1 import SAMPLE_BYTES, SAMPLE_PREFIX, decode_sample, encode_samples, pack_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.model.labels import Labels

CONTENT_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
VERSION = "2.0.0"
WRITTEN_HEADERS = {
    "samples": "X-Prometheus-Remote-Write-Samples-Written",
    "histograms": "X-Prometheus-Remote-Write-Histograms-Written",
    "exemplars": "X-Prometheus-Remote-Write-Exemplars-Written",
}

METADATA_TYPES = {
    "unspecified": 0, "counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5, "info": 6,
    "stateset": 7,
}  # fmt: skip

_SAMPLE_TAG = 0x12
_SAMPLE_CONTENT_BYTES = 16
"""A value and a timestamp of six bytes, each with its tag."""


class SymbolTable:
    """The strings of one target's requests; a reference never changes once it is given."""

    def __init__(self) -> None:
        self._references: dict[str, int] = {"": 0}
        self._encoded = [b"\x22\x00"]

    def __len__(self) -> int:
        return len(self._references)

    def reference(self, text: str) -> int:
        """The place of `text`, added at the end where it is new."""
        reference = self._references.get(text)
        if reference is None:
            reference = self._references[text] = len(self._encoded)
            content = text.encode()
            self._encoded.append(b"\x22" + encode_varint(len(content)) + content)
        return reference

    def encode(self) -> bytes:
        """The request's symbols."""
        return b"".join(self._encoded)


def encode_labels(labels: Labels, symbols: SymbolTable) -> bytes:
    """The field `labels_refs` of sorted labels."""
    references = b"".join(
        encode_varint(symbols.reference(name)) + encode_varint(symbols.reference(value)) for name, value in labels
    )
    return b"\n" + encode_varint(len(references)) + references


def encode_metadata(family_type: str, help_text: str, unit: str, symbols: SymbolTable) -> bytes:
    """The field `metadata`; b"" where nothing is known."""
    content = b""
    if METADATA_TYPES.get(family_type, 0):
        content += b"\x08" + encode_varint(METADATA_TYPES[family_type])
    if help_text:
        content += b"\x18" + encode_varint(symbols.reference(help_text))
    if unit:
        content += b"\x20" + encode_varint(symbols.reference(unit))
    return b"\x2a" + encode_varint(len(content)) + content if content else b""


def labels_field(block: bytes) -> bytes:
    """The field `labels_refs` with which a block of labels and metadata begins."""
    length, begin = decode_varint(block, 1)
    return block[: begin + length]


def series_head(block: bytes, start_ms: int = 0) -> bytes:
    """What comes before the value of a series with one sample; `block` is labels_refs and metadata.

    `start_ms`, when its counter began, stands before the value: a field may, and so it is part of the head.
    """
    if not start_ms:
        return b"\x2a" + encode_varint(len(block) + SAMPLE_BYTES) + block + SAMPLE_PREFIX
    start = _encode_start(start_ms)
    sample = b"\x12" + encode_varint(len(start) + _SAMPLE_CONTENT_BYTES) + start + b"\x09"
    return b"\x2a" + encode_varint(len(block) + len(sample) + _SAMPLE_CONTENT_BYTES - 1) + block + sample


def block_of_head(head: bytes) -> bytes:
    """The block in a `series_head`: its fields up to the sample."""
    begin = end = decode_varint(head, 1)[1]
    while head[end] != _SAMPLE_TAG:
        length, content = decode_varint(head, end + 1)
        end = content + length
    return head[begin:end]


def encode_series(block: bytes, samples: Sequence[tuple[int, float]], start_ms: int = 0) -> bytes:
    """One TimeSeries field with any number of samples (timestamp_ms, value), which all began at `start_ms`."""
    if not start_ms:
        content = block + encode_samples(samples)
        return b"\x2a" + encode_varint(len(content)) + content
    start = _encode_start(start_ms)
    fields = []
    for timestamp_ms, value in samples:
        sample = start + b"\x09" + pack_value(value) + b"\x10" + encode_varint(timestamp_ms)
        fields.append(b"\x12" + encode_varint(len(sample)) + sample)
    content = block + b"".join(fields)
    return b"\x2a" + encode_varint(len(content)) + content


def _encode_start(start_ms: int) -> bytes:
    return b"\x18" + encode_varint(start_ms)


class Metadata(NamedTuple):
    """What a series says about its family."""

    type: str
    help: str
    unit: str


class RawSeries(NamedTuple):
    """One TimeSeries as it stands: with references."""

    references: list[int]
    samples: list[tuple[int, float]]
    """(timestamp_ms, value) in the body's order; NaN bits kept."""
    metadata: tuple[int, int, int]
    """Type, references to help and unit; zeros where nothing is said."""
    described: bool
    """Whether there was any metadata."""
    histograms: int
    exemplars: int
    start_timestamps: int
    """How many were given."""
    start_ms: int
    """The last of them; 0 where none was."""


class WriteSeries(NamedTuple):
    """One TimeSeries with its texts."""

    labels: tuple[tuple[str, str], ...]
    """As sent: unsorted and unchecked."""
    samples: list[tuple[int, float]]
    """(timestamp_ms, value) in the body's order; NaN bits kept."""
    metadata: Metadata
    histograms: int
    exemplars: int
    start_ms: int = 0
    """When the counter of its last sample began; 0 where nothing is said."""


_TYPE_NAMES = {number: name for name, number in METADATA_TYPES.items()}


def decode_request(body: bytes) -> Iterator[WriteSeries]:
    """Every TimeSeries of a decompressed Request; raises BadInput with the byte where it stops making sense."""
    symbols: list[str] = []
    spans: list[tuple[int, int]] = []
    end = len(body)
    position = 0
    while position < end:
        tag, position = decode_varint(body, position)
        if tag in (0x22, 0x2A):
            length, begin = decode_varint(body, position)
            position = begin + length
            if position > end:
                raise BadInput(
                    f"protobuf: field {tag >> 3} at byte {begin} reaches byte {position}, the body ends at {end}"
                )
            if tag == 0x22:
                symbols.append(_text(body[begin:position], begin))
            else:
                spans.append((begin, position))
        else:
            position = skip_field(body, tag, position, end)
    if spans and (not symbols or symbols[0]):
        raise BadInput('remote write 2.0: the first symbol must be ""')
    for begin, stop in spans:
        series = decode_series(body, begin, stop)
        check_references(series, len(symbols), begin)
        texts = [symbols[reference] for reference in series.references]
        kind, help_ref, unit_ref = series.metadata
        yield WriteSeries(
            tuple(zip(texts[::2], texts[1::2], strict=True)),
            series.samples,
            Metadata(_TYPE_NAMES.get(kind, "unspecified"), symbols[help_ref], symbols[unit_ref]),
            series.histograms,
            series.exemplars,
            series.start_ms,
        )


def _text(content: bytes, position: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"remote write 2.0: the symbol at byte {position} is not UTF-8: {content[:60]!r}") from error


def decode_series(body: bytes, begin: int, end: int, parts_max: int | None = None) -> RawSeries:
    """The TimeSeries whose content is body[begin:end].

    Raises BadInput with the byte where it stops making sense, TooLarge where it has more than `parts_max` references,
    samples or other parts.
    """
    position = begin
    references: list[int] = []
    samples: list[tuple[int, float]] = []
    metadata, described = (0, 0, 0), False
    histograms = exemplars = start_timestamps = start_ms = parts = 0
    while position < end:
        tag, position = decode_varint(body, position)
        parts += 1
        if tag in (0x0A, 0x12, 0x2A):
            length, content = decode_varint(body, position)
            position = content + length
            if position > end:
                raise BadInput(f"protobuf: field {tag >> 3} at byte {content} reaches beyond its series at {begin}")
            if tag == 0x0A:
                parts += length
                _check_parts(parts, parts_max)
                references += _packed(body, content, position)
            elif tag == 0x12:
                timestamp_ms, value, start = _decode_sample(body, content, position)
                samples.append((timestamp_ms, value))
                if start is not None:
                    start_timestamps, start_ms = start_timestamps + 1, start
            else:
                metadata, described = decode_metadata(body, content, position), True
        elif tag == 0x08:  # labels_refs unpacked: allowed by protobuf
            reference, position = decode_varint(body, position)
            references.append(reference)
        else:
            histograms += tag == 0x1A
            exemplars += tag == 0x22
            start_timestamps += tag == 0x30
            position = skip_field(body, tag, position, end)
        _check_parts(parts, parts_max)
    if position > end:
        raise BadInput(f"protobuf: a field of the series at byte {begin} reaches byte {position}, it ends at {end}")
    return RawSeries(references, samples, metadata, described, histograms, exemplars, start_timestamps, start_ms)


def check_references(series: RawSeries, symbols: int, begin: int) -> None:
    """Raises BadInput where the series at byte `begin` refers to what is not there, or not in pairs."""
    if len(series.references) % 2:
        raise BadInput(
            f"remote write 2.0: the series at byte {begin} has {len(series.references)} label references, an odd number"
        )
    if (highest := max(series.references, default=0)) >= symbols:
        raise BadInput(f"remote write 2.0: the series at byte {begin} refers to symbol {highest}, there are {symbols}")
    check_metadata(series.metadata, symbols, begin)


def check_metadata(metadata: tuple[int, int, int], symbols: int, begin: int) -> None:
    """Raises BadInput where the metadata at byte `begin` refers to what is not there."""
    if max(metadata[1:]) >= max(1, symbols):
        raise BadInput(
            f"remote write 2.0: the metadata at byte {begin} refers to symbol {max(metadata[1:])}, there are {symbols}"
        )


def decode_metadata(body: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Type, references to help and unit."""
    numbers = {1: 0, 3: 0, 4: 0}
    while position < end:
        tag, position = decode_varint(body, position)
        if tag in (0x08, 0x18, 0x20):
            numbers[tag >> 3], position = decode_varint(body, position)
        else:
            position = skip_field(body, tag, position, end)
    if position > end:
        raise BadInput(f"protobuf: metadata reaches byte {position}, it ends at {end}")
    return numbers[1], numbers[3], numbers[4]


def _check_parts(parts: int, parts_max: int | None) -> None:
    if parts_max is not None and parts > parts_max:
        raise TooLarge(f"one series has more than {parts_max} labels and samples; send fewer at once")


def _packed(body: bytes, position: int, end: int) -> list[int]:
    numbers = []
    while position < end:
        number, position = decode_varint(body, position)
        numbers.append(number)
    if position > end:
        raise BadInput(f"protobuf: packed numbers reach byte {position}, they end at {end}")
    return numbers


def _decode_sample(body: bytes, position: int, end: int) -> tuple[int, float, int | None]:
    """(timestamp_ms, value, start timestamp in ms or None) of a Sample."""
    timestamp_ms, value = decode_sample(body, position, end)
    while position < end:
        tag, position = decode_varint(body, position)
        if tag == 0x18:
            return timestamp_ms, value, signed(decode_varint(body, position)[0])
        position = skip_field(body, tag, position, end)
    return timestamp_ms, value, None
