"""Parts a test needs from outside: skipped on a laptop that lacks them, a failure in CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
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


def kubectl() -> str:
    """Path of kubectl with a kustomize that knows components (1.21 and later); skipped where it is absent, also in CI.

    Debian's is older and Kubernetes' own is in no distribution.
    """
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("missing here: the program kubectl (1.21 or later)")
    return path


def built_page() -> Path:
    """Where `make page` has put the page."""
    static = Path(__file__).parents[1] / "src" / "kpwatch" / "ui" / "static"
    return require(static if (static / "index.html").exists() else None, "the built page (make page)")


def prometheus_3() -> str | None:
    """Path of a Prometheus 3: named by KPWATCH_PROMETHEUS_3, or in PATH; None where there is only an older one.

    Distributions still carry version 2, so what is held against version 3 is skipped where it is absent, also in CI.
    """
    for path in (os.environ.get("KPWATCH_PROMETHEUS_3"), shutil.which("prometheus3"), shutil.which("prometheus")):
        if path and (major := _major_version(path)) is not None and major >= 3:
            return path
    return None


def _major_version(path: str) -> int | None:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"version (\d+)\.", answer.stdout + answer.stderr)
    return int(found[1]) if found else None
