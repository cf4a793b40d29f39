"""A Debian made by debootstrap, for tests of the long form: the base image of one, a host to install on for another."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.parts import program, require

LONG = bool(os.environ.get("KPWATCH_LONG"))
NOT_LONG = "minutes and a network: make long"
PACKAGES = "python3,python3-venv,ca-certificates,tzdata,busybox-static"
OURS = ("resolv.conf", "ssl/certs/ca-certificates.crt")
"""Files of this machine's /etc that it needs to reach PyPI as this machine does."""


def make_debian(root: Path) -> Path:
    """The root filesystem at `root`."""
    require(program("debootstrap") if os.geteuid() == 0 else None, "root, for a root filesystem")
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)],
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout[-2000:]
    for name in OURS:
        shutil.copy(Path("/etc") / name, root / "etc" / name)
    return root


def copy_of(debian: Path, root: Path) -> Path:
    """One to change."""
    subprocess.run(["cp", "-a", str(debian), str(root)], check=True)
    return root
