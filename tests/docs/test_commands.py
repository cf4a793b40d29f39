"""Whoever types what README.md and docs/ tell to type gets what they say: commands are run, or it is said why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kpwatch.config.load import load
from tests.conftest import REPOSITORY
from tests.docs.commands import Command, commands
from tests.e2e.test_article import config_maps
from tests.parts import program, require

TABLE = tomllib.loads((Path(__file__).parent / "commands.toml").read_text())
ALL = list(commands())
DOCS = REPOSITORY / "docs"
_TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def row_of(command: Command) -> tuple[str, dict[str, Any]] | None:
    """The first row, of those that are run first, whose pattern is the whole command."""
    for kind in ("run", "not_run"):
        for row in TABLE[kind]:
            if re.fullmatch(row["pattern"], command.text):
                return kind, row
    return None


def test_every_command_has_a_row() -> None:
    """It is run, or there is a reason; and no row is for nothing."""
    assert [command for command in ALL if row_of(command) is None] == []
    used = [row for command in ALL if (found := row_of(command)) is not None for row in [found[1]]]
    assert [row["pattern"] for kind in ("run", "not_run") for row in TABLE[kind] if row not in used] == []
    assert all(row["why"] for row in TABLE["not_run"])
    assert {command.page for command in ALL} >= {"README.md", "docs/howto/kubernetes.md", "deploy/kubernetes/README.md"}


@pytest.mark.slow
def test_commands_run(tmp_path: Path, captures: list[Path]) -> None:
    """On a host with a kube-proxy, a hub and the article's configuration, each ends as its row says."""
    program("ip")
    require(program("unshare") if os.geteuid() == 0 else None, "root, for a network namespace with kube-proxy's ports")
    files = config_maps()
    conf = tmp_path / "article"
    (conf / "input.prometheus").mkdir(parents=True)
    hub = files["config.toml"].replace("10.206.0.16", "127.0.0.1")
    (conf / "config.toml").write_text(hub)
    (conf / "input.prometheus" / "prometheus.toml").write_text(files["prometheus.toml"])
    asked: list[tuple[dict[str, Any], list[int]]] = []
    for text in dict.fromkeys(command.text for command in ALL):
        kind, row = row_of(Command("", text)) or ("", {})
        if kind != "run" or (text.startswith(("kubectl", "curl", "ss ")) and shutil.which(text.split()[0]) is None):
            continue
        typed = text
        for old, new in row.get("instead", {}).items():
            typed = typed.replace(old, new)
        asked.append(({"run": typed, "ends": row.get("ends", "")}, row.get("codes", [0])))
    asked.sort(key=lambda one: "--once" not in one[0]["run"])  # first something is scraped
    capture = next(path for path in captures if path.name == "real-1.36.3-iptables-churn.txt")
    scene = f"ip link set lo up && exec {sys.executable} -m tests.docs.scene {tmp_path} {capture}"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", scene],
        cwd=REPOSITORY,
        input=json.dumps([one for one, _ in asked]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    wrong = [
        (one["run"], code, said) for (one, codes), (code, said) in zip(asked, answers, strict=True) if code not in codes
    ]
    assert wrong == []
    said = {one["run"]: text for (one, _), (_, text) in zip(asked, answers, strict=True)}
    grepped = "kpwatch agent --test --inputs prometheus | grep kubeproxy_sync_proxy_rules"
    assert "kubeproxy_sync_proxy_rules_duration_seconds_count agent_hostname=node-a" in said[grepped]


CONFIGURATIONS = {
    # page -> how many it has at least
    "howto/receivers.md": 8,
    "howto/nightingale.md": 3,
    "reference/kubernetes.md": 2,
    "reference/writers.md": 1,
}
IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "POD_NAME": "kpwatch-scraper-2"}
WRITER = '[[writers]]\nurl = "http://127.0.0.1:9/w"\n'


def test_every_configuration_is_known() -> None:
    """No page has TOML that the next test does not read."""
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if _TOML.search(page.read_text())}
    assert pages == CONFIGURATIONS.keys()


@pytest.mark.parametrize(("page", "count"), CONFIGURATIONS.items())
def test_configurations_can_be_loaded(page: str, count: int, tmp_path: Path) -> None:
    """Each block is a `config.toml`, without a warning but for files that are not here."""
    blocks = _TOML.findall((DOCS / page).read_text())
    assert len(blocks) >= count
    for number, block in enumerate(blocks):
        folder = tmp_path / str(number)
        (folder / "input.prometheus").mkdir(parents=True)
        (folder / "config.toml").write_text(block if "[[writers]]" in block else block + WRITER)
        (folder / "input.prometheus" / "p.toml").write_text(
            '[[instances]]\nurls = ["http://127.0.0.1:10249/metrics"]\n'
        )
        warnings = [problem.what for problem in load(folder, environment=IN_A_POD, hostname="a").warnings]
        assert [what for what in warnings if "cannot be read now" not in what] == [], block
