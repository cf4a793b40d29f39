"""Rule files, read: Prometheus' `groups` (model/rulefmt). Pure but for the libraries that parse.

A wrong rule is left out and the others go on; so is a group whose own keys are wrong, and a file that is no YAML. Every
fault is a `Problem`: file, line, column, which rule, why. Keys that Prometheus does not know are refused as it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import BadQuery
from kpwatch.model.labels import METRIC_NAME, Labels, make_labels
from kpwatch.rules.document import BadDocument, Place, read_document
from kpwatch.rules.expand import read_template
from kpwatch.rules.go_parse import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable

_GROUP_KEYS = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE_KEYS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_ONLY_ALERTS = ("for", "keep_firing_for", "annotations")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `alert` or `record` is its name, the other is ""."""

    record: str
    alert: str
    expression: str
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0
    labels: tuple[tuple[str, str], ...] = ()
    """Templates, of an alert; the group's labels are among them."""
    annotations: tuple[tuple[str, str], ...] = ()
    line: int = 0
    query: str = ""
    """The expression on one line, as it is shown."""

    @property
    def name(self) -> str:
        """Of the alert or the recorded metric."""
        return self.alert or self.record


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, one after the other."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_seconds: float = 0.0
    """0 = the default."""
    query_offset_seconds: float | None = None
    limit: int = 0
    """Series of one rule; 0 = any number."""
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file."""

    file: str
    line: int
    column: int
    where: str
    """`group "a", rule 2 (alert "X")`, or ""."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.where}{': ' if self.where else ''}{self.reason}"


@dataclass(slots=True)
class RuleFile:
    """What a file says."""

    groups: list[Group] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def parse_rules(text: str, file: str) -> RuleFile:
    """The groups of a file and what is wrong in it; `file` is its name in groups and problems."""
    return _Reader(file).read(text)


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._result = RuleFile()

    def read(self, text: str) -> RuleFile:
        try:
            root = read_document(text)
            fields = _known(root, ("groups",), "a rule file")
            groups = fields["groups"].items("groups") if "groups" in fields else []
        except BadDocument as error:
            self._note(error, "")
            return self._result
        for number, place in enumerate(groups, 1):
            try:
                self._result.groups.append(self._group(place, number))
            except BadDocument as error:
                self._note(error, f"group {_quoted_name(place, 'name') or number}")
        return self._result

    def _note(self, error: BadDocument, where: str) -> None:
        self._result.problems.append(Problem(self._file, error.line, error.column, where, str(error)))

    def _group(self, place: Place, number: int) -> Group:
        fields = _known(place, _GROUP_KEYS, f"group {number}")
        name = fields["name"].text("name") if "name" in fields else ""
        if not name:
            raise place.wrong("name: a group must have one")
        if any(group.name == name for group in self._result.groups):
            raise place.wrong(f"the name {name!r} is repeated in the same file")
        labels = _labels(fields.get("labels"), "labels")
        offset = _duration(fields, "query_offset", None)
        interval = _duration(fields, "interval", 0.0) or 0.0
        limit = _limit(fields)
        rules = []
        for count, item in enumerate(fields["rules"].items("rules") if "rules" in fields else [], 1):
            try:
                rules.append(_rule(item, labels))
            except BadDocument as error:
                kind = "alert" if _quoted_name(item, "alert") else "record"
                shown = f" ({kind} {_quoted_name(item, kind)})" if _quoted_name(item, kind) else ""
                self._note(error, f"group {name!r}, rule {count}{shown}")
        return Group(name, self._file, tuple(rules), interval, offset, limit, make_labels(labels))


def _quoted_name(place: Place, key: str) -> str:
    try:
        fields = place.fields("")
        return repr(fields[key].text("")) if key in fields and fields[key].text("") else ""
    except BadDocument:
        return ""


