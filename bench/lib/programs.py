"""Where the measured programs are and which version each is.

A program is looked for where an option says, then in the Go tool's folder (that is where `go install` puts vmagent and
victoria-metrics), then in PATH. One that is not found is left out of the tables, and the page says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_GO_MODULE = re.compile(rb"\nmod\t\S+\t(v[^\t\n]+)")
"""How the Go linker writes the main module's version into a program."""


class Found(NamedTuple):
    """A program on this machine."""

    path: str
    version: str


def find(name: str, asked: str = "") -> Found | None:
    """The program `name`, or the one at `asked`; None where there is none."""
    path = asked or _in_go_folder(name) or shutil.which(name)
    if path is None or shutil.which(path) is None:
        return None
    return Found(path, version_of(path))


def version_of(path: str) -> str:
    """From the program's own words, else from what the Go linker wrote into it."""
    for flag in ("--version", "-version"):
        answer = subprocess.run([path, flag], capture_output=True, text=True, timeout=20, check=False)
        found = re.search(r"v?\d+\.\d+[\w.+~-]*", (answer.stdout + answer.stderr).split("\n")[0])
        if answer.returncode == 0 and found:
            return found[0].removeprefix("v")
    module = _GO_MODULE.search(Path(path).read_bytes())
    return module[1].decode().removeprefix("v") if module else "?"


def kpwatch(asked: str = "") -> Found:
    """Ours: the one of this virtual environment."""
    beside = Path(sys.executable).with_name("kpwatch")
    found = find("kpwatch", asked or (str(beside) if beside.exists() else ""))
    if found is None:
        raise SystemExit(f"no kpwatch beside {sys.executable}; run `make venv` or give --kpwatch PATH")
    return found


def _in_go_folder(name: str) -> str | None:
    path = Path.home() / "go" / "bin" / name
    return str(path) if path.exists() else None
