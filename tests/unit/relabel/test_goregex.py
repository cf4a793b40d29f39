"""Go's regular expressions: what Python reads otherwise is translated, what Go refuses is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.goregex import MAX_DEPTH, compile_whole, expand


def re2_pattern(pattern: str) -> Any:
    """The same pattern for RE2."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    return re2.compile(pattern, options)


MATCHES = [
    # pattern, matches the whole of, does not
    ("", [""], ["a"]),
    ("a.b", ["axb", "a\nb"], ["ab"]),
    ("a|ab", ["a", "ab"], ["b"]),
    ("a$", ["a"], ["a\n"]),
    ("a\\z", ["a"], ["a\n"]),
    ("\\Aa", ["a"], []),
    ("^*a$*", ["a"], ["b"]),
    ("(?m)a$\nb", ["a\nb"], []),
    ("a$\nb", [], ["a\nb"]),
    ("(?m:a$)\nb", ["a\nb"], []),
    ("(?m:(?-m:a$)\nb)", [], ["a\nb"]),
    ("(?m)(a$\n)(?-m:^)?b", ["a\nb"], []),
    ("(?-s)a.b", ["axb"], ["a\nb"]),
    ("(?-s:.)(.)", ["a\n"], ["\na"]),
    ("a(?i)b|c", ["ab", "aB", "c", "C"], ["A", "Ab", "ac"]),
    ("(a(?i)b|c)d", ["aBd", "Cd"], ["AbD", "cD"]),
    ("(?i)straße", ["STRAßE", "ſTRAẞE"], ["STRASSE"]),
    ("(?i)é", ["É"], ["e"]),
    ("(?i)k", ["K", "\u212a"], []),
    ("(?i-s:a.)", ["AB"], ["a\n"]),
    ("(?i)(?-i:a)b", ["aB"], ["AB"]),
    ("\\d+", ["12"], ["٣"]),
    ("\\D", ["٣"], ["1"]),
    ("\\w+", ["a_1"], ["é"]),
    ("\\W", ["é"], ["_"]),
    ("\\s", ["\t", "\f", "\r"], ["\v", "\u00a0"]),
    ("\\S", ["\v"], ["\n"]),
    ("(?i)\\W", ["é"], ["s", "ſ"]),
    ("é\\bx", ["éx"], []),
    ("x\\By", ["xy"], []),
    ("\\B", [""], []),
    ("[\\d-z]+", ["1-z"], ["y"]),
    ("[a\\D]", ["a", "x"], ["1"]),
    ("[^\\Da]", ["1"], ["a", "x"]),
    ("[^a]", ["b", "\n"], ["a"]),
    ("[]a]+", ["]a"], ["["]),
    ("[^]a]", ["b"], ["]"]),
    ("[a-]+", ["a-"], ["b"]),
    ("[-a]+", ["a-"], ["b"]),
    ("[a&&b||c~~]+", ["a&b|c~"], []),
    ("[[:alpha:]_]+", ["aZ_"], ["1"]),
    ("[[:^alpha:]]+", ["1_"], ["a"]),
    ("[[:space:]]+", [" \v\n"], ["a"]),
    ("[[:punct:]]+", ["!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"], ["a", " "]),
    ("[[a]+", ["[a"], ["b"]),
    ("[\\]\\-\\^]+", ["]-^"], ["\\"]),
    ("[\\x41-\\x{43}]", ["B"], ["D"]),
    ("\\x41\\x{1F600}\\x{000041}", ["A😀A"], []),
    ("\\0\\012\\101", ["\0\nA"], []),
    ("\\a\\f\\n\\r\\t\\v", ["\a\f\n\r\t\v"], []),
    ("\\.\\_\\-\\/\\ ", ["._-/ "], []),
    ("\\Qa.b*\\Ec*", ["a.b*", "a.b*cc"], ["axb"]),
    ("\\Qa.b", ["a.b"], ["axb"]),
    ("\\Qab\\E+", ["abbb"], ["abab"]),
    ("a{,2}", ["a{,2}"], ["aa"]),
    ("a{x}{", ["a{x}{"], ["a"]),
    ("a{2}", ["aa"], ["a"]),
    ("a{2,}", ["aaa"], ["a"]),
    ("a{1,2}?", ["aa"], ["aaa"]),
    ("a*?b+?c??", ["aabb"], []),
    ("(?P<n>a)(?<m>b)", ["ab"], []),
    ("a # b", ["a # b"], ["a"]),
    ("]}", ["]}"], []),
    ("(|a)+", ["", "aa"], ["b"]),
    ("()|(?:)", [""], []),
]


