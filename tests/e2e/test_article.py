"""The article, step by step, with our program in the place of Categraf and Nightingale."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.parts import program, require

ARTICLE = REPOSITORY / "docs" / "article"


def config_maps() -> dict[str, str]:
    """File name -> content, of both ConfigMaps of the article's YAML, cut out as kubelet would."""
    text = (ARTICLE / "categraf-configmap-v1.yaml").read_text()
    blocks = re.findall(r"^  (\S+\.toml): \|\n((?:    .*\n?)+)", text, re.MULTILINE)
    return {name: re.sub(r"^    ", "", block, flags=re.MULTILINE) for name, block in blocks}


def mount(directory: Path, files: dict[str, str]) -> None:
    """Lay files out as kubelet mounts a ConfigMap: NAME -> ..data/NAME, ..data -> a dated directory."""
    dated = directory / "..2026_11_22_00_00_00.1"
    dated.mkdir(parents=True)
    for name, content in files.items():
        (dated / name).write_text(content)
    (directory / "..data").symlink_to(dated.name)
    for name in files:
        (directory / name).symlink_to(Path("..data") / name)


@pytest.fixture
def mounted_configs(tmp_path: Path) -> Path:
    """/etc/categraf/conf as the article's DaemonSet mounts it."""
    files = config_maps()
    mount(tmp_path / "conf", {"config.toml": files["config.toml"]})
    mount(tmp_path / "conf" / "input.prometheus", {"prometheus.toml": files["prometheus.toml"]})
    return tmp_path / "conf"


def test_the_shipped_article_files_are_the_articles(shared_dir: Path) -> None:
    """The two YAML files we ship are byte for byte the article's."""
    for name in ("categraf-configmap-v1.yaml", "categraf-daemonset-v1.yaml"):
        assert (ARTICLE / name).read_bytes() == (shared_dir / "article" / name).read_bytes()


@pytest.mark.slow
def test_the_configmaps_run_verbatim(mounted_configs: Path, captures: list[Path]) -> None:
    """Both ConfigMaps, not a byte changed: the agent finds kube-proxy and writes to 10.206.0.16:19000, as `ident`."""
    program("ip")
    require(
        program("unshare") if os.geteuid() == 0 else None, "root, for a network namespace with the article's address"
    )
    capture = next(path for path in captures if path.name == "real-1.36.3-iptables-churn.txt")
    scene = f"{sys.executable} -m tests.e2e.article_scene {mounted_configs} {capture}"
    prepare = "ip link set lo up && ip addr add 10.206.0.16/32 dev lo"
    run = subprocess.run(
        ["unshare", "-n", "sh", "-c", f"{prepare} && exec {scene}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    answers = result["answers"]
    up = answers["up"]
    assert [(series["metric"], series["value"][1]) for series in up] == [
        (
            {
                "__name__": "up",
                "ident": "10.206.0.7",
                "instance": "http://127.0.0.1:10249/metrics",
                "job": "kube-proxy",
            },
            "1",
        )
    ]
    assert int(answers["count({job='kube-proxy'})"][0]["value"][1]) >= 862 + 1
    assert {series["metric"]["ident"] for series in answers["kubeproxy_sync_proxy_rules_last_timestamp_seconds"]} == {
        "10.206.0.7"
    }
    assert answers["count({agent_hostname!=''})"] == []
    assert (result["agent_exit"], result["hub_exit"]) == (0, 0)
