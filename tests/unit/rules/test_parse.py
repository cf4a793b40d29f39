"""Rule files: what is read, and what is said of what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.rules.files import RuleFiles
from kpwatch.rules.parse import parse_rules

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
groups:
- name: one
  interval: 15s
  query_offset: 10s
  limit: 10
  labels: {team: net}
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {tier: 1}
  - alert: Down
    expr: |
      up == 0
    for: 5m
    keep_firing_for: 1m30s
    labels: {severity: critical, team: other}
    annotations: {summary: "{{ $labels.instance }} is down"}
- name: empty
"""
RULE = "groups:\n- name: g\n  rules:\n  - {rule}\n  - {{record: fine, expr: up}}\n"


def test_everything_is_read() -> None:
    """Groups, both kinds of rules, and every key."""
    found = parse_rules(GOOD, "f.yml")
    assert found.problems == []
    one, empty = found.groups
    assert (one.name, one.file, one.interval_seconds, one.query_offset_seconds, one.limit) == (
        "one",
        "f.yml",
        15,
        10,
        10,
    )
    record, alert = one.rules
    assert (record.name, record.labels, record.line) == ("job:up:sum", (("team", "net"), ("tier", "1")), 8)
    assert (alert.name, alert.expression, alert.for_seconds, alert.keep_firing_seconds) == ("Down", "up == 0", 300, 90)
    assert alert.labels == (("severity", "critical"), ("team", "other"))
    assert alert.annotations == (("summary", "{{ $labels.instance }} is down"),)
    assert (empty.name, empty.rules, empty.query_offset_seconds) == ("empty", (), None)


@pytest.mark.parametrize(
    ("rule", "column", "reason"),
    [
        ("{alert: A, expr: 'up == ('}", 22, "could not parse expression: "),
        ("{alert: A, expr: 'up[5m]'}", 22, "not a range vector"),
        ("{alert: A}", 5, "field 'expr' must be set in rule"),
        ("{expr: up}", 5, "exactly one of 'record' and 'alert' must be set"),
        ("{alert: A, record: a, expr: up}", 5, "exactly one of 'record' and 'alert' must be set"),
        ("{record: 'a b', expr: up}", 14, "invalid recording rule name: 'a b'"),
        ("{record: a, expr: up, for: 5m}", 32, "invalid field 'for' in recording rule 'a'"),
        ("{alert: A, expr: up, for: 5x}", 31, "for: '5x': expected a duration"),
        ("{alert: A, expr: up, fro: 5m}", 31, "the key 'fro' is none of record, alert"),
        ("{alert: A, expr: up, labels: {__name__: x}}", 45, "labels: invalid name: '__name__'"),
        ("{alert: A, expr: up, labels: {a-b: x}}", 40, "labels: invalid name: 'a-b'"),
        ("{alert: A, expr: up, annotations: {s: '{{ nope }}'}}", 43, "annotations.s: line 1: function 'nope' not"),
        ("{alert: A, expr: up, expr: up}", 26, "the key 'expr' comes twice"),
        ("{alert: A, expr: [up]}", 22, "expr: expected a text, not a sequence"),
        ("just words", 5, "a rule: expected a mapping, not a scalar"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_left_out(rule: str, column: int, reason: str) -> None:
    """It is named with its place, and the next one goes on."""
    found = parse_rules(RULE.format(rule=rule), "f.yml")
    (problem,) = found.problems
    assert (problem.line, problem.column) == (4, column), problem
    assert problem.where.startswith("group 'g', rule 1")
    assert reason in problem.reason
    assert [one.name for one in found.groups[0].rules] == ["fine"]


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("{rules: []}", "name: a group must have one"),
        ("{name: first}", "the name 'first' is repeated in the same file"),
        ("{name: b, interval: x}", "interval: 'x': expected a duration"),
        ("{name: b, limit: x}", "limit: 'x': expected a whole number"),
        ("{name: b, rulse: []}", "the key 'rulse' is none of name, interval"),
        ("{name: b, rules: {}}", "rules: expected a list, not a mapping"),
    ],
)
def test_a_wrong_group_is_left_out(group: str, reason: str) -> None:
    """The others go on."""
    found = parse_rules(f"groups:\n- name: first\n- {group}\n- name: last\n", "f.yml")
    (problem,) = found.problems
    assert reason in problem.reason
    assert problem.line == 3
    assert [one.name for one in found.groups] == ["first", "last"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("groups:\n- name: a\n   rules: []", 3, "not YAML: "),
        ("groups: {}", 1, "groups: expected a list, not a mapping"),
        ("group: []", 1, "the key 'group' is none of groups"),
        ("groups:\n- name: 'a", 2, "not YAML: "),
        ("[" * 100_000, 1, "not YAML"),
    ],
)
def test_what_is_no_rule_file(text: str, line: int, reason: str) -> None:
    """It has one problem and no groups."""
    found = parse_rules(text, "f.yml")
    (problem,) = found.problems
    assert reason in problem.reason
    assert problem.line >= line
    assert found.groups == []
    assert str(problem).startswith(f"f.yml:{problem.line}:{problem.column}: ")


@pytest.mark.parametrize("text", ["", "groups:", "{}", "# nothing\n"])
def test_an_empty_file_is_fine(text: str) -> None:
    """It has no groups and no problems."""
    assert parse_rules(text, "f.yml") == parse_rules("", "f.yml")
    assert parse_rules(text, "f.yml").problems == []


def test_files_are_found_read_and_looked_at(tmp_path: Path) -> None:
    """A pattern finds what comes later; a file that is spoilt keeps its groups, one that is gone has none."""
    files = RuleFiles([f"{tmp_path}/*.yml"])
    assert files.read().files == []
    (tmp_path / "a.yml").write_text("groups: [{name: a}]")
    assert files.changed()
    assert [group.name for group in files.read().groups] == ["a"]
    assert not files.changed()
    (tmp_path / "a.yml").write_text("groups: [{name: b}")
    assert files.changed()
    spoilt = files.read()
    assert [group.name for group in spoilt.groups] == ["a"]
    assert len(spoilt.problems) == 1
    (tmp_path / "a.yml").unlink()
    assert files.changed()
    assert files.read().groups == []


def test_a_named_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """It is said, and read once it is there."""
    path = tmp_path / "a.yml"
    files = RuleFiles([str(path)])
    (problem,) = files.read().problems
    assert "cannot be read: No such file or directory" in problem.reason
    path.write_text("groups: [{name: a}]")
    assert files.changed()
    assert len(files.read().groups) == 1
