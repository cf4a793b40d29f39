"""`kpwatch check`: every finding with its place, exit 0 or 1."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from kpwatch.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fine_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Says what would run."""
    (tmp_path / "config.toml").write_text('[[writers]]\nurl = "http://hub/write"\n')
    (tmp_path / "input.prometheus").mkdir()
    (tmp_path / "input.prometheus/p.toml").write_text('[[instances]]\nurls = ["http://localhost:10249"]\n')
    assert main(["check", "config", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: fine: 1 target, 1 writer, 0 warnings\n"


def test_everything_wrong_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors and warnings of both documents."""
    (tmp_path / "config.toml").write_text("[global]\ninterval = true\nhostnam = 1\n")
    (tmp_path / "input.prometheus").mkdir()
    (tmp_path / "input.prometheus/p.toml").write_text('[[instances]]\nurls = ["node:1"]\n')
    assert main(["check", "config", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"warning: {tmp_path}/config.toml:3: [global] hostnam: unknown key" in out
    assert f"error: {tmp_path}/config.toml:2: [global] interval: true: expected seconds" in out
    assert f"error: {tmp_path}/input.prometheus/p.toml:2: [[instances]] urls: 'node:1': expected" in out
    assert out.endswith(f"{tmp_path}: 2 errors, 2 warnings\n")


def test_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The original's message."""
    assert main(["check", "config", str(tmp_path)]) == 1
    assert f"configuration file({tmp_path}/config.toml) not found" in capsys.readouterr().out


METRICS = [
    (b"# TYPE a counter\na 1\n", 0, ""),
    (b"a 1\na{b=} 1\n", 1, "FILE:2:5: expected a quoted value\n"),
    (b"<html>\n", 1, "FILE:1:1: "),
    (b"", 1, "FILE:1:1: nothing in it is a metric\n"),
]


@pytest.mark.parametrize(("body", "code", "out"), METRICS)
def test_metrics(body: bytes, code: int, out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FILE:LINE:COL: what."""
    path = tmp_path / "m.txt"
    path.write_bytes(body)
    assert main(["check", "metrics", str(path), "--format", "text"]) == code
    said = capsys.readouterr().out.replace(str(path), "FILE")
    assert said.startswith(out)
    assert bool(said) == bool(out)


OPENMETRICS = [
    (b"# TYPE a counter\na_total 1\n# EOF\n", 0, []),
    (b"# EOF\n", 0, []),
    (b"a 1\n", 1, ["FILE:1:4: no # EOF at the end: the body was cut"]),
    (b"a 1\na{b=} 1\n\n# EOF", 1, [
        "FILE:2:5: expected a quoted value",
        "FILE:3:1: a blank line: OpenMetrics has none",
    ]),
    (b"# TYPE a counter\na_total -1\n# EOF\n", 1, ["FILE:2:1: a_total of type counter is -1: expected 0 or more"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "lines"), OPENMETRICS)
def test_openmetrics(body: bytes, code: int, lines: list[str], tmp_path: Path, capsys) -> None:
    """Lines that cannot be read; where there are none, the rules that they break together."""
    path = tmp_path / "m.txt"
    path.write_bytes(body)
    assert main(["check", "metrics", "--format", "openmetrics", str(path)]) == code
    assert capsys.readouterr().out.replace(str(path), "FILE").splitlines() == lines


def test_metrics_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` is stdin."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a b\n")))
    assert main(["check", "metrics", "-"]) == 1
    assert capsys.readouterr().out.startswith("-:1:3: value 'b' is not a number\n")


@pytest.mark.parametrize("arguments", [["check"], ["check", "nothing"], ["check", "config"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, usage on stderr."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: kpwatch check" in capsys.readouterr().err


def test_rules_that_are_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and how many there are."""
    (tmp_path / "a.yml").write_text("groups: [{name: a, rules: [{record: x, expr: up}]}]")
    assert main(["check", "rules", f"{tmp_path}/*.yml"]) == 0
    assert capsys.readouterr().out == "1 file fine: 1 group, 1 rule\n"


def test_rules_that_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; every fault has file, line, column, rule and reason."""
    file = tmp_path / "a.yml"
    file.write_text("groups:\n- name: a\n  rules:\n  - alert: X\n    expr: up ==\n  - {record: x, expr: up}\n")
    assert main(["check", "rules", str(file)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:5:11: group 'a', rule 1 (alert 'X'): could not parse expression: ")
    assert last == "1 error; without what they concern: 1 group, 1 rule"
    assert main(["check", "rules", f"{tmp_path}/*.yaml"]) == 1
