"""One target's samples -> Remote Write blocks, one per way of saying `ident`.

Labels are put together, made legal and encoded once, when a head is first seen; a scrape then packs the values that
changed and joins everything around its one timestamp (`remote_write.v1`). What was live and is gone gets a staleness
marker: a series that left the body, everything when a scrape fails.

Two heads may come down to one series (a deleted label, a renamed one): the first keeps the name, the others are
counted as duplicates and not sent, because a request with one series twice is refused by receivers. `up` is ours: a
target's own gives way to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from kpwatch.exposition.delta import Layout, Values
from kpwatch.exposition.text import Sample, family_of
from kpwatch.model.encoded import EncodedScrape
from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.relabel.identity import Identity, on_the_wire
from kpwatch.remote_write import snappy, v1

if TYPE_CHECKING:
    from collections.abc import Iterable

IdentMode = Literal["add", "rename", "off"]


class OwnSample(NamedTuple):
    """A sample of ours about the target (`up`, health); always a gauge."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


_NOWHERE = -1


class SeriesEncoder:
    """Encodes one target's scrapes for writers of one ident mode."""

    def __init__(self, identity: Identity, mode: IdentMode) -> None:
        self._identity = identity
        self._mode: IdentMode = mode
        self.duplicates = 0
        """Samples of the latest body left out because they come down to a series that is there already."""
        self._blocks: dict[bytes, bytes] = {}
        """Head as exposed -> label block, for the heads of the layout."""
        self._types: dict[str, str] = {}
        """What the blocks were made with: a family's type decides how its `le` or `quantile` is written."""
        self._live: dict[bytes, bytes] = {}
        """Label block -> series head, of what the latest scrape had."""
        self._gone: list[bytes] = []
        self._heads: list[bytes] = []
        self._parts: list[bytes] = []
        self._part_of_slot: list[int] = []
        self._stamped: dict[int, tuple[bytes, int, float]] = {}
        self._own_blocks: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}
        self._own_live: dict[bytes, bytes] = {}
        self._up_block = self._own_block("up", ())

    def feed(self, change: Values | Layout) -> None:
        """Take in what a body changed."""
        if isinstance(change, Layout):
            self._relay(change)
            return
        for slot, value in change.changed:
            part = self._part_of_slot[slot]
            if part != _NOWHERE:
                self._parts[part] = self._heads[part] + v1.pack_value(value)

    def encode(self, timestamp_ms: int, own: Iterable[OwnSample]) -> EncodedScrape:
        """Everything live, our own samples, and markers for what is gone, at `timestamp_ms`."""
        own_live = self._encode_own(own)
        markers = self._gone + [head for block, head in self._own_live.items() if block not in own_live]
        parts = self._parts + [head + value for head, value in own_live.values()]
        parts += [head + STALE_NAN_BYTES for head in markers]
        stamped = [v1.encode_series(block, [(at_ms, value)]) for block, at_ms, value in self._stamped.values()]
        self._gone = []
        self._own_live = {block: head for block, (head, _) in own_live.items()}
        return _finish(parts, stamped, timestamp_ms)

    def end(self) -> None:
        """The scrape failed: what was live is gone."""
        self._gone += self._live.values()
        self._live = {}
        self.duplicates = 0
        self._heads, self._parts, self._part_of_slot, self._stamped = [], [], [], {}

    def _relay(self, layout: Layout) -> None:
        live: dict[bytes, bytes] = {}
        blocks: dict[bytes, bytes] = {}
        if layout.parsed.types != self._types:
            self._types = layout.parsed.types
            self._blocks = {}
        self.duplicates = 0
        self._heads, self._parts, self._part_of_slot, self._stamped = [], [], [], {}
        for slot, sample in enumerate(layout.parsed.samples):
            block = self._blocks.get(sample.head) or self._label_block(sample, layout.parsed.types)
            blocks[sample.head] = block
            self._part_of_slot.append(_NOWHERE)
            if block in live or block == self._up_block:
                self.duplicates += 1
            else:
                live[block] = self._place(slot, sample, block)
        self._gone += [head for block, head in self._live.items() if block not in live]
        self._live, self._blocks = live, blocks

    def _place(self, slot: int, sample: Sample, block: bytes) -> bytes:
        head = self._live.get(block) or v1.series_head(block)
        if sample.timestamp_ms is None:
            self._part_of_slot[slot] = len(self._parts)
            self._heads.append(head)
            self._parts.append(head + v1.pack_value(sample.value))
        else:
            self._stamped[slot] = (block, sample.timestamp_ms, sample.value)
        return head

    def _label_block(self, sample: Sample, types: dict[str, str]) -> bytes:
        family = family_of(sample.name, types)
        labels = self._identity.printed(sample.name, sample.labels, family, types.get(family, "untyped"))
        return v1.encode_labels(on_the_wire(labels, self._mode))

    def _encode_own(self, own: Iterable[OwnSample]) -> dict[bytes, tuple[bytes, bytes]]:
        live = {}
        for name, labels, value in own:
            block = self._own_blocks.get((name, labels))
            if block is None:
                block = self._own_blocks[name, labels] = self._own_block(name, labels)
            live[block] = (v1.series_head(block), v1.pack_value(value))
        if len(self._own_blocks) > 8 * len(live) + 64:  # labels such as a mode change rarely; still, a bound
            self._own_blocks = {key: block for key, block in self._own_blocks.items() if block in live}
        return live

    def _own_block(self, name: str, labels: tuple[tuple[str, str], ...]) -> bytes:
        printed = self._identity.printed(name, labels, name, "gauge")
        return v1.encode_labels(on_the_wire(printed, self._mode))


def _finish(parts: list[bytes], stamped: list[bytes], timestamp_ms: int) -> EncodedScrape:
    tail = v1.timestamp_tail(timestamp_ms)
    body = tail.join(parts) + tail if parts else b""
    return EncodedScrape(snappy.compress(body + b"".join(stamped)), len(parts) + len(stamped), timestamp_ms)
