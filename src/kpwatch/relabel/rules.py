"""Relabel rules: Prometheus' `relabel_configs`, checked once and applied to label sets.

The semantics are those of prometheus/prometheus model/relabel/relabel.go: values of `source_labels` are joined by
`separator`; regular expressions are Go's and match the whole text; a label set to "" is gone; keep, drop, keepequal
and dropequal decide whether the series lives. A rule is checked when it is made, so that applying it cannot fail: what
Categraf answers with a crash (an unknown action, modulus 0) is an error here that names the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.goregex import compile_whole, expand

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

Pairs = dict[str, str]

DEFAULT_REGEX = "(.*)"
DEFAULT_REPLACEMENT = "$1"
DEFAULT_SEPARATOR = ";"


@dataclass(frozen=True, slots=True)
class RelabelRule:
    """One rule as written; `compile_rules` makes it work."""

    source_labels: tuple[str, ...] = ()
    separator: str = DEFAULT_SEPARATOR
    regex: str = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    action: str = "replace"


Apply = "Callable[[Pairs], Pairs | None]"


class _Compiled:
    """A rule with its regex compiled; one method per action, found through ACTIONS."""

    def __init__(self, rule: RelabelRule) -> None:
        self.rule = rule
        self.regex: re.Pattern[str] = compile_whole(rule.regex)
        self.action = ACTIONS[rule.action.lower()].run

    def joined(self, pairs: Pairs) -> str:
        return self.rule.separator.join(pairs.get(name, "") for name in self.rule.source_labels)


def _replace(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    match = compiled.regex.fullmatch(compiled.joined(pairs))
    if match is None:
        return pairs
    target = expand(compiled.rule.target_label, match)
    return _with(pairs, target, expand(compiled.rule.replacement, match)) if target else pairs


def _keep(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return pairs if compiled.regex.fullmatch(compiled.joined(pairs)) else None


def _drop(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return None if compiled.regex.fullmatch(compiled.joined(pairs)) else pairs


def _keep_equal(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return pairs if pairs.get(compiled.rule.target_label, "") == compiled.joined(pairs) else None


def _drop_equal(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return None if pairs.get(compiled.rule.target_label, "") == compiled.joined(pairs) else pairs


def _hashmod(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    digest = md5(compiled.joined(pairs).encode(), usedforsecurity=False).digest()
    return _with(pairs, compiled.rule.target_label, str(int.from_bytes(digest[8:], "big") % compiled.rule.modulus))


def _labelmap(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    mapped = dict(pairs)
    for name, value in pairs.items():
        match = compiled.regex.fullmatch(name)
        if match is not None:
            mapped[expand(compiled.rule.replacement, match)] = value
    return mapped


def _labeldrop(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return {name: value for name, value in pairs.items() if not compiled.regex.fullmatch(name)}


def _labelkeep(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return {name: value for name, value in pairs.items() if compiled.regex.fullmatch(name)}


def _lowercase(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return _with(pairs, compiled.rule.target_label, compiled.joined(pairs).lower())


def _uppercase(compiled: _Compiled, pairs: Pairs) -> Pairs | None:
    return _with(pairs, compiled.rule.target_label, compiled.joined(pairs).upper())


def _with(pairs: Pairs, name: str, value: str) -> Pairs:
    changed = dict(pairs)
    changed[name] = value
    if not value:
        del changed[name]
    return changed


@dataclass(frozen=True, slots=True)
class Action:
    """What a rule does and what it must be given."""

    run: Callable[[_Compiled, Pairs], Pairs | None]
    needs_target: bool = False
    takes_regex_only: bool = False
    """Source labels, target, modulus, separator and replacement must be left alone."""


ACTIONS = {
    "replace": Action(_replace, needs_target=True),
    "keep": Action(_keep),
    "drop": Action(_drop),
    "keepequal": Action(_keep_equal, needs_target=True),
    "dropequal": Action(_drop_equal, needs_target=True),
    "hashmod": Action(_hashmod, needs_target=True),
    "labelmap": Action(_labelmap),
    "labeldrop": Action(_labeldrop, takes_regex_only=True),
    "labelkeep": Action(_labelkeep, takes_regex_only=True),
    "lowercase": Action(_lowercase, needs_target=True),
    "uppercase": Action(_uppercase, needs_target=True),
}


def compile_rules(rules: Iterable[RelabelRule]) -> Callable[[Pairs], Pairs | None]:
    """A function from labels (with `__name__`) to labels, or to None where the series is dropped.

    Raises ConfigError naming the rule (from 1) and what is wrong with it.
    """
    compiled = [_check(number, rule) for number, rule in enumerate(rules, start=1)]

    def apply(pairs: Pairs) -> Pairs | None:
        labels: Pairs | None = pairs
        for step in compiled:
            labels = step.action(step, labels)
            if labels is None:
                return None
        return labels

    return apply


def _check(number: int, rule: RelabelRule) -> _Compiled:
    action = ACTIONS.get(rule.action.lower())
    name = f"relabel rule {number} (action {rule.action!r})"
    if action is None:
        raise ConfigError(f"{name}: no such action; expected one of {', '.join(ACTIONS)}")
    if action.needs_target and not rule.target_label:
        raise ConfigError(f"{name}: target_label is missing")
    if rule.action.lower() == "hashmod" and rule.modulus <= 0:
        raise ConfigError(f"{name}: modulus is {rule.modulus}, expected a whole number above 0")
    if action.takes_regex_only and rule != RelabelRule(regex=rule.regex, action=rule.action):
        raise ConfigError(f"{name}: takes a regex and nothing else")
    try:
        return _Compiled(rule)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
