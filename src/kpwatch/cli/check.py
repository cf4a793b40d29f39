"""`kpwatch check`: everything that is wrong with a configuration, a metrics page or rules, each with its place.

    kpwatch check config DIR          what the agent would say of DIR: exit 0 if it would start, else 1
    kpwatch check metrics FILE|-      FILE:LINE:COL: what breaks its format: exit 0 if nothing does, else 1
    kpwatch check rules FILE...       FILE:LINE:COL: group, rule: what is wrong: exit 0 if nothing is, else 1

Findings go to stdout, one a line. No target or writer is contacted, and a configuration may be checked on another
machine than it is for: environment variables and files that are only there give warnings.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.exposition.formats import Format

_STDIN = "-"


def main(arguments: list[str]) -> int:
    """Check what is asked for; 0 valid, 1 not, 2 bad usage."""
    asked = _parser().parse_args(arguments)
    return _CHECKS[asked.what](asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    checks = parser.add_subparsers(dest="what", required=True, metavar="config|metrics|rules")
    config = checks.add_parser("config", help="the agent's configuration directory")
    config.add_argument("directory", metavar="DIR")
    metrics = checks.add_parser("metrics", help="a saved metrics page")
    metrics.add_argument("file", metavar="FILE|-")
    metrics.add_argument(
        "--format",
        choices=["text", "openmetrics"],
        default="text",
        help="of the page: text exposition 0.0.4 and 1.0.0, or OpenMetrics 1.0 and all its rules; default text",
    )
    rules = checks.add_parser("rules", help="files of alerting and recording rules, as Prometheus has them")
    rules.add_argument("files", nargs="+", metavar="FILE", help="a file, or a pattern such as 'rules/*.yml'")
    return parser


def check_config(target: str) -> int:
    """Say every error and warning of a configuration directory."""
    from kpwatch.config.load import load
    from kpwatch.config.problems import BadConfig

    try:
        loaded = load(Path(target), environment=os.environ, hostname=os.uname().nodename)
    except BadConfig as bad:
        for warning in bad.warnings:
            print(f"warning: {warning}")
        for problem in bad.problems:
            print(f"error: {problem}")
        print(f"{target}: {_count(len(bad.problems), 'error')}, {_count(len(bad.warnings), 'warning')}")
        return 1
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    targets, writers = len(loaded.options.targets), len(loaded.options.writers)
    found = f"{_count(targets, 'target')}, {_count(writers, 'writer')}, {_count(len(loaded.warnings), 'warning')}"
    if loaded.options.discoveries:
        found += f"; more targets come from {_count(len(loaded.options.discoveries), 'source')}"
    print(f"{target}: fine: {found}")
    return 0


def check_metrics(target: str, page_format: Format = "text") -> int:
    """Say every line of a saved metrics page that breaks its format."""
    from kpwatch.exposition.formats import grammar_of

    try:
        body = sys.stdin.buffer.read() if target == _STDIN else Path(target).read_bytes()
    except OSError as error:
        raise ConfigError(f"{target}: cannot be read: {error.strerror}") from error
    parsed = grammar_of(page_format).parse(body)
    findings = sorted((*parsed.errors, *parsed.faults))
    for line_number, column, reason, _ in findings:
        print(f"{target}:{line_number}:{column}: {reason}")
    empty = not parsed.samples and page_format == "text"
    if empty:
        print(f"{target}:1:1: nothing in it is a metric")
    return 1 if findings or empty else 0


def check_rules(patterns: list[str]) -> int:
    """Say everything that is wrong in rule files."""
    from kpwatch.rules.files import RuleFiles

    loaded = RuleFiles(patterns).read()
    for problem in loaded.problems:
        print(problem)
    rules = sum(len(group.rules) for group in loaded.groups)
    groups = f"{_count(len(loaded.groups), 'group')}, {_count(rules, 'rule')}"
    if not loaded.files:
        print(f"{' '.join(patterns)}: there is no such file")
    elif loaded.problems:
        print(f"{_count(len(loaded.problems), 'error')}; without what they concern: {groups}")
    else:
        print(f"{_count(len(loaded.files), 'file')} fine: {groups}")
    return 1 if loaded.problems or not loaded.files else 0


_CHECKS: dict[str, Callable[[argparse.Namespace], int]] = {
    "config": lambda asked: check_config(asked.directory),
    "metrics": lambda asked: check_metrics(asked.file, asked.format),
    "rules": lambda asked: check_rules(asked.files),
}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