def _known(place: Place, keys: tuple[str, ...], what: str) -> dict[str, Place]:
    fields = place.fields(what)
    for name, value in fields.items():
        if name not in keys:
            raise value.wrong(f"the key {name!r} is none of {', '.join(keys)}")
    return fields


def _duration(fields: dict[str, Place], key: str, default: float | None) -> float | None:
    if key not in fields or fields[key].is_null:
        return default
    text = fields[key].text(key)
    try:
        return parse_prometheus(text)
    except ValueError as error:
        raise fields[key].wrong(f"{key}: {text!r}: {error}") from error


def _limit(fields: dict[str, Place]) -> int:
    text = fields["limit"].text("limit") if "limit" in fields else ""
    if not re.fullmatch(r"-?\d{1,15}|", text, re.ASCII):
        raise fields["limit"].wrong(f"limit: {text!r}: expected a whole number; 0 = no limit")
    return max(0, int(text or 0))


def _rule(place: Place, group_labels: dict[str, str]) -> Rule:
    fields = _known(place, _RULE_KEYS, "a rule")
    record = fields["record"].text("record") if "record" in fields else ""
    alert = fields["alert"].text("alert") if "alert" in fields else ""
    if bool(record) == bool(alert):
        raise place.wrong("exactly one of 'record' and 'alert' must be set")
    expression = _expression(fields, place)
    if record:
        for key in _ONLY_ALERTS:
            if key in fields and _says_something(fields[key], key):
                raise fields[key].wrong(f"invalid field {key!r} in recording rule {record!r}")
        if not _METRIC_NAME.fullmatch(record):
            raise fields["record"].wrong(f"invalid recording rule name: {record!r}")
    labels = {**group_labels, **_labels(fields.get("labels"), "labels", _checked_template if alert else None)}
    return Rule(
        record,
        alert,
        expression,
        _duration(fields, "for", 0.0) or 0.0,
        _duration(fields, "keep_firing_for", 0.0) or 0.0,
        tuple(sorted(labels.items())),
        tuple(sorted(_labels(fields.get("annotations"), "annotations", _checked_template).items())),
        place.line,
        _shown(expression),
    )


def _says_something(place: Place, key: str) -> bool:
    """Whether it is more than the zero that Prometheus takes for nothing."""
    return bool(place.fields(key)) if key == "annotations" else place.text(key) not in ("", "0", "0s")


def _expression(fields: dict[str, Place], place: Place) -> str:
    expression = fields["expr"].text("expr").strip() if "expr" in fields else ""
    if not expression:
        raise place.wrong("field 'expr' must be set in rule")
    from kpwatch.promql.parse import kind_of, parse  # noqa: PLC0415 - the parser is large; see promql

    try:
        kind = kind_of(parse(expression))
    except BadQuery as error:
        raise fields["expr"].wrong(f"could not parse expression: {error}") from error
    if kind in ("string", "range vector"):
        raise fields["expr"].wrong(f"expr: a rule's result is a scalar or an instant vector, not a {kind}")
    return expression


def _shown(expression: str) -> str:
    from kpwatch.promql.pretty import one_line  # noqa: PLC0415 - as above
    from kpwatch.promql.syntax import parse_syntax  # noqa: PLC0415

    return one_line(parse_syntax(expression))


def _labels(place: Place | None, what: str, check: Callable[[str], None] | None = None) -> dict[str, str]:
    """Names and values of `labels` or `annotations`."""
    if place is None:
        return {}
    found: dict[str, str] = {}
    for name, value in place.fields(what).items():
        if not _LABEL_NAME.fullmatch(name) or (what == "labels" and name == METRIC_NAME):
            raise value.wrong(f"{what}: invalid name: {name!r}")
        text = value.text(f"{what}.{name}")
        try:
            if check is not None:
                check(text)
        except TemplateError as error:
            raise value.wrong(f"{what}.{name}: {error}") from error
        found[name] = text
    return found


def _checked_template(text: str) -> None:
    if "{{" in text:
        read_template(text)
