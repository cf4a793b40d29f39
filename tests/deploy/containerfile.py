"""The Containerfile read and its steps taken, as far as the tests need it: no registry, no builder.

Known are the instructions that the file uses (docs.docker.com/reference/dockerfile); any other is an error here, so
that a step that is not taken is not mistaken for one that worked.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KNOWN = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD", "LABEL", "EXPOSE"}
_FROM = re.compile(r"(\S+) AS (\S+)")
_PAIR = re.compile(r'([A-Za-z_.]+)=("[^"]*"|\S*)')


class Step(NamedTuple):
    """One instruction."""

    line: int
    name: str
    text: str


@dataclass
class Stage:
    """What begins with FROM; `base` is a stage or the image everything begins with."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)


def read(text: str) -> dict[str, Stage]:
    """The stages by name."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    arguments: dict[str, str] = {}
    for step in _steps(text):
        assert step.name in KNOWN, f"line {step.line}: {step.name}: no test knows this instruction"
        if step.name == "ARG":
            name, _, value = step.text.partition("=")
            arguments[name] = value
        elif step.name == "FROM":
            found = _FROM.fullmatch(step.text)
            assert found is not None, f"line {step.line}: expected FROM … AS NAME"
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], found[1])
            stage = stages[found[2]] = Stage(found[2], base)
        else:
            assert stage is not None, f"line {step.line}: before any FROM"
            stage.steps.append(step)
    return stages


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not pending and (not line.strip() or line.startswith("#")):
            continue
        began = began if pending else number
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        name, _, rest = pending.partition(" ")
        steps.append(Step(began, name, rest.strip()))
        pending = ""
    assert not pending, "the last line goes on"
    return steps


def lineage(stages: dict[str, Stage], name: str) -> list[Stage]:
    """The stage and those it begins from, the first one first."""
    stage = stages[name]
    return [*(lineage(stages, stage.base) if stage.base in stages else []), stage]


@dataclass
class Settings:
    """What an image says of its processes."""

    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def settings(stages: dict[str, Stage], name: str) -> Settings:
    """Of a stage, its lineage's included."""
    said = Settings()
    for step in (step for stage in lineage(stages, name) for step in stage.steps):
        if step.name == "ENV":
            said.environment |= {key: value.strip('"') for key, value in _PAIR.findall(step.text)}
        elif step.name == "USER":
            said.user = step.text
        elif step.name == "WORKDIR":
            said.folder = step.text
        elif step.name == "ENTRYPOINT":
            said.entrypoint, said.command = json.loads(step.text), []
        elif step.name == "CMD":
            said.command = json.loads(step.text)
    return said


class Builder:
    """Takes the steps of stages in root filesystems; `new_root` gives one that stands for the base image."""

    def __init__(self, stages: dict[str, Stage], context: Path, new_root: Callable[[str], Path]) -> None:
        self._stages = stages
        self._context = context
        self._new_root = new_root
        self._roots: dict[str, Path] = {}

    def build(self, name: str) -> Path:
        """The root of a stage."""
        if name not in self._roots:
            root = self._roots[name] = self._new_root(name)
            folder = "/"
            for step in (step for stage in lineage(self._stages, name) for step in stage.steps):
                if step.name == "WORKDIR":
                    folder = step.text
                    (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
                elif step.name == "COPY":
                    self._copy(root, step)
                elif step.name == "RUN":
                    self._run(root, folder, step)
        return self._roots[name]

    def _copy(self, root: Path, step: Step) -> None:
        words = step.text.split()
        source = self._context
        if words[0].startswith("--from="):
            source = self.build(words.pop(0).removeprefix("--from="))
        *files, to = words
        for file in files:
            origin, target = source / file.lstrip("/"), root / to.lstrip("/")
            if origin.is_dir():
                shutil.copytree(
                    origin, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                    if source == self._context else None,
                )  # fmt: skip
            else:
                place = target / origin.name if to.endswith("/") else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, place)

    def _run(self, root: Path, folder: str, step: Step) -> None:
        command = ["chroot", str(root), "/bin/sh", "-ec", f"cd {folder} && {step.text}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=BUILD_ENVIRONMENT)
        assert done.returncode == 0, f"Containerfile:{step.line}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


BUILD_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
}
"""As a builder behind a company's proxy has it: this machine's CAs are in the root, and pip believes them."""
