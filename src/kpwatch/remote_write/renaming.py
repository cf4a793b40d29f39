"""The `ident` rule on bytes: a request as it came, but for the label that names its node.

What Nightingale's `/prometheus/v1/write` does (and `receive/labels.py` for samples that are kept here): a non-empty
`ident` stays; else `agent_hostname` becomes `ident`, or, where it was asked for, `host`. Labels stay sorted. Everything
else keeps its bytes: samples, exemplars, histograms, metadata, fields nobody here knows.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput
from kpwatch.remote_write.protobuf import decode_varint, encode_varint, skip_field
from kpwatch.remote_write.v1 import SAMPLE_PREFIX, decode_labels, encode_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.encoded import Protocol

IDENT = "ident"
NODE_LABELS = ("agent_hostname",)
NODE_LABELS_WITH_HOST = ("agent_hostname", "host")

REMEMBERED_BYTES = 32 << 20
"""What a Renamer remembers; then it begins anew."""

_SAMPLE_BYTES = 18
"""Of the usual end of a series: one sample with a timestamp of six bytes (v1.py)."""
_SYMBOL_TAG = 0x22

Pairs = tuple[tuple[str, str], ...]
Fields = list[tuple[int, int, int, int]]
"""(tag, where the field begins, where its content begins, where it ends)."""


def renamed(pairs: Pairs, sources: Sequence[str]) -> Pairs | None:
    """Labels after the rule; None where they stay as they are."""
    labels = dict(pairs)
    if labels.get(IDENT) or len(labels) != len(pairs):
        return None  # a label that comes twice is the engine's to refuse
    source = next((name for name in sources if labels.get(name)), "")
    if not source:
        return None
    labels[IDENT] = labels.pop(source)
    return tuple(sorted(labels.items()))


class Renamer:
    """Applies the rule, and remembers what it made of a series' bytes: all but the sample is the same next time."""

    def __init__(self, sources: Sequence[str] = NODE_LABELS) -> None:
        self._sources = sources
        self._needles = [source.encode() for source in sources]
        self._known: dict[bytes, dict[bytes, bytes]] = {}
        """Symbols (2.0) -> a series up to its sample -> the same as it is sent; b"" where it stays."""
        self._known_bytes = 0

    def rename(self, body: bytes, protocol: Protocol) -> bytes:
        """A decompressed request after the rule; the same object where nothing is renamed. Raises BadInput."""
        if not any(needle in body for needle in self._needles):
            return body
        fields = _fields(body, 0, len(body))
        if protocol == "1.0":
            return self._with_series(body, fields, 0x0A, b"", lambda inner: _series_v1(body, inner, self._sources))
        symbols = _Symbols([body[content:end] for tag, _, content, end in fields if tag == _SYMBOL_TAG])
        if not symbols.have_any(self._needles):
            return body
        after = self._with_series(
            body, fields, 0x2A, symbols.digest, lambda inner: _series_v2(body, inner, symbols, self._sources)
        )
        return body if after is body else after + symbols.added

    def _with_series(
        self, body: bytes, fields: Fields, series_tag: int, symbols: bytes, rename: Callable[[Fields], bytes]
    ) -> bytes:
        if self._known_bytes > REMEMBERED_BYTES:
            self._known, self._known_bytes = {}, 0
        known = self._known.setdefault(symbols, {})
        parts: list[bytes] = []
        kept = 0
        for tag, field, content, end in fields:
            if tag != series_tag:
                continue  # it keeps its bytes
            tail = end - _SAMPLE_BYTES
            is_usual = tail > content and body[tail : tail + 3] == SAMPLE_PREFIX and body[end - 7] == 0x10
            head = body[content:tail] if is_usual else b""
            begun = known.get(head) if head else None
            if begun is None:
                inner = _fields(body, content, end)
                series = rename(inner)
                if head and inner[-1][1] == tail:
                    known[head] = series[:-_SAMPLE_BYTES]
                    self._known_bytes += 2 * len(head) + 200
                if series:
                    parts += body[kept:field], series
                    kept = end
            elif begun:
                parts += body[kept:field], begun
                kept = tail
        return b"".join((*parts, body[kept:])) if parts else body


