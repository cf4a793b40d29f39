"""What a hub was at is told apart by its steps' times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.lib import steps
from bench.lib.steps import Step

if TYPE_CHECKING:
    from pathlib import Path

DONE = [Step("seal", 1.0, 2.0, 0.5), Step("journal", 2.0, 2.5, 0.25), Step("seal", 4.0, 5.0, 1.0)]


@pytest.mark.parametrize(
    ("began", "ended", "seconds"),
    [(0.0, 9.0, 2.5), (1.5, 2.25, 0.75), (2.5, 4.0, 0.0), (4.25, 4.5, 0.25), (6.0, 7.0, 0.0)],
)
def test_what_lies_within_two_times(began: float, ended: float, seconds: float) -> None:
    """Of each step the part between them."""
    assert steps.within(DONE, began, ended) == seconds


def test_a_file_of_steps(tmp_path: Path) -> None:
    """As the hub writes it, in the order they ended."""
    file = tmp_path / "steps"
    file.write_text("".join(f"{one.stage} {one.began:.6f} {one.ended:.6f} {one.cpu_seconds:.6f}\n" for one in DONE))
    assert steps.read(file) == DONE
