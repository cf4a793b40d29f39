"""The image, without a registry and without a builder: its recipe is sound, and what it starts serves the article."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import zoneinfo
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.containerfile import Builder, read, settings
from tests.deploy.debian import LONG, NOT_LONG, copy_of
from tests.deploy.manifests import UID
from tests.parts import built_page, program, require

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (REPOSITORY / "Containerfile").read_text()
STAGES = read(TEXT)


def sent_to_the_builder(name: str) -> bool:
    """Whether .containerignore lets a path of the checkout through."""
    kept = False
    for line in (REPOSITORY / ".containerignore").read_text().split():
        pattern = line.removeprefix("!")
        if fnmatch.fnmatch(name, pattern) or name.startswith(pattern.rstrip("/") + "/"):
            kept = line.startswith("!")
    return kept


def test_every_copied_file_is_there_and_is_sent() -> None:
    """In the checkout, and past .containerignore."""
    for stage in STAGES.values():
        for step in stage.steps:
            if step.name == "COPY" and not step.text.startswith("--from="):
                for name in step.text.split()[:-1]:
                    assert (REPOSITORY / name).exists(), f"Containerfile:{step.line}"
                    assert sent_to_the_builder(name), f"Containerfile:{step.line}: {name} is ignored"
    assert not sent_to_the_builder("tests/conftest.py")
    assert not sent_to_the_builder(".git/config")


def test_every_step_is_a_shells() -> None:
    """`sh -n` reads each RUN, and stages come before those that use them."""
    for stage in STAGES.values():
        for step in stage.steps:
            if step.name == "RUN":
                subprocess.run(["/bin/sh", "-n", "-c", step.text], check=True)
            if step.text.startswith("--from="):
                assert step.text.split()[0].removeprefix("--from=") in STAGES
    assert {stage.base for stage in STAGES.values()} - STAGES.keys() == {"docker.io/library/python:3.13-slim"}


@pytest.mark.parametrize(("stage", "verb"), [("agent", "agent"), ("hub", "hub")])
def test_what_an_image_starts(stage: str, verb: str) -> None:
    """Kpwatch itself, no shell, as the user the manifests name; the last stage is the one without --target."""
    image = settings(STAGES, stage)
    assert image.entrypoint == ["kpwatch"]
    assert image.command[0] == verb
    assert image.user == f"{UID}:{UID}"
    assert image.environment["CATEGRAF_CONFIGS"] == "/etc/categraf/conf"
    assert list(STAGES)[-1] == "agent"


def test_the_agents_image_has_nothing_of_the_hub() -> None:
    """It installs the project without extras."""
    [install] = [step.text for step in STAGES["agent-build"].steps if step.name == "RUN"]
    assert " . " in install.replace(" \\", "")
    assert "hub" not in install


def test_the_sbom_lists_what_is_installed(tmp_path: Path) -> None:
    """Of this environment and the page: packages with versions and licences, and their licence texts."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "make-sbom"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    document = json.loads((tmp_path / "sbom.cdx.json").read_text())
    rows = {row["name"]: row for row in document["components"]}
    assert document["specVersion"] == "1.6"
    assert {"kpwatch", "cramjam", "httptools", "numpy"} <= rows.keys()
    assert "pip" not in rows
    licences = {name: row["licenses"][0]["license"]["name"] for name, row in rows.items()}
    assert licences["httptools"] == "MIT"
    assert licences["kpwatch"] == "Apache-2.0"
    assert [name for name, licence in licences.items() if licence == "unknown"] == []
    assert list((tmp_path / "licenses" / "httptools").iterdir())
    built_page()
    assert {row["purl"].partition("@")[0] for row in rows.values()} >= {"pkg:npm/preact", "pkg:npm/uplot"}
    assert "preact" in (tmp_path / "licenses" / "page.txt").read_text()