@pytest.mark.parametrize(("pattern", "matching", "others"), MATCHES)
def test_a_pattern(pattern: str, matching: list[str], others: list[str]) -> None:
    """Against whole texts."""
    compiled = compile_whole(pattern)
    assert [text for text in matching if not compiled.fullmatch(text)] == []
    assert [text for text in others if compiled.fullmatch(text)] == []


@pytest.mark.parametrize(("pattern", "matching", "others"), MATCHES)
def test_re2_says_the_same(pattern: str, matching: list[str], others: list[str]) -> None:
    """The table above is RE2's opinion too."""
    compiled = re2_pattern(pattern)
    assert [text for text in matching if not compiled.fullmatch(text)] == []
    assert [text for text in others if compiled.fullmatch(text)] == []


REFUSED_AS_BY_GO = [
    ("(?=a)", "(?= is not part of Go's syntax"),
    ("(?!a)", "(?! is not part of Go's syntax"),
    ("(?<=a)b", "(?<= is not part of Go's syntax"),
    ("(?<!a)b", "(?<! is not part of Go's syntax"),
    ("(?>a)", "(?> is not part of Go's syntax"),
    ("(?P<n>a)(?P=n)", "(?P= is not part of Go's syntax"),
    ("(?(1)a|b)", "(?( is not part of Go's syntax"),
    ("(?#a)", "(?# is not part of Go's syntax"),
    ("(a)\\1", "the escape \\1 is not supported"),
    ("a\\Z", "the escape \\Z is not supported"),
    ("\\u0041", "the escape \\u is not supported"),
    ("\\é", "the escape \\é is not supported"),
    ("[\\b]", "the escape \\b is not supported"),
    ("[\\Qa\\E]", "the escape \\Q is not supported"),
    ("\\x4", "two hexadecimal digits"),
    ("\\x{110000}", "two hexadecimal digits"),
    ("a\\", "the escape \\ is not supported"),
    ("a**", "a repetition of a repetition"),
    ("a*+", "a repetition of a repetition"),
    ("a{2}{3}", "a repetition of a repetition"),
    ("a??+", "a repetition of a repetition"),
    ("*a", "nothing to repeat"),
    ("a|*", "nothing to repeat"),
    ("{2}", "nothing to repeat"),
    ("a{1001}", "{1001}: more than 1000"),
    ("a{2,1}", "min repeat greater than max repeat"),
    ("a)", "a ) closes that is not open"),
    ("(a", "a ( is not closed"),
    ("[a", "a [ is not closed"),
    ("[", "a [ is not closed"),
    ("[z-a]", "the range z-a runs backwards"),
    ("[a-\\d]", "the escape \\d is not supported"),
    ("[[:alpa:]]", "there is no class [:alpa:]"),
    ("(?P<n-m>a)", "a group's name"),
    ("(?'n'a)", "the group (?'n is not supported"),
    ("(?x)a b", "the group (?x) is not supported"),
    ("(?i-)a", "the flags (?i-) are not supported"),
]

REFUSED_BY_GO_ALONE = [
    ("(?<é>a)", "a group's name"),
    ("(?P<n>a)(?P<n>b)", "redefinition of group name"),
]

REFUSED_BY_US = [
    ("\\pL", "the escape \\p is not supported"),
    ("[\\p{Han}]", "the escape \\p is not supported"),
    ("\\C", "the escape \\C is not supported"),
    ("(?U)a*", "the flags (?U) are not supported"),
    ("(?P<1>a)", "a group's name"),
    ("(" * (MAX_DEPTH + 1) + ")" * (MAX_DEPTH + 1), "parentheses in parentheses"),
]


