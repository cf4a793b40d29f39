"""A configuration read by another process is the one that would have been read here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.config import apart
from kpwatch.config.apart import Question, load_apart, to_plain
from kpwatch.config.load import load
from kpwatch.config.problems import BadConfig

SECRET = "swordfish"


@pytest.fixture
def question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Question:
    """About a directory with one writer and one target, whose host is in the environment."""
    monkeypatch.setenv("NODE", "10.0.0.1")
    (tmp_path / "config.toml").write_text(
        f'[[writers]]\nurl = "http://hub/write"\nbasic_auth_user = "me"\nbasic_auth_pass = "{SECRET}"\nnonsense = 1\n'
    )
    (tmp_path / "input.prometheus").mkdir()
    (tmp_path / "input.prometheus" / "p.toml").write_text(
        '[[instances]]\nurls = ["http://$NODE:10249/metrics"]\n'
        '[[instances.relabel_configs]]\nregex = "a"\naction = "drop"\n'
    )
    return Question(str(tmp_path), "machine", 7.0, frozenset(("prometheus", "cpu")))


def test_it_is_the_same(question: Question) -> None:
    """Options, warnings, hash and secrets; the environment is ours, as it is when the files are read."""
    here = load(
        Path(question.directory),
        environment=os.environ,
        hostname=question.hostname,
        interval_override_seconds=question.interval_override_seconds,
        inputs=question.inputs,
    )
    assert load_apart(question) == here
    assert here.warnings
    assert here.secrets


def test_all_that_is_wrong_comes_back(question: Question) -> None:
    """Errors and warnings, as `load` raises them."""
    (Path(question.directory) / "config.toml").write_text('[global]\ninterval = "soon"\nnonsense = 1\n')
    with pytest.raises(BadConfig) as here:
        load(Path(question.directory), environment=os.environ, hostname="machine", inputs=question.inputs)
    with pytest.raises(BadConfig) as apart_from_here:
        load_apart(question)
    assert apart_from_here.value.problems == here.value.problems
    assert apart_from_here.value.warnings == here.value.warnings


def test_where_no_process_can_be_started_it_is_read_here(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that may have one process runs all the same."""
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert load_apart(question).options.targets


def test_a_process_that_ends_early_is_said(
    question: Question, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With how it ended, and what it said of it on standard error."""
    monkeypatch.setattr(apart, "__name__", "kpwatch.no_such_module")
    with pytest.raises(ConfigError, match="ended with status 1"):
        load_apart(question)
    assert "no_such_module" in capfd.readouterr().err


def test_no_secret_is_where_others_can_see_it(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line of a process is everybody's to read."""
    commands: list[object] = []
    spawn = os.posix_spawn

    def note(path: str, command: list[str], *rest: object, **options: object) -> int:
        commands.append(command)
        return spawn(path, command, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "posix_spawn", note)
    assert SECRET in str(to_plain(load_apart(question)))
    assert question.directory in str(commands)
    assert SECRET not in str(commands)


def test_what_cannot_be_handed_over_is_refused() -> None:
    """So that a new option of another type is noticed."""
    with pytest.raises(TypeError, match="pathlib"):
        to_plain((Path("a"),))
