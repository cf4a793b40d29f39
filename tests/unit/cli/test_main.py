"""`kpwatch`: verbs found, errors turned into exit codes, little imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kpwatch import __version__
from kpwatch.__main__ import main
from kpwatch.cli import VERBS

CALLS = [
    (["--version"], 0, f"kpwatch {__version__}\n", ""),
    (["agent", "--version"], 0, f"kpwatch {__version__}\n", ""),
    (["agent", "-version"], 0, f"kpwatch {__version__}\n", ""),
    (["agnt"], 2, "", "no verb 'agnt', did you mean 'agent'?"),
    (["zzz"], 2, "", "no verb 'zzz'; `kpwatch help` lists them"),
    ([], 2, "", "which verb?"),
    (["agent", "-nothing"], 2, "", "flag provided but not defined: -nothing\nUsage of kpwatch agent:"),
    (["agent", "-h"], 0, "", "Usage of kpwatch agent:"),
    (["agent", "-install"], 1, "", "systemctl"),
    (["agent", "-update"], 1, "", "never replaces itself"),
    (["check", "metrics", "/nowhere/at/all"], 1, "", "kpwatch: /nowhere/at/all: cannot be read"),
]


@pytest.mark.parametrize(("arguments", "code", "out", "error"), CALLS)
def test_calls(arguments: list[str], code: int, out: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code, stdout whole, stderr in part."""
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == out
    assert error in captured.err


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line about each."""
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in VERBS if f"  {name} " not in out] == []


def test_the_version_costs_almost_nothing() -> None:
    """Neither sockets nor TOML nor any room of ours is imported for it."""
    code = (
        "import sys, json; before = set(sys.modules); from kpwatch.__main__ import main; main(['agent', '--version']);"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    ours = {name for name in loaded if name.startswith("kpwatch")}
    assert ours <= {
        "kpwatch", "kpwatch.__main__", "kpwatch.base", "kpwatch.base.errors", "kpwatch.base.named", "kpwatch.cli",
        "kpwatch.cli.agent", "kpwatch.cli.goflags",
    }  # fmt: skip
    assert not loaded & {"tomllib", "socket", "ssl", "selectors", "argparse", "difflib", "httptools", "cramjam"}
