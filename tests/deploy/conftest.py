"""What tests of the long form share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deploy.debian import make_debian

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests change copies of it."""
    return make_debian(tmp_path_factory.mktemp("base") / "debian")
