"""Parts a test needs from outside: skipped on a laptop that lacks them, a failure in CI."""

from __future__ import annotations

import os
import shutil
from typing import TypeVar

import pytest

Part = TypeVar("Part")


def require(part: Part | None, name: str) -> Part:
    """`part`, or a skip that names it; with CI=true an absent part fails the test."""
    if part is not None:
        return part
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing on this CI machine: {name}", pytrace=False)
    pytest.skip(f"missing here: {name}")


def program(name: str) -> str:
    """Path of a real program."""
    return require(shutil.which(name), f"the program {name} (scripts/install-test-parts)")
