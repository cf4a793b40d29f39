"""One target's samples -> Remote Write blocks, in one form: a way of saying `ident`, a version of the protocol.

What a head becomes (`relabel.pipeline`) is found out and encoded once, when it is first seen; a scrape then writes the
values that changed, and its one timestamp, into the block of the scrape before (`remote_write.standing`). A head that
is left out costs nothing from then on. That block is all that is kept: what else there is to know of a series (its
name, what ends it) is read back from there, as its *part*, the bytes before its timestamp, when the layout changes,
which is rare.

What was live and is gone gets a staleness marker: a series that left the body, everything when a scrape fails. Not so
samples that bear a timestamp of their own, as in Prometheus: a marker has the time of the scrape, so the sample, when
it is back, would be out of order, for which receivers refuse a whole request.

Two heads may come down to one series (a deleted label, a renamed one): the first keeps the name, the others are
counted as duplicates and not sent, because a request with one series twice is refused by receivers. What is said
`about` every scrape (`up`, `scrape_*`) is ours: a target's own gives way to it.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.exposition.delta import Layout, Values
from kpwatch.exposition.text import Parsed, Sample, family_of
from kpwatch.model.encoded import EncodedScrape
from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.relabel.identity import on_the_wire
from kpwatch.relabel.pipeline import LEFT_OUT, Pipeline
from kpwatch.remote_write import snappy
from kpwatch.remote_write.codecs import CODECS
from kpwatch.remote_write.standing import LEARNING_SCRAPES, StandingBlock, lasting_elements
from kpwatch.remote_write.v1 import VALUE_BYTES, pack_value, timestamp_tail
from kpwatch.scrape.about import ABOUT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.model.encoded import IdentMode, Protocol
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.about import OwnSample


_NOWHERE = -1
_FIRST_LEFT_OUT = -2
"""Places of slots without a part: this and what is below it name a row of LEFT_OUT."""
_NEVER_STALE = b""


class _Own(NamedTuple):
    """What a sample of ours becomes."""

    block: bytes
    head: bytes
    value_of: Callable[[float], float] | None


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
        self._types: dict[str, str] = {}
        """What names were made with: a family's type decides how its `le` or `quantile` is written."""
        self._heads: tuple[bytes, ...] = ()
        """As exposed, of the latest layout's slots."""
        self._lows = bytearray()
        """Of the latest layout; shared."""
        self._laid: list[bytes] | None = None
        """The parts of a new layout, until they stand."""
        self._standing: StandingBlock | None = None
        """Series of the latest body, ours behind them."""
        self._own_heads: list[bytes] = []
        """Of our series that stand there."""
        self._part_of_slot: Sequence[int] = ()
        """Its place among the parts, or why it has none."""
        self._slot_of_part: Sequence[int] = ()
        self._value_maps: dict[bytes, Callable[[float], float]] = {}
        """Head as exposed -> what its values become, for the few that have such a rule."""
        self._map_of_slot: dict[int, Callable[[float], float]] = {}
        self._stamped: dict[int, tuple[bytes, int, float, int]] = {}
        """Samples with a timestamp of their own: label block, timestamp_ms, value, start_ms."""
        self._is_live = False
        """Whether the above is what the latest scrape said; after a failed one it only helps to read the next."""
        self._inherited: dict[bytes, bytes] = {}
        """Series that an encoder before this one had live -> what ends them."""
        self._gone: list[bytes] = []
        self._own: dict[tuple[str, tuple[tuple[str, str], ...]], _Own | str] = {}
        """Of our samples, by name and labels: what they become, or why they are left out."""
        self._preamble_symbols = -1
        self._preamble_length = 0
        self._preamble_uses = 0
        self._preamble_elements = b""
        self._own_live: dict[bytes, bytes] = {}
        self._ours: dict[Labels, bytes | str] = {}
        """Series that are ours in every scrape -> their blocks."""
        self._reserve_ours()

    def succeed(self, older: SeriesEncoder) -> None:
        """Go on with a target that `older`, of the same form, encoded by other options.

        What it had live ends with the next scrape unless that has it too. To be called before anything else.
        """
        self._codec = older._codec  # the parts' own; of 2.0 they mean nothing to another
        self._own = {}
        self._reserve_ours()
        self._inherited, self._own_live, self._gone = older._live(), older._own_live, older._gone

    def _reserve_ours(self) -> None:
        self._ours = {}
        for name in sorted(ABOUT_NAMES):  # in one order everywhere: so that all agents' symbols stand alike
            self._named_own(name, ())
        self._our_blocks = frozenset(self._ours.values())

    def feed(self, change: Values | Layout) -> None:
        """Take in what a body changed."""
        if isinstance(change, Layout):
            self._relay(change)
            return
        self.added = 0
        slots, values = change
        if map_of_slot := self._map_of_slot:
            values = [
                map_of_slot[slot](value) if slot in map_of_slot else value
                for slot, value in zip(slots, values, strict=True)
            ]
        if not isinstance(self._part_of_slot, range):  # else slots are parts
            places = list(map(self._part_of_slot.__getitem__, slots))
            is_sent = [place >= 0 for place in places]
            slots, values = list(compress(places, is_sent)), list(compress(values, is_sent))
        if self._laid is not None:
            for place, value in zip(slots, values, strict=True):
                self._laid[place] = self._laid[place][:-VALUE_BYTES] + pack_value(value)
        elif self._standing is not None:
            self._standing.put(slots, values)

    def _parts(self) -> list[bytes]:
        """Series of the latest body, each up to the end of its value."""
        if self._laid is not None or self._standing is None:
            return self._laid or []
        return self._standing.parts()[: len(self._slot_of_part)]

    @property
    def symbols(self) -> int:
        """Texts that go with every request; those of series long gone are among them."""
        return self._codec.symbols

    @property
    def left_out_slots(self) -> list[int]:
        """Slots of the latest layout that rules leave out."""
        return [slot for slot, place in enumerate(self._part_of_slot) if place <= _FIRST_LEFT_OUT]

    def encode(self, timestamp_ms: int, own: Iterable[OwnSample]) -> EncodedScrape:
        """Everything live, our own samples, and markers for what is gone, at `timestamp_ms`."""
        own_live = self._encode_own(own)
        tail = timestamp_tail(timestamp_ms)
        parts = [head + STALE_NAN_BYTES for head in self._gone]
        parts += [head + STALE_NAN_BYTES for block, head in self._own_live.items() if block not in own_live]
        stamped: list[bytes] = []
        length, preamble = self._preamble()
        elements = [preamble]
        samples = 0
        if self._is_live:
            stamped = [
                self._codec.encode_series(block, [(at_ms, value)], start_ms)
                for block, at_ms, value, start_ms in self._stamped.values()
            ]
            standing = self._stand(list(own_live.values()))
            length += standing.length
            elements.append(standing.elements(tail))
            samples = len(self._slot_of_part) + len(own_live)
        else:
            parts = [head + pack_value(value) for head, value in own_live.values()] + parts
        if parts or stamped:
            rest = tail.join([*parts, b"".join(stamped)])
            length += len(rest)
            elements.append(snappy.elements_of(snappy.compress(rest)))
        self._gone = []
        self._own_live = {block: head for block, (head, _) in own_live.items()}
        block = snappy.block_of(length, elements)
        return EncodedScrape(block, samples + len(parts) + len(stamped), timestamp_ms)

    def _preamble(self) -> tuple[int, bytes]:
        """Length and elements of what comes before the series; made anew where there are more symbols."""
        symbols = self._codec.symbols
        if symbols != self._preamble_symbols:
            content = self._codec.preamble()
            self._preamble_symbols, self._preamble_length, self._preamble_uses = symbols, len(content), 0
            self._preamble_elements = snappy.elements_of(snappy.compress(content)) if content else b""
        self._preamble_uses += 1
        if self._preamble_uses == LEARNING_SCRAPES and self._preamble_elements:  # it seems to stay: a better look pays
            self._preamble_elements = lasting_elements(self._codec.preamble())
        return self._preamble_length, self._preamble_elements

    def _stand(self, own: list[tuple[bytes, float]]) -> StandingBlock:
        """The block of the latest body's series and, behind them, ours, with their values."""
        heads = [head for head, _ in own]
        if self._laid is None and self._standing is not None and heads == self._own_heads:
            series = len(self._slot_of_part)
            self._standing.put(range(series, series + len(own)), [value for _, value in own])
            return self._standing
        parts = self._parts()
        parts += [head + pack_value(value) for head, value in own]
        self._standing = StandingBlock(parts, self._slot_of_part, self._lows)
        self._laid, self._own_heads = None, heads
        return self._standing

    def end(self) -> None:
        """The scrape failed: what was live is gone."""
        self._gone += filter(None, self._live().values())
        self._is_live, self._inherited = False, {}
        self.duplicates = self.added = 0
        self.left_out = {}

    def _live(self) -> dict[bytes, bytes]:
        """Series (`series_key`) -> what ends them, of what the latest scrape had; _NEVER_STALE for what gets no marker.

        Before the first body of one's own that is what was inherited.
        """
        if not self._is_live:
            return self._inherited
        key_of, block_of = self._codec.series_key, self._codec.block_of_head
        live = {key_of(block_of(head)): head for head in (part[:-VALUE_BYTES] for part in self._parts())}
        live.update((key_of(block), _NEVER_STALE) for block, *_ in self._stamped.values())
        return live

    def _relay(self, layout: Layout) -> None:
        before, known = self._live(), self._known(layout.parsed.types)
        live: set[bytes] = set()
        parts: list[bytes] = []
        places = array("i")
        stamped: dict[int, tuple[bytes, int, float, int]] = {}
        self.duplicates = self.added = 0
        self.left_out = {}
        for slot, sample in enumerate(layout.parsed.samples):
            place = _NOWHERE
            block = known.get(sample.head) or self._block_of(sample, layout.parsed)
            if isinstance(block, str):
                self.left_out[block] = self.left_out.get(block, 0) + 1
                place = _FIRST_LEFT_OUT - LEFT_OUT.index(block)
            elif (series := self._codec.series_key(block)) in live or block in self._our_blocks:
                self.duplicates += 1
            else:
                live.add(series)
                self.added += series not in before
                value_of = self._value_maps.get(sample.head)
                value = value_of(sample.value) if value_of else sample.value
                if sample.timestamp_ms is None:
                    place = len(parts)
                    parts.append(self._codec.series_head(block, sample.start_ms) + pack_value(value))
                else:
                    at_ms = sample.timestamp_ms - sample.timestamp_ms % self._grain_ms
                    stamped[slot] = (block, at_ms, value, sample.start_ms)
            places.append(place)
        self._gone += [head for series, head in before.items() if head and series not in live]
        self._is_live, self._inherited = True, {}
        self._heads, self._lows, self._laid, self._stamped = layout.heads, layout.lows, parts, stamped
        self._slot_of_part = [slot for slot, place in enumerate(places) if place >= 0]
        self._part_of_slot = range(len(parts)) if len(parts) == len(places) else places
        if isinstance(self._part_of_slot, range):
            self._slot_of_part = self._part_of_slot
        self._map_of_slot = {}
        if self._value_maps:
            found = ((slot, self._value_maps.get(head)) for slot, head in enumerate(layout.heads))
            self._map_of_slot = {slot: value_of for slot, value_of in found if value_of is not None}
            self._value_maps = {layout.heads[slot]: value_of for slot, value_of in self._map_of_slot.items()}

    def _known(self, types: dict[str, str]) -> dict[bytes, bytes | str]:
        """What was found out about the heads of the latest layout: label blocks, or why they are left out."""
        if types != self._types:
            self._types, self._value_maps = types, {}
            return {}
        known: dict[bytes, bytes | str] = {}
        parts = self._parts()
        for head, place in zip(self._heads, self._part_of_slot, strict=True):
            if place >= 0:
                known[head] = self._codec.block_of_head(parts[place][:-VALUE_BYTES])
            elif place <= _FIRST_LEFT_OUT:
                known[head] = LEFT_OUT[_FIRST_LEFT_OUT - place]
        known.update((self._heads[slot], block) for slot, (block, *_) in self._stamped.items())
        return known

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

    def _named_own(self, name: str, labels: tuple[tuple[str, str], ...]) -> _Own | str:
        named = self._pipeline.own(name, labels)
        if isinstance(named, str):
            return named
        wire_labels = on_the_wire(named.labels, self._mode)
        block = self._codec.label_block(wire_labels, "counter" if name.endswith("_total") else "gauge", "")
        if name in ABOUT_NAMES:
            self._ours[wire_labels] = block
        return _Own(block, self._codec.series_head(block), named.value_of)

    def _encode_own(self, own: Iterable[OwnSample]) -> dict[bytes, tuple[bytes, float]]:
        """Block -> head and value."""
        live = {}
        for name, labels, value in own:
            known = self._own.get((name, labels))
            if known is None:
                known = self._own[name, labels] = self._named_own(name, labels)
            if isinstance(known, str):
                continue  # a rule says so; `Pipeline.own` says which
            block, head, value_of = known
            live[block] = (head, value_of(value) if value_of else value)
        if len(self._own) > 8 * len(live) + 64:  # labels such as a mode change rarely; still, a bound
            self._own = {
                key: known for key, known in self._own.items() if isinstance(known, _Own) and known.block in live
            }
        return live
