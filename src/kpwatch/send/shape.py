"""What a writer makes of a scrape that cannot go as it is: its own relabel rules, and pieces of what is too large.

Rules see a series as it would go out, `ident` included. Of series that come down to one, what lives goes before what
ends, and the first keeps the name; the others are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.labels import METRIC_NAME, make_labels
from kpwatch.model.numbers import is_stale
from kpwatch.relabel.rules import compile_rules
from kpwatch.remote_write.blocks import read_block, write_block

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from kpwatch.model.encoded import EncodedScrape, Protocol
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.rules import RelabelRule
    from kpwatch.remote_write.blocks import Series

_REMEMBERED_SERIES = 200_000


class Relabelling:
    """A writer's rules; raises ConfigError where one of them cannot be."""

    def __init__(self, rules: Sequence[RelabelRule]) -> None:
        self._apply: Callable[[dict[str, str]], dict[str, str] | None] = compile_rules(rules)
        self._known: dict[Labels, Labels | str] = {}

    def shape(self, scrape: EncodedScrape, protocol: Protocol, left_out: Counter[str]) -> EncodedScrape:
        """The scrape under its new names; what is left out goes to `left_out`, by reason."""
        kept: dict[Labels, Series] = {}
        for series in sorted(read_block(scrape.block, protocol), key=_ends):
            labels = self._relabelled(series.labels)
            reason = labels if isinstance(labels, str) else "duplicate_series" if labels in kept else ""
            if reason:
                left_out[reason] += len(series.samples)
            elif not isinstance(labels, str):
                kept[labels] = series._replace(labels=labels)
        return _encoded(scrape, list(kept.values()), protocol)

    def _relabelled(self, labels: Labels) -> Labels | str:
        known = self._known.get(labels)
        if known is None:
            if len(self._known) >= _REMEMBERED_SERIES:
                self._known.clear()
            changed = self._apply(dict(labels))
            if changed is None:
                known = "relabel"
            else:
                known = make_labels(changed) if changed.get(METRIC_NAME) else "relabel_no_name"
            self._known[labels] = known
        return known


def split(scrape: EncodedScrape, protocol: Protocol, most_samples: int) -> list[EncodedScrape]:
    """Pieces of at most so many samples, but at least a series each; one piece where nothing can be split."""
    pieces: list[list[Series]] = [[]]
    samples = 0
    for series in read_block(scrape.block, protocol):
        if pieces[-1] and samples + len(series.samples) > most_samples:
            pieces.append([])
            samples = 0
        pieces[-1].append(series)
        samples += len(series.samples)
    return [_encoded(scrape, piece, protocol) for piece in pieces]


def with_ends(scrape: EncodedScrape, late: Sequence[EncodedScrape], protocol: Protocol) -> EncodedScrape:
    """A scrape that also says the ends that `late` ones said, unless it has something to say of those series itself."""
    ends = {one.labels: one for other in late for one in read_block(other.block, protocol) if _ends(one)}
    if not ends:
        return scrape
    series = list(read_block(scrape.block, protocol))
    told = {one.labels for one in series}
    series += [
        one._replace(samples=[(scrape.timestamp_ms, one.samples[-1][1])])
        for labels, one in ends.items()
        if labels not in told
    ]
    return _encoded(scrape, series, protocol)


def in_version(scrape: EncodedScrape, written: Protocol, wanted: Protocol) -> EncodedScrape:
    """The same in the other version."""
    return scrape._replace(block=write_block(read_block(scrape.block, written), wanted))


def _ends(series: Series) -> bool:
    return is_stale(series.samples[-1][1])


def _encoded(scrape: EncodedScrape, series: Sequence[Series], protocol: Protocol) -> EncodedScrape:
    samples = sum(len(one.samples) for one in series)
    return scrape._replace(block=write_block(series, protocol), samples=samples)
