"""Globs mean what they mean to gobwas/glob, which Categraf uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.globs import MAX_DEPTH, compile_globs

MATCHES = [
    # glob, matches, does not
    ("go_*", ["go_", "go_goroutines", "go_gc.x"], ["Go_x", "ago_x", "go"]),
    ("*_total", ["_total", "a_b_total"], ["a_total_", "total"]),
    ("*", ["", "a", "a\nb"], []),
    ("**", ["", "anything_at all"], []),
    ("a?c", ["abc", "a_c", "a\nc"], ["ac", "abbc"]),
    ("[abc]x?", ["ax1", "cx1"], ["dx1", "x1"]),
    ("[!abc]*", ["d", "-"], ["a", "", "cc"]),
    ("[a-c]*", ["a", "bz"], ["d", "-"]),
    ("[!a-c]*", ["d", "-"], ["a", "c"]),
    ("[abc-]*", ["-", "a"], ["d"]),
    ("[-a]*", ["-", "a"], ["b"]),
    ("[!-a]*", ["b"], ["-", "a"]),
    ("[!!a]*", ["b"], ["!", "a"]),
    ("[a!]*", ["!", "a"], ["b"]),
    ("[+-]]*", ["+", "]", "A"], ["a", "*"]),
    (r"[\]a]*", ["]", "a"], ["\\"]),
    ("[^a]*", ["^", "a"], ["b"]),
    ("[a&&b]*", ["a", "&", "b"], ["c"]),
    ("[é]*", ["é"], ["e"]),
    ("{a,b*}", ["a", "b", "bc"], ["ac", "", "a,b*"]),
    ("{a,}x*", ["ax", "x"], ["bx"]),
    ("x{a,{b,c*}}", ["xa", "xb", "xcd"], ["x", "xab"]),
    ("{[ab],c*}d", ["ad", "cd", "cxd"], ["cx"]),
    (r"{a\,b,c*}", ["a,b", "c"], ["a", "b"]),
    ("a,b*", ["a,bc"], ["a", "bc"]),
    ("a}*", ["a}"], ["a"]),
    (r"\*\?\[*", ["*?[", "*?[x"], ["aaa"]),
    (r"\a*", ["a"], ["\\a"]),
    (r"a\\*", ["a\\b"], ["ab"]),
    ("a.b*", ["a.bc"], ["axbc"]),
    ("a+(b)|^$*", ["a+(b)|^$"], ["aab"]),
    ("a b#*", ["a b#"], ["ab"]),
]


@pytest.mark.parametrize(("glob", "matching", "others"), MATCHES)
def test_one_glob(glob: str, matching: list[str], others: list[str]) -> None:
    """Alone in its list."""
    matches = compile_globs((glob,))
    assert [text for text in matching if not matches(text)] == []
    assert [text for text in others if matches(text)] == []


LISTS = [
    # list, matches, does not
    ((), [], ["", "a"]),
    (("up", "go_info"), ["up", "go_info"], ["u", "upx"]),
    (("{a,b}",), ["{a,b}"], ["a", "b"]),
    (("{a,b}", "x"), ["{a,b}", "x"], ["a"]),
    ((r"a\b",), [r"a\b"], ["ab"]),
    (("{a,b}", "x*"), ["a", "b", "x", "xy"], ["{a,b}"]),
    (("a,b", "x*"), ["a", "b", "x"], ["a,b"]),
    (("up", "go_*"), ["up", "go_x"], ["upx"]),
    (("", "go_*"), ["", "go_x"], ["x"]),
]


@pytest.mark.parametrize(("globs", "matching", "others"), LISTS)
def test_a_list(globs: tuple[str, ...], matching: list[str], others: list[str]) -> None:
    """Literal where nothing in it is a wildcard; else one of its entries."""
    matches = compile_globs(globs)
    assert [text for text in matching if not matches(text)] == []
    assert [text for text in others if matches(text)] == []


REFUSED = [
    ("[a-zA-Z]*", "one range"),
    ("[a-]", "the range a-] runs backwards"),
    ("[]", "expected"),
    ("[!]", "expected"),
    ("[abc", "expected"),
    ("[", "expected"),
    ("[z-a]", "the range z-a runs backwards"),
    ("{a,b*", "a brace is not closed"),
    ("a*\\", "a backslash at the end"),
    ("{" * (MAX_DEPTH + 2) + "*", "braces in braces"),
]


@pytest.mark.parametrize(("glob", "reason"), REFUSED)
def test_what_is_no_glob(glob: str, reason: str) -> None:
    """An error that names it."""
    with pytest.raises(ConfigError) as caught:
        compile_globs((glob,))
    assert str(caught.value).startswith(f"glob {glob!r}: ")
    assert reason in str(caught.value)


def test_a_brace_too_many_in_a_list() -> None:
    """It would close the list's own brace."""
    with pytest.raises(ConfigError, match="closes that is not open"):
        compile_globs(("a}", "b*"))


def naive(glob: list[str], text: str) -> bool:
    """A matcher by definition; the glob as its elements."""
    if not glob:
        return text == ""
    first, rest = glob[0], glob[1:]
    if first == "*":
        return any(naive(rest, text[length:]) for length in range(len(text) + 1))
    if first.startswith("{"):
        return any(naive([*option, *rest], text) for option in first[1:-1].split(","))
    if not text:
        return False
    if first.startswith("["):
        negated = first[1] == "!"
        inside = first[1 + negated : -1]
        found = inside[0] <= text[0] <= inside[-1] if len(inside) == 3 and inside[1] == "-" else text[0] in inside
        return found != negated and naive(rest, text[1:])
    return first in ("?", text[0]) and naive(rest, text[1:])


LETTERS = "ab_"
ELEMENTS = st.one_of(
    st.sampled_from(["*", "?", "[ab]", "[!a]", "[a-b]", "[!a-b]", "[_]"]),
    st.sampled_from(list(LETTERS)),
    st.lists(st.text(LETTERS + "*?", max_size=3), min_size=1, max_size=3).map(
        lambda words: "{" + ",".join(words) + "}"
    ),
)


@given(st.lists(ELEMENTS, max_size=6), st.text(LETTERS, max_size=8))
def test_a_naive_matcher_agrees(glob: list[str], text: str) -> None:
    """What the translated expression says is what the definition says."""
    written = "".join(glob)
    expected = naive(glob, text) if set(written) & set("*?[") else written == text
    assert compile_globs((written,))(text) == expected


@given(st.text(max_size=12))
def test_any_text_is_a_glob_or_a_named_error(text: str) -> None:
    """Nothing else comes out."""
    said = ""
    try:
        compile_globs((text,))("x")
        compile_globs((text, "y*"))("x")
    except ConfigError as error:
        said = str(error)
    assert not said or said.startswith(f"glob {text!r}: ")