def play(stage: str, root: Path, captures: list[Path]) -> dict[str, Any]:
    """What the scene says of an image's root."""
    for name in ("ip", "chroot", "mount"):
        program(name)
    require(program("unshare") if os.geteuid() == 0 else None, "root, for namespaces of networks and mounts")
    capture = next(path for path in captures if path.name == "real-1.36.3-iptables-churn.txt")
    scene = f"{sys.executable} -m tests.deploy.image_scene {stage} {root} {capture}"
    prepare = "ip link set lo up && ip addr add 10.206.0.16/32 dev lo"
    done = subprocess.run(
        ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", f"{prepare} && exec {scene}"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def served_the_article(seen: dict[str, Any]) -> None:
    """The node's series, as the image's user, with a spool, in the time zone of TZ, and a swap taken up."""
    assert seen["up"] == {
        "__name__": "up",
        "ident": "10.206.0.7",
        "instance": "http://127.0.0.1:10249/metrics",
        "job": "kube-proxy",
    }
    assert seen["user"] == UID
    assert seen["spooled"] is True
    assert seen["exit"] == 0, seen["lines"]
    now = dt.datetime.now(zoneinfo.ZoneInfo("Asia/Shanghai"))
    said = next(line for line in seen["lines"] if "runner.hostname" in line)
    logged = dt.datetime.strptime(said[:19], "%Y/%m/%d %H:%M:%S").replace(tzinfo=now.tzinfo)
    assert abs(now - logged) < dt.timedelta(minutes=30), said


@pytest.mark.slow
def test_the_articles_daemonset_on_a_laid_out_root(captures: list[Path], tmp_path: Path) -> None:
    """Unchanged but for `image:`: its two ConfigMaps, HOSTNAME, HOSTIP and TZ, on a read-only root, and a live swap."""
    served_the_article(play("agent", tmp_path / "root", captures))


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason=NOT_LONG)
@pytest.mark.parametrize("stage", ["agent", "hub"])
def test_the_containerfiles_own_steps(stage: str, debian: Path, captures: list[Path], tmp_path: Path) -> None:
    """Every step is taken in a root of its own, and what comes out runs."""
    if stage == "hub":
        built_page()

    root = Builder(STAGES, REPOSITORY, lambda name: copy_of(debian, tmp_path / name)).build(stage)
    rows = json.loads((root / "opt/kpwatch/share/sbom.cdx.json").read_text())["components"]
    names = {row["name"] for row in rows if row["purl"].startswith("pkg:pypi/")}
    seen = play(stage, root, captures)
    if stage == "agent":
        assert names == {"kpwatch", "cramjam", "httptools"}
        served_the_article(seen)
    else:
        assert {"kpwatch", "numpy", "uvicorn"} <= names
        assert seen == {"without a password": 401, "query": 200, "page": 200, "user": UID, "data": ["hub"]}


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason=NOT_LONG)
def test_the_base_without_a_gnu_program(debian: Path, tmp_path: Path) -> None:
    """On an Alpine the steps of the stage `base` are taken by busybox; here by a root that has nothing else."""
    for name in ("bin", "etc"):
        (tmp_path / name).mkdir()
    shutil.copy(debian / "bin/busybox", tmp_path / "bin")
    subprocess.run(["chroot", str(tmp_path), "/bin/busybox", "--install", "-s", "/bin"], check=True)
    Builder(STAGES, REPOSITORY, lambda _: tmp_path).build("base")
    assert "kpwatch:x:10249:" in (tmp_path / "etc/passwd").read_text()
    state = (tmp_path / "var/lib/kpwatch").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (UID, UID, 0o750)


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason=NOT_LONG)
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_an_alpine_needs_no_compiler_for_the_agent(machine: str, tmp_path: Path) -> None:
    """PyPI has musl wheels of its two dependencies (and none of google-re2, so the hub's image is Debian's alone)."""
    platforms = [f"--platform=musllinux_1_{minor}_{machine}" for minor in (1, 2)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--python-version=3.13", "--only-binary=:all:", *platforms,
        "-c", "requirements/constraints.txt", "--dest", str(tmp_path), "cramjam", "httptools",
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=REPOSITORY, timeout=300)
    assert len(list(tmp_path.glob(f"*-musllinux_1_*_{machine}.whl"))) == 2
