"""Annotations: what a reader should know about an answer that is not an error (util/annotations of Prometheus).

Each text comes once, in order of first appearance, with the last place it was said of, as in Prometheus; at most
`MOST_OF_A_KIND` of a kind are kept, the rest are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_OF_A_KIND = 10


@dataclass(slots=True)
class Notes:
    """Warnings and infos of one query."""

    _warnings: dict[str, str] = field(default_factory=dict)
    """Texts and their places."""
    _infos: dict[str, str] = field(default_factory=dict)

    def warn(self, text: str, places: Sequence[str] = (), argument: int = 0) -> None:
        """The answer may not mean what was asked; `places` are a call's, `argument` 0 is the call itself."""
        self._warnings[f"PromQL warning: {text}"] = _place(places, argument)

    def info(self, text: str, places: Sequence[str] = (), argument: int = 0) -> None:
        """The query or the data looks odd."""
        self._infos[f"PromQL info: {text}"] = _place(places, argument)

    @property
    def warnings(self) -> list[str]:
        """What to show."""
        return _shown(self._warnings, "warning")

    @property
    def infos(self) -> list[str]:
        """What to show."""
        return _shown(self._infos, "info")


def _place(places: Sequence[str], argument: int) -> str:
    return f" ({places[argument]})" if argument < len(places) else ""


def _shown(texts: dict[str, str], kind: str) -> list[str]:
    if not texts:
        return []
    shown = [text + place for text, place in texts.items()]
    if len(shown) <= MOST_OF_A_KIND:
        return shown
    return [*shown[:MOST_OF_A_KIND], f"{len(shown) - MOST_OF_A_KIND} more {kind} annotations omitted"]
