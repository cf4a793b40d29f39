"""Where panels stand: 24 columns, sections one below the other, panels of a section from left to right. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.panels import Board, Panel, Panels, Section

COLUMNS = 24
_SIZES = {"timeseries": (12, 8), "heatmap": (12, 8), "state": (12, 8), "stat": (8, 5), "table": (24, 9)}
"""Kind -> (columns, rows of the grid)."""


class Place(NamedTuple):
    """A rectangle of the grid."""

    x: int
    y: int
    width: int
    height: int


def laid_out(table: Panels, board: Board) -> Iterator[tuple[Section | Panel, Place]]:
    """Sections, each before its panels."""
    x = y = height = 0
    section = ""
    for panel in table.of(board.id):
        if panel.section != section:
            section = panel.section
            y, x, height = y + height, 0, 0
            yield next(each for each in table.sections if each.id == section), Place(0, y, COLUMNS, 1)
            y += 1
        width, rows = _SIZES[panel.kind]
        if x + width > COLUMNS:
            y, x, height = y + height, 0, 0
        yield panel, Place(x, y, width, rows)
        x, height = x + width, max(height, rows)


def described(panel: Panel, language: str) -> str:
    """What it means in both languages, this one first, and what to read where it looks bad."""
    other = "en" if language == "zh" else "zh"
    says = "哪里不对，看这些检查" if language == "zh" else "Where it looks bad, see"
    checks = ", ".join(f"`{check}`" for check in panel.checks)
    return f"{panel.means.in_language(language)}\n\n{panel.means.in_language(other)}\n\n{says}: {checks}"
