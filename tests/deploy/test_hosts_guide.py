"""docs/howto/hosts.md typed on a Debian: agent, other hosts, hub and removal.

systemctl only listens there, and the one other host that ssh and scp reach is the same.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.containerfile import BUILD_ENVIRONMENT
from tests.deploy.debian import LONG, NOT_LONG, copy_of
from tests.e2e.test_article import config_maps
from tests.parts import built_page

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = (REPOSITORY / "docs" / "howto" / "hosts.md").read_text()
CHECKOUT = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "requirements", "deploy", "scripts", "src")
LISTENS = 'echo "$(basename "$0") $*" >>/told'
STAND_INS = {
    **dict.fromkeys(("systemctl", "systemd-analyze", "journalctl", "make"), LISTENS),
    "ssh": 'cd /root && exec sh -c "$3"',
    "scp": 'exec cp "$2" "/root/${3#*:}"',
}


def blocks(heading: str) -> str:
    """The commands below a heading."""
    section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


def typed(root: Path, commands: str) -> str:
    """What they print, one after another until one fails, in the checkout on that host."""
    environment = BUILD_ENVIRONMENT | {"PATH": f"/builder/bin:{BUILD_ENVIRONMENT['PATH']}"}
    done = subprocess.run(
        ["chroot", str(root), "/bin/sh", "-exc", f"cd /checkout\n{commands}"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason=NOT_LONG)
def test_the_guide_for_hosts(debian: Path, tmp_path: Path) -> None:
    """An agent as told, the script for many hosts, a hub beside it, and then nothing is left."""
    built_page()
    root = copy_of(debian, tmp_path / "host")
    for name in CHECKOUT:
        source, to = REPOSITORY / name, root / "checkout" / name
        to.parent.mkdir(exist_ok=True)
        shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
    conf = root / "checkout" / "conf"
    (conf / "input.prometheus").mkdir(parents=True)
    (conf / "config.toml").write_text(config_maps()["config.toml"])
    (conf / "input.prometheus" / "prometheus.toml").write_text(config_maps()["prometheus.toml"])
    (root / "checkout" / "users").write_text("agent:a password\n")
    for name, does in STAND_INS.items():
        (root / "usr/local/bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (root / "usr/local/bin" / name).chmod(0o755)
    before = set((root / "usr/local/bin").iterdir())
    typed(root, "python3 -m venv /builder")

    typed(root, blocks("One host"))
    told = (root / "told").read_text()
    assert "enable --now kpwatch-agent" in told
    assert {path.name.partition("-")[0] for path in (root / "checkout/wheels").iterdir()} == {
        "kpwatch", "cramjam", "httptools",
    }  # fmt: skip
    assert typed(root, "kpwatch --version")

    (root / "checkout" / "hosts").write_text("node-1\n")
    said = typed(root, blocks("Many hosts"))
    assert "kpwatch: installing wheels" in said
    assert said.endswith("kpwatch: restarted\n")
    assert typed(root, blocks("Many hosts")).endswith("kpwatch: nothing to restart\n")

    typed(root, blocks("The hub on a host"))
    assert "enable --now kpwatch-hub" in (root / "told").read_text()
    assert (root / "etc/kpwatch/users").stat().st_mode & 0o777 == 0o600
    assert "--listen" in typed(root, "kpwatch hub --help")

    typed(root, blocks("Upgrade, removal"))
    assert not (root / "opt/kpwatch").exists()
    assert set((root / "usr/local/bin").iterdir()) == before