def _fields(body: bytes, begin: int, end: int) -> Fields:
    """The fields of body[begin:end]; raises BadInput where they do not fit."""
    found: Fields = []
    position = begin
    while position < end:
        field = position
        tag, position = decode_varint(body, position)
        content = position
        if tag & 7 == 2:
            length = body[position] if position < end else 0x80
            if length < 0x80:
                content = position + 1
            else:
                length, content = decode_varint(body, position)
            position = content + length
        else:
            position = skip_field(body, tag, position, end)
        if position > end:
            raise BadInput(f"protobuf: field {tag >> 3} at byte {field} reaches byte {position}, beyond {end}")
        found.append((tag, field, content, position))
    return found


def _series_v1(body: bytes, inner: Fields, sources: Sequence[str]) -> bytes:
    """The whole field of a series after the rule; b"" where it stays as it is."""
    labels = b"".join([body[field:end] for tag, field, _, end in inner if tag == 0x0A])
    pairs = renamed(decode_labels(labels), sources)
    if pairs is None:
        return b""
    content = encode_labels(pairs) + b"".join([body[field:end] for tag, field, _, end in inner if tag != 0x0A])
    return b"\x0a" + encode_varint(len(content)) + content


class _Symbols:
    """The strings of a 2.0 request. A new one is added at the end, which moves no other."""

    def __init__(self, texts: list[bytes]) -> None:
        self.texts = texts
        self.digest = hashlib.blake2b(b"\0".join(texts) + struct.pack("<I", len(texts)), digest_size=16).digest()
        name = IDENT.encode()
        self.added = b"" if name in texts else b"\x22" + encode_varint(len(name)) + name
        self._places: dict[bytes, int] = {}

    def have_any(self, names: Sequence[bytes]) -> bool:
        """Whether any of the names is among them."""
        return not set(names).isdisjoint(self.texts)

    def text(self, place: int, begin: int) -> str:
        """The string at `place`; raises BadInput."""
        if place >= len(self.texts):
            raise BadInput(
                f"remote write 2.0: the series at byte {begin} refers to symbol {place} of {len(self.texts)}"
            )
        try:
            return self.texts[place].decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"remote write 2.0: symbol {place} is not UTF-8: {self.texts[place][:60]!r}") from error

    def place(self, text: str) -> int:
        """Where a string stands that is one of them, or `ident`."""
        if not self._places:
            self._places = {known: place for place, known in reversed(list(enumerate(self.texts)))}
            self._places.setdefault(IDENT.encode(), len(self.texts))
        return self._places[text.encode()]


def _series_v2(body: bytes, inner: Fields, symbols: _Symbols, sources: Sequence[str]) -> bytes:
    """The whole field of a series after the rule; b"" where it stays as it is."""
    begin = inner[0][1] if inner else 0
    references: list[int] = []
    for tag, field, content, end in inner:
        if tag == 0x0A:
            position = content
            while position < end:
                reference, position = decode_varint(body, position)
                references.append(reference)
        elif tag == 0x08:  # unpacked: allowed by protobuf
            references.append(decode_varint(body, field + 1)[0])
    if len(references) % 2:
        raise BadInput(f"remote write 2.0: the series at byte {begin} has an odd number of label references")
    texts = [symbols.text(place, begin) for place in references]
    pairs = renamed(tuple(zip(texts[::2], texts[1::2], strict=True)), sources)
    if pairs is None:
        return b""
    packed = b"".join([encode_varint(symbols.place(text)) for pair in pairs for text in pair])
    others = [body[field:end] for tag, field, _, end in inner if tag not in (0x0A, 0x08)]
    series = b"".join((b"\x0a", encode_varint(len(packed)), packed, *others))
    return b"\x2a" + encode_varint(len(series)) + series
