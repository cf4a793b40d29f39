"""A writer's own relabel rules, applied to encoded scrapes on their way out.

Rules see a series as it would go out, `ident` included. Of series that come down to one, what lives goes before what
ends, and the first keeps the name; the others are counted.

A scrape is mostly the previous scrape of its source, so what became of it is remembered as rows: a series' bytes up to
its value -> the same under its new name, or the reason why it is left out. As long as the rows fit, a scrape is cut and
joined by them; where one does not, it is taken apart and the rows are made anew.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.model.labels import METRIC_NAME, make_labels
from kpwatch.model.numbers import is_stale
from kpwatch.relabel.rules import compile_rules
from kpwatch.remote_write import snappy
from kpwatch.remote_write.blocks import LIMIT_BYTES, read_block, write_block
from kpwatch.remote_write.codecs import CODECS
from kpwatch.remote_write.protobuf import decode_varint
from kpwatch.remote_write.v1 import pack_value, timestamp_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.encoded import EncodedScrape, Protocol
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.rules import RelabelRule
    from kpwatch.remote_write.blocks import Series

_REMEMBERED_SOURCES = 4096
_VALUE_AND_TIME_BYTES = 8 + 7
_SERIES_TAGS: dict[Protocol, int] = {"1.0": 0x0A, "2.0": 0x2A}


class _Rows(NamedTuple):
    """What became of a source's latest scrape."""

    protocol: Protocol
    before: bytes
    """What stands before the first series: the symbols of 2.0."""
    rows: list[tuple[bytes, bytes | str]]
    new_before: bytes

    def apply(self, body: bytes, parts: list[bytes], left_out: Counter[str]) -> bool:
        """Cut `body` by the rows into `parts`; False where they do not fit."""
        if not body.startswith(self.before):
            return False
        parts.append(self.new_before)
        position = len(self.before)
        for head, new_head in self.rows:
            if not body.startswith(head, position):
                return False
            begin = position + len(head)
            position = begin + _VALUE_AND_TIME_BYTES
            if isinstance(new_head, str):
                left_out[new_head] += 1
            else:
                parts += (new_head, body[begin:position])
        return position == len(body)


class Relabelling:
    """A writer's rules; raises ConfigError where one of them cannot be."""

    def __init__(self, rules: Sequence[RelabelRule]) -> None:
        self._apply: Callable[[dict[str, str]], dict[str, str] | None] = compile_rules(rules)
        self._rows: dict[int, _Rows] = {}
        """By source."""

    def shape(self, scrape: EncodedScrape, protocol: Protocol, left_out: Counter[str]) -> EncodedScrape:
        """The scrape under its new names; what is left out goes to `left_out`, by reason."""
        rows = self._rows.get(scrape.source)
        if rows is not None and rows.protocol == protocol:
            body = snappy.decompress(scrape.block, LIMIT_BYTES)
            parts: list[bytes] = []
            reasons: Counter[str] = Counter()
            if rows.apply(body, parts, reasons):
                left_out.update(reasons)
                return scrape._replace(block=snappy.compress(b"".join(parts)), samples=len(parts) // 2)
        return self._take_apart(scrape, protocol, left_out)

    def _take_apart(self, scrape: EncodedScrape, protocol: Protocol, left_out: Counter[str]) -> EncodedScrape:
        every = list(read_block(scrape.block, protocol))
        names = [self._relabelled(series.labels) for series in every]
        self._rows.pop(scrape.source, None)
        rows = _rows_of(scrape, every, names, protocol) if scrape.source else None
        if rows is not None:
            while len(self._rows) >= _REMEMBERED_SOURCES:
                self._rows.pop(next(iter(self._rows)))
            self._rows[scrape.source] = rows
        kept: dict[Labels, Series] = {}
        for series, name in sorted(zip(every, names, strict=True), key=lambda pair: _ends(pair[0])):
            if isinstance(name, str):
                left_out[name] += len(series.samples)
            elif name in kept:
                left_out["duplicate_series"] += len(series.samples)
            else:
                kept[name] = series._replace(labels=name)
        samples = sum(len(series.samples) for series in kept.values())
        return scrape._replace(block=write_block(kept.values(), protocol), samples=samples)

    def _relabelled(self, labels: Labels) -> Labels | str:
        """The new name, or the reason why there is none."""
        changed = self._apply(dict(labels))
        if changed is None:
            return "relabel"
        return make_labels(changed) if changed.get(METRIC_NAME) else "relabel_no_name"


def _ends(series: Series) -> bool:
    return is_stale(series.samples[-1][1])


def _rows_of(
    scrape: EncodedScrape, every: Sequence[Series], names: Sequence[Labels | str], protocol: Protocol
) -> _Rows | None:
    """Rows for the next scrape of this source.

    None where one has to look at values (series that come down to one), or where a series does not end with its value
    and a time of six bytes (a target with clocks of its own).
    """
    kept = [name for name in names if not isinstance(name, str)]
    if len(set(kept)) < len(kept):
        return None
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    before, fields = _fields(body, _SERIES_TAGS[protocol])
    codec = CODECS[protocol]()
    rows: list[tuple[bytes, bytes | str]] = []
    for field, series, name in zip(fields, every, names, strict=True):
        head, end = field[:-_VALUE_AND_TIME_BYTES], field[-_VALUE_AND_TIME_BYTES:]
        ((at_ms, value),) = series.samples if len(series.samples) == 1 else ((0, 0.0),)
        if at_ms != scrape.timestamp_ms or head[-1:] != b"\x09" or end != pack_value(value) + timestamp_tail(at_ms):
            return None
        if isinstance(name, str):
            rows.append((head, name))
        else:
            block = codec.label_block(name, series.family_type, series.help, series.unit)
            rows.append((head, codec.series_head(block, series.start_ms)))
    return _Rows(protocol, before, rows, codec.preamble())


def _fields(body: bytes, series_tag: int) -> tuple[bytes, list[bytes]]:
    """(what stands before the first series, each series with its tag)."""
    fields = []
    position = 0
    while position < len(body):
        begin = position
        tag, position = decode_varint(body, position)
        length, position = decode_varint(body, position)
        position += length
        if tag == series_tag:
            fields.append(body[begin:position])
    return body[: len(body) - sum(map(len, fields))], fields
