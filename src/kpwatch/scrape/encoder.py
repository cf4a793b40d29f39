"""One target's samples -> Remote Write blocks, in one form: a way of saying `ident`, a version of the protocol.

What a head becomes (`relabel.pipeline`) is found out and encoded once, when it is first seen; a scrape then packs the
values that changed and joins everything around its one timestamp (`remote_write.codecs`). A head that is left out costs
nothing from then on. What was live and is gone gets a staleness marker: a series that left the body, everything when a
scrape fails. Not so samples that bear a timestamp of their own, as in Prometheus: a marker has the time of the scrape,
so the sample, when it is back, would be out of order, for which receivers refuse a whole request.

Two heads may come down to one series (a deleted label, a renamed one): the first keeps the name, the others are
counted as duplicates and not sent, because a request with one series twice is refused by receivers. What is said
`about` every scrape (`up`, `scrape_*`) is ours: a target's own gives way to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.exposition.delta import Layout, Values
from kpwatch.exposition.text import Parsed, Sample, family_of
from kpwatch.model.encoded import EncodedScrape
from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.relabel.identity import on_the_wire
from kpwatch.relabel.pipeline import Pipeline
from kpwatch.remote_write import snappy
from kpwatch.remote_write.codecs import CODECS
from kpwatch.remote_write.v1 import pack_value, timestamp_tail
from kpwatch.scrape.about import ABOUT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.model.encoded import IdentMode, Protocol
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.about import OwnSample


_NOWHERE = -1
_NEVER_STALE = b""


class SeriesEncoder:
    """Encodes one target's scrapes for writers of one form."""

    def __init__(self, identity: Identity, mode: IdentMode, *, protocol: Protocol = "1.0", grain_ms: int = 1) -> None:
        """`grain_ms`: explicit timestamps are cut down to multiples of it."""
        self._pipeline = Pipeline(identity)
        self._mode: IdentMode = mode
        self._codec = CODECS[protocol]()
        self._grain_ms = grain_ms
        self.duplicates = 0
        """Samples of the latest body left out because they come down to a series that is there already."""
        self.added = 0
        """Series of the latest body that the scrape before it did not have; after a failed one all are new."""
        self.left_out: dict[str, int] = {}
        """Samples of the latest body that rules leave out, by the rule (`pipeline.LEFT_OUT`)."""
        self._blocks: dict[bytes, bytes | str] = {}
        """Head as exposed -> label block, or the rule that leaves it out, for the heads of the layout."""
        self._value_maps: dict[bytes, Callable[[float], float]] = {}
        """Head as exposed -> what its values become, for the few that have such a rule."""
        self._types: dict[str, str] = {}
        """What the blocks were made with: a family's type decides how its `le` or `quantile` is written."""
        self._live: dict[bytes, bytes] = {}
        """Series (`series_key`) -> series head, of what the latest scrape had; _NEVER_STALE for what gets no marker."""
        self._gone: list[bytes] = []
        self._heads: list[bytes] = []
        self._parts: list[bytes] = []
        self._part_of_slot: list[int] = []
        self._map_of_slot: dict[int, Callable[[float], float]] = {}
        self._stamped: dict[int, tuple[bytes, int, float, int]] = {}
        self._own_blocks: dict[tuple[str, tuple[tuple[str, str], ...]], bytes | str] = {}
        self._own_maps: dict[tuple[str, tuple[tuple[str, str], ...]], Callable[[float], float]] = {}
        self._own_live: dict[bytes, bytes] = {}
        self._ours: dict[Labels, bytes | str] = {}
        """Series that are ours in every scrape -> their blocks."""
        self._reserve_ours()

    def succeed(self, older: SeriesEncoder) -> None:
        """Go on with a target that `older`, of the same form, encoded by other options.

        What it had live ends with the next scrape unless that has it too. To be called before anything else.
        """
        self._codec = older._codec  # the blocks' own; of 2.0 they mean nothing to another
        self._own_blocks, self._own_maps = {}, {}
        self._reserve_ours()
        self._live, self._own_live, self._gone = older._live, older._own_live, older._gone

    def _reserve_ours(self) -> None:
        self._ours = {}
        for name in sorted(ABOUT_NAMES):  # in one order everywhere: so that all agents' symbols stand alike
            self._own_block(name, ())
        self._our_blocks = frozenset(self._ours.values())

    def feed(self, change: Values | Layout) -> None:
        """Take in what a body changed."""
        if isinstance(change, Layout):
            self._relay(change)
            return
        self.added = 0
        for slot, value in change.changed:
            part = self._part_of_slot[slot]
            if part != _NOWHERE:
                shown = self._map_of_slot[slot](value) if slot in self._map_of_slot else value
                self._parts[part] = self._heads[part] + pack_value(shown)

    @property
    def symbols(self) -> int:
        """Texts that go with every request; those of series long gone are among them."""
        return self._codec.symbols

    @property
    def left_out_slots(self) -> list[int]:
        """Slots of the latest layout that rules leave out."""
        return [slot for slot, block in enumerate(self._blocks.values()) if isinstance(block, str)]

    def encode(self, timestamp_ms: int, own: Iterable[OwnSample]) -> EncodedScrape:
        """Everything live, our own samples, and markers for what is gone, at `timestamp_ms`."""
        own_live = self._encode_own(own)
        markers = self._gone + [head for block, head in self._own_live.items() if block not in own_live]
        parts = self._parts + [head + value for head, value in own_live.values()]
        parts += [head + STALE_NAN_BYTES for head in markers]
        stamped = [
            self._codec.encode_series(block, [(at_ms, value)], start_ms)
            for block, at_ms, value, start_ms in self._stamped.values()
        ]
        self._gone = []
        self._own_live = {block: head for block, (head, _) in own_live.items()}
        return self._finish(parts, stamped, timestamp_ms)

    def end(self) -> None:
        """The scrape failed: what was live is gone."""
        self._gone += filter(None, self._live.values())
        self._live = {}
        self._clear()

    def _clear(self) -> None:
        """Forget where the samples of a body stand."""
        self.duplicates = self.added = 0
        self.left_out = {}
        self._heads, self._parts, self._part_of_slot, self._map_of_slot, self._stamped = [], [], [], {}, {}

    def _relay(self, layout: Layout) -> None:
        live: dict[bytes, bytes] = {}
        blocks: dict[bytes, bytes | str] = {}
        if layout.parsed.types != self._types:
            self._types = layout.parsed.types
            self._blocks = {}
            self._value_maps = {}
        self._clear()
        for slot, sample in enumerate(layout.parsed.samples):
            known = self._blocks.get(sample.head)
            block = blocks[sample.head] = known or self._block_of(sample, layout.parsed)
            self._part_of_slot.append(_NOWHERE)
            if isinstance(block, str):
                self.left_out[block] = self.left_out.get(block, 0) + 1
                continue
            series = self._codec.series_key(block)
            if series in live or block in self._our_blocks:
                self.duplicates += 1
            else:
                live[series] = self._place(slot, sample, block)
                self.added += series not in self._live
        self._gone += [head for series, head in self._live.items() if head and series not in live]
        self._live, self._blocks = live, blocks
        if self._value_maps:
            self._value_maps = {head: value_of for head, value_of in self._value_maps.items() if head in blocks}

    def _place(self, slot: int, sample: Sample, block: bytes) -> bytes:
        """The head of the marker that ends this series."""
        head = self._codec.series_head(block, sample.start_ms)
        value = sample.value
        if sample.head in self._value_maps:
            value_of = self._map_of_slot[slot] = self._value_maps[sample.head]
            value = value_of(value)
        if sample.timestamp_ms is None:
            self._part_of_slot[slot] = len(self._parts)
            self._heads.append(head)
            self._parts.append(head + pack_value(value))
            return head
        at_ms = sample.timestamp_ms - sample.timestamp_ms % self._grain_ms
        self._stamped[slot] = (block, at_ms, value, sample.start_ms)
        return _NEVER_STALE

    def _block_of(self, sample: Sample, parsed: Parsed) -> bytes | str:
        family = family_of(sample.name, parsed.types)
        family_type = parsed.types.get(family, "untyped")
        named = self._pipeline.scraped(sample.name, sample.labels, family, family_type)
        if isinstance(named, str):
            return named
        if named.value_of is not None:
            self._value_maps[sample.head] = named.value_of
        labels = on_the_wire(named.labels, self._mode)
        ours = self._ours.get(labels)
        if ours is not None:
            return ours
        return self._codec.label_block(labels, family_type, parsed.helps.get(family, ""), parsed.units.get(family, ""))

    def _own_block(self, name: str, labels: tuple[tuple[str, str], ...]) -> bytes | str:
        named = self._pipeline.own(name, labels)
        if isinstance(named, str):
            return named
        if named.value_of is not None:
            self._own_maps[name, labels] = named.value_of
        labels = on_the_wire(named.labels, self._mode)
        block = self._codec.label_block(labels, "counter" if name.endswith("_total") else "gauge", "")
        if name in ABOUT_NAMES:
            self._ours[labels] = block
        return block

    def _encode_own(self, own: Iterable[OwnSample]) -> dict[bytes, tuple[bytes, bytes]]:
        live = {}
        for name, labels, value in own:
            block = self._own_blocks.get((name, labels))
            if block is None:
                block = self._own_blocks[name, labels] = self._own_block(name, labels)
            if isinstance(block, str):
                continue  # a rule says so; `Pipeline.own` says which
            value_of = self._own_maps.get((name, labels))
            live[block] = (self._codec.series_head(block), pack_value(value_of(value) if value_of else value))
        if len(self._own_blocks) > 8 * len(live) + 64:  # labels such as a mode change rarely; still, a bound
            self._own_blocks = {key: block for key, block in self._own_blocks.items() if block in live}
            self._own_maps = {key: value_of for key, value_of in self._own_maps.items() if key in self._own_blocks}
        return live

    def _finish(self, parts: list[bytes], stamped: list[bytes], timestamp_ms: int) -> EncodedScrape:
        tail = timestamp_tail(timestamp_ms)
        series = tail.join(parts) + tail if parts else b""
        body = self._codec.request(series + b"".join(stamped))
        return EncodedScrape(snappy.compress(body), len(parts) + len(stamped), timestamp_ms)
