"""Captures by name, as scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.captured import scrape_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpwatch.doctor.documents import Scrape


@pytest.fixture(scope="session")
def captured(shared_dir: Path) -> Callable[[str], Scrape]:
    """The scrape of `1.36.3-iptables-churn` and the like."""
    known: dict[str, Scrape] = {}

    def of(name: str) -> Scrape:
        if name not in known:
            known[name] = scrape_of(shared_dir / "captures", name)
        return known[name]

    return of
