"""What a writer makes of a scrape that cannot go as it is: pieces, late ends, the other version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.numbers import is_stale
from kpwatch.remote_write.blocks import read_block, write_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.encoded import EncodedScrape, Protocol
    from kpwatch.remote_write.blocks import Series


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
