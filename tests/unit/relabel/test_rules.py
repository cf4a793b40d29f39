"""Relabel rules do what Prometheus does; a bad one is an error that names it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.rules import ACTIONS, RelabelRule, compile_rules

LABELS = {"__name__": "m", "a": "foo", "b": "bar", "c": "baz"}


def rule(**fields: Any) -> RelabelRule:
    """A rule of a few fields."""
    fields["source_labels"] = tuple(fields.get("source_labels", "").split())
    return RelabelRule(**fields)


CASES = [
    # rule, what it changes of LABELS ("" = gone), None = dropped
    ({"source_labels": "a", "target_label": "d"}, {"d": "foo"}),
    ({"source_labels": "a", "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-x"}, {"d": "choo-x"}),
    ({"source_labels": "a b", "regex": "(.*);(.*)", "target_label": "a", "replacement": "$2$1"}, {"a": "barfoo"}),
    ({"source_labels": "a b", "separator": "", "target_label": "d"}, {"d": "foobar"}),
    ({"source_labels": "a", "regex": "oo", "target_label": "d"}, {}),
    ({"source_labels": "a", "regex": "f", "target_label": "a", "replacement": ""}, {}),
    ({"source_labels": "a", "target_label": "a", "replacement": ""}, {"a": ""}),
    ({"source_labels": "none", "target_label": "d"}, {}),
    ({"source_labels": "none", "target_label": "a"}, {"a": ""}),
    ({"target_label": "d", "replacement": "fixed"}, {"d": "fixed"}),
    ({"source_labels": "a", "regex": "(f).*", "target_label": "${1}_x", "replacement": "y"}, {"f_x": "y"}),
    ({"source_labels": "a", "regex": "(x)?.*", "target_label": "$1", "replacement": "y"}, {}),
    ({"source_labels": "__name__", "target_label": "__name__", "replacement": "n_$1"}, {"__name__": "n_m"}),
    ({"source_labels": "a", "regex": "foo", "action": "keep"}, {}),
    ({"source_labels": "a", "regex": "fo", "action": "keep"}, None),
    ({"source_labels": "none", "regex": "", "action": "keep"}, {}),
    ({"source_labels": "a", "regex": "foo", "action": "drop"}, None),
    ({"source_labels": "a", "regex": "o", "action": "drop"}, {}),
    ({"source_labels": "a", "target_label": "b", "action": "keepequal"}, None),
    ({"source_labels": "a", "target_label": "a", "action": "keepequal"}, {}),
    ({"source_labels": "a", "target_label": "b", "action": "dropequal"}, {}),
    ({"source_labels": "none", "target_label": "neither", "action": "dropequal"}, None),
    ({"source_labels": "c", "target_label": "d", "action": "hashmod", "modulus": 1000}, {"d": "976"}),
    ({"source_labels": "a b", "target_label": "d", "action": "hashmod", "modulus": 7}, {"d": "6"}),
    ({"regex": "(a|b)", "replacement": "x_$1", "action": "labelmap"}, {"x_a": "foo", "x_b": "bar"}),
    ({"regex": "[ab]", "replacement": "both", "action": "labelmap"}, {"both": "bar"}),
    ({"regex": "a", "replacement": "c", "action": "labelmap"}, {"c": "foo"}),
    ({"regex": "(x)?a", "replacement": "$1", "action": "labelmap"}, {}),
    ({"regex": "a|b", "action": "labeldrop"}, {"a": "", "b": ""}),
    ({"regex": "__name__|c", "action": "labelkeep"}, {"a": "", "b": ""}),
    ({"source_labels": "a b", "target_label": "d", "action": "uppercase"}, {"d": "FOO;BAR"}),
    ({"source_labels": "a", "target_label": "a", "action": "LowerCase"}, {}),
    ({"source_labels": "none", "target_label": "a", "action": "lowercase"}, {"a": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "changes"), CASES)
def test_one_rule(fields: dict[str, Any], changes: dict[str, str] | None) -> None:
    """What it makes of the labels; the labels handed in stay as they are."""
    before = dict(LABELS)
    result = compile_rules([rule(**fields)])(before)
    assert before == LABELS
    expected = None if changes is None else {name: value for name, value in {**LABELS, **changes}.items() if value}
    assert result == expected


def test_hashmod_is_prometheus_hash() -> None:
    """md5, its last eight bytes, big endian: the values of Prometheus' own tests."""
    modulo = compile_rules([rule(source_labels="a", target_label="d", action="hashmod", modulus=1000)])
    assert modulo({"a": "baz"}) == {"a": "baz", "d": "976"}
    assert modulo({"a": "foo\nbar"}) == {"a": "foo\nbar", "d": "734"}