@pytest.mark.parametrize(("pattern", "reason"), REFUSED_AS_BY_GO + REFUSED_BY_GO_ALONE + REFUSED_BY_US)
def test_what_is_refused(pattern: str, reason: str) -> None:
    """With the pattern and the reason."""
    with pytest.raises(ConfigError) as caught:
        compile_whole(pattern)
    assert str(caught.value).startswith(f"regex {pattern!r}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(("pattern", "_"), REFUSED_AS_BY_GO)
def test_re2_refuses_it_too(pattern: str, _: str) -> None:
    """So nothing that worked is lost."""
    with pytest.raises(re2.error):
        re2_pattern(pattern)


EXPANSIONS = [
    # pattern, text, template, result
    ("(.*)", "abc", "$1", "abc"),
    ("(a)(b)", "ab", "${2}-$1-$0", "b-a-ab"),
    ("(a)(b)", "ab", "$1x", ""),
    ("(a)(b)", "ab", "${1}x", "ax"),
    ("(a)(b)", "ab", "$12", ""),
    ("(a)(b)", "ab", "$01", ""),
    ("(a)(b)", "ab", "$3", ""),
    ("(a)(b)", "ab", "$²", ""),
    ("(a)|(b)", "a", "[$2]", "[]"),
    ("(?P<n>a)", "a", "$n ${n} $m", "a a "),
    ("(a)", "a", "$$1 $ ${ ${1 $- {1}", "$1 $ ${ ${1 $- {1}"),
    ("(a)", "a", "\\1\\n", "\\1\\n"),
    ("a", "a", "$99999999999999999999", ""),
]


@pytest.mark.parametrize(("pattern", "text", "template", "result"), EXPANSIONS)
def test_expand(pattern: str, text: str, template: str, result: str) -> None:
    """As Go's Regexp.Expand."""
    match = compile_whole(pattern).fullmatch(text)
    assert match is not None
    assert expand(template, match) == result


ATOMS = st.sampled_from(
    ["a", "b", "_", "é", "1", ".", "\\d", "\\W", "\\w", "\\s", "\\S", "[ab]", "[^a]", "[a-b1]", "[^\\W1]", "[\\D1]",
     "[[:alpha:]]", "[^[:^digit:]a]", "^", "$", "\\b", "\\B", "\\.", "\\x62", "\\141", "\\Qa.\\E", "\n"]
)  # fmt: skip


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: "(?:" + "|".join(parts) + ")"),
        inner.map(lambda part: f"({part})"),
        st.tuples(st.sampled_from(["(?i)", "(?m)", "(?-s)", "(?s-i)"]), inner).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2}", "*?"])).map(lambda it: f"(?:{it[0]}){it[1]}"),
    )


@given(st.recursive(ATOMS, grown, max_leaves=8), st.lists(st.text("aAbB_é1 \n.ſ", max_size=5), min_size=1, max_size=4))
def test_re2_agrees(pattern: str, texts: list[str]) -> None:
    """On any pattern of the common syntax, RE2 matches the same whole texts."""
    compiled, oracle = compile_whole(pattern), re2_pattern(pattern)
    for text in texts:
        assert bool(compiled.fullmatch(text)) == bool(oracle.fullmatch(text)), text


CAPTURES = st.lists(
    st.sampled_from(["(a*)", "(b|ab)", "([^_]+)", "(.*)", "(.*?)", "_", "(\\d)?", "(?:x|(y))", "b"]),
    min_size=1,
    max_size=5,
).map("".join)


@given(CAPTURES, st.text("abxy_1", max_size=8))
def test_groups_hold_what_they_hold_in_re2(pattern: str, text: str) -> None:
    """Greedy, lazy and alternatives are decided alike."""
    ours, theirs = compile_whole(pattern).fullmatch(text), re2_pattern(pattern).fullmatch(text)
    assert (ours is None) == (theirs is None)
    assume(ours is not None and theirs is not None)
    assert ours.groups() == theirs.groups()


@given(st.text("ab()[]{}*+?|^$.\\-:=!<>PQEdDpxz019,im ", max_size=12))
def test_any_text_is_a_pattern_or_a_named_error(pattern: str) -> None:
    """No other exception, no warning; what we take, RE2 takes."""
    said = ""
    try:
        compile_whole(pattern)
    except ConfigError as error:
        said = str(error)
    if said:
        assert said.startswith(f"regex {pattern!r}: ")
    else:
        re2_pattern(pattern)
