"""Relabel rules: Prometheus' `relabel_configs`, checked once and applied to label sets.

The semantics are those of prometheus/prometheus model/relabel/relabel.go: values of `source_labels` are joined by
`separator`; regular expressions are Go's and match the whole text; a label set to "" is gone; keep, drop, keepequal
and dropequal decide whether the series lives. A rule is checked when it is made, so that applying it cannot fail: what
Categraf answers with a crash (an unknown action, modulus 0) is an error here that names the rule. Actions may be
written in any case, as Prometheus takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.relabel.goregex import compile_whole, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Pairs = dict[str, str]

DEFAULT_REGEX = "(.*)"
DEFAULT_REPLACEMENT = "$1"
DEFAULT_SEPARATOR = ";"


class RelabelRule(NamedTuple):
    """One rule as written; `compile_rules` makes it work."""

    source_labels: tuple[str, ...] = ()
    separator: str = DEFAULT_SEPARATOR
    regex: str = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    action: str = "replace"


class _Compiled:
    """A rule with its regex compiled; what it does is found through ACTIONS."""

    def __init__(self, rule: RelabelRule) -> None:
        self.rule = rule
        self.regex = compile_whole(rule.regex)
        self.run = ACTIONS[rule.action.lower()].run

    def joined(self, pairs: Pairs) -> str:
        """The values that the rule looks at, as one text."""
        return self.rule.separator.join(pairs.get(name, "") for name in self.rule.source_labels)

    def matches(self, pairs: Pairs) -> bool:
        """Whether the regex matches that text."""
        return self.regex.fullmatch(self.joined(pairs)) is not None

    def equals(self, pairs: Pairs) -> bool:
        """Whether the target label has that text."""
        return pairs.get(self.rule.target_label, "") == self.joined(pairs)


def _replace(step: _Compiled, pairs: Pairs) -> Pairs | None:
    match = step.regex.fullmatch(step.joined(pairs))
    if match is None:
        return pairs
    return _with(pairs, expand(step.rule.target_label, match), expand(step.rule.replacement, match))


def _hashmod(step: _Compiled, pairs: Pairs) -> Pairs | None:
    from hashlib import md5  # noqa: PLC0415 - brings OpenSSL: 3.8 MB that only this action needs

    digest = md5(step.joined(pairs).encode(), usedforsecurity=False).digest()
    return _with(pairs, step.rule.target_label, str(int.from_bytes(digest[8:], "big") % step.rule.modulus))


def _labelmap(step: _Compiled, pairs: Pairs) -> Pairs | None:
    mapped = pairs
    for name, value in sorted(pairs.items()):
        match = step.regex.fullmatch(name)
        if match is not None:
            mapped = _with(mapped, expand(step.rule.replacement, match), value)
    return mapped


def _keep(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return pairs if step.matches(pairs) else None


def _drop(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return None if step.matches(pairs) else pairs


def _keep_equal(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return pairs if step.equals(pairs) else None


def _drop_equal(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return None if step.equals(pairs) else pairs


def _labeldrop(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return {name: value for name, value in pairs.items() if not step.regex.fullmatch(name)}


def _labelkeep(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return {name: value for name, value in pairs.items() if step.regex.fullmatch(name)}


def _lowercase(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return _with(pairs, step.rule.target_label, _one_by_one(str.lower, step.joined(pairs)))


def _uppercase(step: _Compiled, pairs: Pairs) -> Pairs | None:
    return _with(pairs, step.rule.target_label, _one_by_one(str.upper, step.joined(pairs)))


def _one_by_one(change: Callable[[str], str], text: str) -> str:
    """Every character changed for itself, where one comes out of one, as Go does it: the upper case of ß stays ß."""
    return "".join(changed if len(changed := change(character)) == 1 else character for character in text)


def _with(pairs: Pairs, name: str, value: str) -> Pairs:
    """A label set, or with "" removed; a name that came out empty is none."""
    changed = {**pairs, name: value}
    if not value or not name:
        del changed[name]
    return changed


class Action(NamedTuple):
    """What a rule does and what it takes."""

    run: Callable[[_Compiled, Pairs], Pairs | None]
    needs_target: bool = False
    takes: tuple[str, ...] = ()
    """The only fields that may be set; () for any."""


ACTIONS = {
    "replace": Action(_replace, needs_target=True),
    "keep": Action(_keep),
    "drop": Action(_drop),
    "keepequal": Action(_keep_equal, needs_target=True, takes=("source_labels", "target_label")),
    "dropequal": Action(_drop_equal, needs_target=True, takes=("source_labels", "target_label")),
    "hashmod": Action(_hashmod, needs_target=True),
    "labelmap": Action(_labelmap),
    "labeldrop": Action(_labeldrop, takes=("regex",)),
    "labelkeep": Action(_labelkeep, takes=("regex",)),
    "lowercase": Action(_lowercase, needs_target=True),
    "uppercase": Action(_uppercase, needs_target=True),
}


def compile_rules(rules: Iterable[RelabelRule], *, first_number: int = 1) -> Callable[[Pairs], Pairs | None]:
    """A function from labels (with `__name__`) to labels, or to None where the series is dropped.

    Raises ConfigError naming the rule (counted from `first_number`) and what is wrong with it. The function changes no
    dict it is given.
    """
    steps = [_check(number, rule) for number, rule in enumerate(rules, start=first_number)]

    def apply(pairs: Pairs) -> Pairs | None:
        for step in steps:
            changed = step.run(step, pairs)
            if changed is None:
                return None
            pairs = changed
        return pairs

    return apply


def rule_faults(number: int, rule: RelabelRule) -> list[str]:
    """Everything that is wrong with a rule, each as a sentence that names it."""
    name = f"relabel rule {number} (action {rule.action!r})"
    faults = []
    action = ACTIONS.get(rule.action.lower())
    if action is None:
        faults.append(f"{name}: no such action; expected one of {', '.join(ACTIONS)}")
    else:
        if action.needs_target and not rule.target_label:
            faults.append(f"{name}: target_label is missing")
        if rule.action.lower() == "hashmod" and rule.modulus <= 0:
            faults.append(f"{name}: modulus is {rule.modulus}, expected a whole number above 0")
        surplus = [key for key in _set_fields(rule) if action.takes and key not in action.takes]
        if surplus:
            faults.append(f"{name}: takes {' and '.join(action.takes)} and nothing else, not {', '.join(surplus)}")
    try:
        compile_whole(rule.regex)
    except ConfigError as error:
        faults.append(f"{name}: {error}")
    return faults


def _check(number: int, rule: RelabelRule) -> _Compiled:
    for fault in rule_faults(number, rule):
        raise ConfigError(fault)
    return _Compiled(rule)


def _set_fields(rule: RelabelRule) -> list[str]:
    """Names of the fields beside the action that differ from their defaults."""
    default = RelabelRule(action=rule.action)
    return [name for name, given, usual in zip(rule._fields, rule, default, strict=True) if given != usual]