def test_every_action_has_a_case() -> None:
    """And Prometheus has no other."""
    assert {fields.get("action", "replace").lower() for fields, _ in CASES} == set(ACTIONS)


CASED = [
    ("uppercase", "straße ǆ ﬁ", "STRAßE Ǆ ﬁ"),
    ("lowercase", "ΑΣ É", "ας é".replace("ς", "σ")),
]


@pytest.mark.parametrize(("action", "text", "result"), CASED)
def test_letters_change_one_by_one(action: str, text: str, result: str) -> None:
    """As in Go; Python alone would make SS of ß and look at a sigma's place."""
    changed = compile_rules([rule(source_labels="a", target_label="a", action=action)])({"a": text})
    assert changed == {"a": result}


def test_rules_run_in_order() -> None:
    """Each sees what the one before left; behind a drop nothing runs."""
    rules = [
        rule(source_labels="a", target_label="d", replacement="$1!"),
        rule(source_labels="d", regex="foo!", action="keep"),
        rule(regex="a", action="labeldrop"),
        rule(source_labels="a", regex="", action="drop"),
        rule(source_labels="a", regex="(", action="keep"),
    ]
    assert compile_rules(rules[:3])(LABELS) == {"__name__": "m", "b": "bar", "c": "baz", "d": "foo!"}
    assert compile_rules(rules[:4])(LABELS) is None
    with pytest.raises(ConfigError, match=r"^relabel rule 5 \(action 'keep'\): regex '\(': a \( is not closed$"):
        compile_rules(rules)


BAD = [
    ({"action": "delete"}, "no such action; expected one of replace, keep, drop"),
    ({"action": ""}, "no such action"),
    ({}, "target_label is missing"),
    ({"action": "uppercase"}, "target_label is missing"),
    ({"action": "keepequal"}, "target_label is missing"),
    ({"action": "hashmod", "target_label": "d"}, "modulus is 0, expected a whole number above 0"),
    ({"action": "hashmod", "target_label": "d", "modulus": -1}, "modulus is -1"),
    ({"action": "labeldrop", "source_labels": "a"}, "takes regex and nothing else, not source_labels"),
    ({"action": "labelkeep", "replacement": "a"}, "takes regex and nothing else, not replacement"),
    (
        {"action": "dropequal", "target_label": "d", "regex": "a", "separator": ","},
        "takes source_labels and target_label and nothing else, not separator, regex",
    ),
    ({"action": "keep", "regex": "(?!a)"}, "regex '(?!a)': (?! is not part of Go's syntax"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD)
def test_a_bad_rule(fields: dict[str, Any], reason: str) -> None:
    """Named by its number and action; Categraf ends with a panic."""
    with pytest.raises(ConfigError) as caught:
        compile_rules([rule(target_label="x"), rule(**fields)])
    assert str(caught.value).startswith(f"relabel rule 2 (action {fields.get('action', 'replace')!r}): {reason}")


NAMES = st.sampled_from(["__name__", "a", "b", "x"])
RULES = st.builds(
    RelabelRule,
    source_labels=st.lists(NAMES, max_size=2).map(tuple),
    regex=st.sampled_from(["(.*)", "a|b", "(x)?(.*)", "", "[^x]+"]),
    modulus=st.integers(1, 9),
    target_label=st.sampled_from(["a", "x", "$1", "${2}_y"]),
    replacement=st.sampled_from(["$1", "", "b", "$2$0"]),
    action=st.sampled_from([name for name, action in ACTIONS.items() if not action.takes]),
)


@given(st.lists(RULES, max_size=5), st.dictionaries(NAMES, st.text(min_size=1, max_size=3)))
def test_labels_stay_labels(rules: list[RelabelRule], labels: dict[str, str]) -> None:
    """Whatever the rules: no empty name, no empty value."""
    result = compile_rules(rules)(labels)
    assert result is None or all(name and value for name, value in result.items())
