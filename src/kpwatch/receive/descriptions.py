"""What senders of Remote Write 2.0 say of their metrics: type, unit and help, by family. In memory, since the start.

A request says it again with every series, and decoding passes over it. So it is read here, slowly, from requests whose
bytes were not known, and seldom where that teaches nothing: after a request without news the next one is let go, then
two, four, up to `SKIP_MOST`. What a sender says later than its first requests is therefore heard late, not never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.metadata import FamilyMetadata
from kpwatch.remote_write.v2 import decode_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAMILIES_MOST = 20_000
PER_FAMILY_MOST = 4
"""Versions of a component say things in different words."""
HELP_CHARACTERS = 1024
SKIP_MOST = 1024

_SUFFIXES = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
}


class Descriptions:
    """Learns from bodies; what it knows may be read from any thread."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[FamilyMetadata, ...]] = {}
        self._skip = self._skipped = 0
        self.refused = 0
        """Descriptions for which there was no room."""

    def families(self) -> Mapping[str, Sequence[FamilyMetadata]]:
        """Family -> what is said of it, in the order it was first said."""
        return dict(self._families)

    def learn(self, body: bytes) -> None:
        """Read a decompressed request of 2.0 that was decoded without complaint, or let it go."""
        if self._skipped < self._skip:
            self._skipped += 1
            return
        self._skipped = 0
        is_news = False
        for series in decode_request(body):
            said = series.metadata
            if said.type == "unspecified" and not said.help and not said.unit:
                continue  # nothing is said
            name = next((value for label, value in series.labels if label == "__name__"), "")
            kind = "unknown" if said.type == "unspecified" else said.type
            is_news |= self._add(family_of(name, kind), FamilyMetadata(kind, said.unit, said.help[:HELP_CHARACTERS]))
        self._skip = 0 if is_news else min(max(1, self._skip * 2), SKIP_MOST)

    def _add(self, family: str, said: FamilyMetadata) -> bool:
        known = self._families.get(family, ())
        if said in known:
            return False
        if len(known) >= PER_FAMILY_MOST or (not known and len(self._families) >= FAMILIES_MOST):
            self.refused += 1
            return False
        self._families[family] = (*known, said)
        return True


def family_of(name: str, kind: str) -> str:
    """The family that a series belongs to: `x` of `x_bucket`."""
    suffix = next((one for one in _SUFFIXES.get(kind, ()) if name.endswith(one)), "")
    return name.removesuffix(suffix)
