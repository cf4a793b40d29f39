"""What is wrong with a configuration, with the file and line where a person can put it right.

Errors and warnings are collected into one `Report` while everything is checked, so that the first typo does not hide
the second. No problem's text ever holds the value of a secret key; who reports knows which keys are secret.
"""

from __future__ import annotations

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple


class Place(NamedTuple):
    """A line of a file; line 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(NamedTuple):
    """One thing to put right."""

    place: Place
    key: str
    """As a person would write it, `[global] interval`, or "" where no key is meant."""
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.key, self.what) if part)


class BadConfig(ConfigError):
    """A configuration with at least one error; holds all of them, and the warnings beside them."""

    def __init__(self, problems: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.warnings = warnings


class Report:
    """Everything found so far."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, place: Place, key: str, what: str) -> None:
        """Note something that forbids a start."""
        _add(self.errors, Problem(place, key, what))

    def warn(self, place: Place, key: str, what: str) -> None:
        """Note something that does not."""
        _add(self.warnings, Problem(place, key, what))

    def raise_errors(self) -> None:
        """Raise BadConfig if there is any error; in the order of files and lines."""
        if self.errors:
            errors, warnings = (
                sorted(found, key=lambda problem: problem.place) for found in (self.errors, self.warnings)
            )
            raise BadConfig(tuple(errors), tuple(warnings))


def _add(problems: list[Problem], problem: Problem) -> None:
    """What several targets find in one line is said once."""
    if problem not in problems:
        problems.append(problem)
