"""Kinds: what the 2.0 requests of all nodes of one kind have in common. Pure.

Two nodes of one version send the same series, and their symbol tables differ in the few texts that say who the node is.
Then all bytes behind the tables are the same but for values and time, so what one node's run (runs.py) means is known
for the other as soon as the tables are compared:

    node a   "" __name__ up ident a instance 10.0.0.1:10249 ...  |  series, series, series
    node b   "" __name__ up ident b instance 10.0.0.2:10249 ...  |  the same bytes, blanked

It is certain only where the symbols that differ are used for nothing but values of the target's labels, and where every
series has the same labels of the target (`make_kind`). Nodes of a kind share the run's bytes and most of the table's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.recent import Recent
from kpwatch.receive.symbols import packed_references

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from kpwatch.receive.runs import Run

_ALIKE = 3
"""Kinds that begin with the same series: versions of one program."""
_ENTRY_BYTES = 600


class Kind(NamedTuple):
    """One node's run, and its table with the symbols that may be others."""

    run: Run
    texts: Sequence[bytes]
    own: frozenset[int]
    """Numbers of the symbols that are values of the target's labels and nothing else."""
    tail: bytes
    """The table as encoded, behind the last of these."""

    def fits(self, texts: Sequence[bytes]) -> bool:
        """Whether these symbols are those of a node of this kind."""
        if len(texts) != len(self.texts):
            return False
        other = {number for number, (one, ours) in enumerate(zip(texts, self.texts, strict=True)) if one != ours}
        return other <= self.own


class Kinds:
    """The kinds seen lately, by the label references of their first series. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        self._kinds: Recent[bytes, tuple[Kind, ...]] = Recent(
            limit_bytes, lambda key, kinds: len(key) + sum(map(_kind_bytes, kinds))
        )

    def find(self, labels: bytes, texts: Sequence[bytes]) -> Kind | None:
        """The kind of a request with these symbols whose first series has this field labels_refs."""
        return next((kind for kind in self._kinds.get(labels) or () if kind.fits(texts)), None)

    def keep(self, labels: bytes, kind: Kind) -> None:
        """Requests that begin so may be of this kind."""
        self._kinds.put(labels, (kind, *(self._kinds.get(labels) or ())[: _ALIKE - 1]))

    def forgotten(self) -> int:
        """How many were dropped for want of room."""
        return self._kinds.forgotten


def make_kind(
    run: Run, texts: Sequence[bytes], table: bytes, fields: Sequence[bytes], target_names: AbstractSet[bytes]
) -> Kind | None:
    """The kind of a node; `fields` are the packed label references of the run's series. None where it has none."""
    packed = packed_references(fields)
    if packed is None:
        return None
    references, ends = packed
    names, values = references[::2], references[1::2]
    of_target = np.fromiter((texts[name] in target_names for name in names.tolist()), np.bool_, len(names))
    pairs = np.stack((names[of_target], values[of_target]), axis=1)
    series_of_pair = np.searchsorted(ends // 2, np.flatnonzero(of_target), "right")
    labels = len(pairs) // len(fields)
    if labels * len(fields) != len(pairs) or (series_of_pair != np.repeat(np.arange(len(fields)), labels)).any():
        return None
    if (pairs.reshape(len(fields), labels, 2) != pairs[:labels]).any():
        return None
    own = frozenset(values[of_target].tolist()) - frozenset(names.tolist()) - frozenset(values[~of_target].tolist())
    behind = max(own, default=-1) + 1
    tail_bytes = sum(len(text) + _header_bytes(len(text)) for text in texts[behind:])
    return Kind(run, texts, own, table[len(table) - tail_bytes :])


def _header_bytes(length: int) -> int:
    """Of a symbol: its tag and its length."""
    return 1 + max(1, -(-length.bit_length() // 7))


def _kind_bytes(kind: Kind) -> int:
    return _ENTRY_BYTES + len(kind.tail) + sum(map(len, kind.texts)) + 60 * len(kind.texts)
