"""The house's walls: who may import whom, who may read the time, where a metric's name may stand."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "kpwatch"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

READS_TIME = {"base/clock.py"}
NOW = {"now", "utcnow", "today"}
"""How `datetime` reads the clock; that it writes down a time it was given is no harm."""
KNOWS_METRICS = "knowledge/"
METRIC_PREFIX = "kubeproxy_"

PURE_ROOMS = ("exposition/", "relabel/", "remote_write/", "promql/", "model/")
WORLD = {"socket", "threading", "os", "logging", "sqlite3", "subprocess", "selectors", "asyncio"}
"""What a pure room has no business with."""
EXCEPTIONS = {
    ("promql/parse.py", "threading"): "the parser recurses: only a thread of its own has a larger stack",
}


@cache
def tree(module: str) -> ast.Module:
    """A module's syntax."""
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"), module)


def imported(module: str) -> Iterator[tuple[int, str]]:
    """(line, top-level module) of every import, wherever in the file it stands."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").partition(".")[0]


def docstrings(module: str) -> set[int]:
    """The identities of the constants that are docstrings: words about the code, not the code."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree(module)) if isinstance(node, nodes)]
    statements = [statement for body in bodies for statement in body if isinstance(statement, ast.Expr)]
    return {id(statement.value) for statement in statements}


def test_imports_point_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contracts in pyproject.toml: floors, and what the agent never loads."""
    monkeypatch.chdir(REPOSITORY)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


def test_no_metric_is_named_outside_knowledge() -> None:
    """Names of kube-proxy's metrics are data: they stand in the table, not in code."""
    found = []
    for module in MODULES:
        words = docstrings(module)
        found += [
            (module, node.lineno, node.value)
            for node in ast.walk(tree(module))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words
            if METRIC_PREFIX in node.value and not module.startswith(KNOWS_METRICS)
        ]
    assert found == []


def reads_the_clock(node: ast.AST) -> bool:
    """Whether an expression asks `datetime` or `date` what time it is."""
    if not isinstance(node, ast.Attribute) or node.attr not in NOW:
        return False
    return isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date")


def test_only_the_clock_reads_time() -> None:
    """A room that needs the time takes a Clock."""
    found = []
    for module in MODULES:
        found += [(module, line) for line, name in imported(module) if name == "time"]
        found += [(module, node.lineno) for node in ast.walk(tree(module)) if reads_the_clock(node)]
    assert {module for module, _ in found} == READS_TIME, found


def test_pure_rooms_touch_no_world() -> None:
    """No socket, thread, environment or log where bytes become samples and samples become bytes."""
    found = [
        (module, line, name)
        for module in MODULES
        if module.startswith(PURE_ROOMS)
        for line, name in imported(module)
        if name in WORLD and (module, name) not in EXCEPTIONS
    ]
    assert found == []


def test_exceptions_are_needed() -> None:
    """An exception that nobody makes use of is taken back."""
    for module, name in EXCEPTIONS:
        assert name in {top for _, top in imported(module)}, (module, name)
