"""No text holds up a pattern; what matches, and with which groups, is what RE2 says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.globs import compile_globs
from kpwatch.relabel.goregex import _Translator, compile_whole
from kpwatch.relabel.linear import LinearPattern, WholePattern, effort_limit
from tests.unit.relabel.test_goregex import ATOMS, CAPTURES, grown, re2_pattern

HOSTILE = [
    # pattern, a text that Python's own engine would not get through
    ("(a+)+", "a" * 60 + "b"),
    ("(a|aa)+", "a" * 60 + "b"),
    ("(a*)*b", "a" * 60),
    ("(?:a?){20}a{20}b", "a" * 20),
    ("a?" * 40 + "a" * 40 + "b", "a" * 40),
    ("(.*)(.*)(.*)(.*)(.*)x", "y" * 1000),
    ("(?:.*,)*x", "," * 60),
    ("(x+x+)+y", "x" * 60),
    ("(?i)(A+)+$", "a" * 60 + "!"),
]

LIMITS = [
    ("(.*)", None),
    ("[^:]+:[0-9]{2}", None),
    ("(.*);(.*)", 3162),
    ("(.+)://([^:/]+)(:[0-9]+)?(/.*)?", 56),
    ("(a+)+", 0),
    ("(foo|bar)*", 0),
    ("foo|bar|baz.*", None),
]


def linear(pattern: str) -> LinearPattern:
    """The slow engine alone."""
    tree = re._parser.parse(_Translator(pattern).translate(), re.DOTALL)  # type: ignore[attr-defined]
    return LinearPattern(tree, pattern)


@pytest.mark.parametrize(("pattern", "text"), HOSTILE)
def test_a_hostile_text(pattern: str, text: str) -> None:
    """It ends, and says no."""
    assert compile_whole(pattern).fullmatch(text) is None


def test_globs_with_many_stars() -> None:
    """They are patterns like others."""
    assert not compile_globs(("*a*a*a*a*a*a*a*a*b",))("a" * 200)
    assert compile_globs(("*a*a*a*a*a*a*a*a*b",))("a" * 200 + "b")


@pytest.mark.parametrize(("pattern", "limit"), LIMITS)
def test_how_long_a_text_python_is_given(pattern: str, limit: int | None) -> None:
    """None: any; 0: none at all."""
    assert effort_limit(re._parser.parse(pattern)) == limit  # type: ignore[attr-defined]


def test_a_pattern_that_would_be_too_long() -> None:
    """An error that names it."""
    pattern = "(?:(ab|c){0,1000}){30}"
    with pytest.raises(ConfigError, match=re.escape(f"regex {pattern!r}: more than 20000 steps")):
        compile_whole(pattern)


@given(CAPTURES, st.text("abxy_1", max_size=8))
def test_groups_hold_what_they_hold_in_re2(pattern: str, text: str) -> None:
    """Greedy, lazy and alternatives are decided alike."""
    ours, theirs = linear(pattern).fullmatch(text), re2_pattern(pattern).fullmatch(text)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours.groups() == theirs.groups()


@given(st.recursive(ATOMS, grown, max_leaves=8), st.lists(st.text("aAbB_é1 \n.ſ", max_size=5), min_size=1, max_size=4))
def test_re2_agrees(pattern: str, texts: list[str]) -> None:
    """On any pattern of the common syntax, RE2 matches the same whole texts."""
    ours, oracle = linear(pattern), re2_pattern(pattern)
    for text in texts:
        assert bool(ours.fullmatch(text)) == bool(oracle.fullmatch(text)), text


def test_groups_by_name_and_number() -> None:
    """As `re` has them; what does not exist is an IndexError."""
    match = linear("(?P<one>a+)(b)?").fullmatch("aa")
    assert match is not None
    assert (match[0], match["one"], match[1], match[2]) == ("aa", "aa", "aa", None)
    for missing in (3, "two"):
        with pytest.raises(IndexError):
            match[missing]


def test_both_engines_are_used() -> None:
    """The length of the text decides, and not what comes out."""
    pattern = WholePattern("(.*)-(.*)", "")
    for length in (10, 5000):
        match = pattern.fullmatch("x" * length + "-y")
        assert match is not None
        assert (match[1], match[2]) == ("x" * length, "y")
