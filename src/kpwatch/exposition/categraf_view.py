"""A body as Categraf shows it: which samples, in which order, in which words.

`--test` of the original prints what its own parser made of a body (inputs/prometheus, pkg/metrics, writer/writers.go):
family by family, a histogram as count, sum, `+Inf` and then its buckets, a summary as count, sum and quantiles; NaN
counters, gauges and untyped are left out; a missing count or sum is 0. Family order is random there and the body's
own here. The original prints `le="+Inf"` twice for text bodies; once is right, and it prints once for protobuf.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from kpwatch.base.named import NamedTuple
from kpwatch.exposition.text import family_of
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import METRIC_NAME, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.exposition.text import Parsed, Sample
    from kpwatch.model.labels import Labels

Pairs = tuple[tuple[str, str], ...]

_INFINITE = ("+inf", "inf", "+infinity", "infinity")

Dialect = Literal["v0.2", "v0.4"]
"""v0.2, the article's: `HH:MM:SS name …`. v0.4, of Categraf since 0.3.78: `UNIXSECONDS HH:MM:SS name …`."""


class Shown(NamedTuple):
    """One sample as Categraf has it, before labels are added."""

    name: str
    labels: Pairs
    value: float
    family: str
    family_type: str
    timestamp_ms: int | None


def view(parsed: Parsed) -> Iterator[Shown]:
    """The samples Categraf would make of this body."""
    for family, samples in _by_family(parsed).items():
        family_type = parsed.types.get(family, "untyped")
        if family_type in ("histogram", "summary"):
            for group in _by_own_labels(samples, "le" if family_type == "histogram" else "quantile"):
                yield from _compound(family, family_type, group)
        else:
            for sample in samples:
                if not math.isnan(sample.value):
                    yield Shown(sample.name, sample.labels, sample.value, family, family_type, sample.timestamp_ms)


def format_line(labels: Labels, value: float, *, local_time: str, unix_seconds: int, dialect: Dialect) -> str:
    """One line of `--test` without its end; labels in byte order of the whole `name=value`, nothing quoted."""
    pairs = sorted(f"{name}={text}" for name, text in labels if name != METRIC_NAME)
    words = [local_time, metric_name(labels), *pairs, format_g(value)]
    if dialect == "v0.4":
        words.insert(0, str(unix_seconds))
    return " ".join(words)


def _by_family(parsed: Parsed) -> dict[str, list[Sample]]:
    families: dict[str, list[Sample]] = {}
    for sample in parsed.samples:
        families.setdefault(family_of(sample.name, parsed.types), []).append(sample)
    return families


def _by_own_labels(samples: Iterable[Sample], number_label: str) -> Iterable[list[Sample]]:
    """A family's samples by what is left of their labels without `le` or `quantile`: one list per metric."""
    groups: dict[Pairs, list[Sample]] = {}
    for sample in samples:
        own = tuple(sorted(pair for pair in sample.labels if pair[0] != number_label))
        groups.setdefault(own, []).append(sample)
    return groups.values()


def _compound(family: str, family_type: str, group: list[Sample]) -> Iterator[Shown]:
    number_label = "le" if family_type == "histogram" else "quantile"
    by_name = {sample.name: sample for sample in group}
    own = tuple(pair for pair in group[0].labels if pair[0] != number_label)
    stamp = group[0].timestamp_ms

    def total(name: str) -> float:
        return by_name[name].value if name in by_name else 0.0

    yield Shown(f"{family}_count", own, total(f"{family}_count"), family, family_type, stamp)
    yield Shown(f"{family}_sum", own, total(f"{family}_sum"), family, family_type, stamp)
    numbered = [sample for sample in group if number_label in dict(sample.labels)]
    if family_type == "histogram":
        infinite = [sample for sample in numbered if dict(sample.labels)["le"].lower() in _INFINITE]
        count = infinite[-1].value if infinite else total(f"{family}_count")
        yield Shown(f"{family}_bucket", (*own, ("le", "+Inf")), count, family, family_type, stamp)
        numbered = [sample for sample in numbered if sample not in infinite]
    for sample in numbered:
        yield Shown(sample.name, sample.labels, sample.value, family, family_type, sample.timestamp_ms)
