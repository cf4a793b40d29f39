"""Where a query stops being PromQL: places and words are those of Prometheus 3.16 for the same text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from kpwatch.base.errors import BadQuery
from kpwatch.promql.faults import find_fault
from kpwatch.promql.lexer import tokens
from kpwatch.promql.parse import parse
from tests.unit.promql.test_hostile import QUERIES, mutations

FAULTS = [
    ("", "unknown position: parse error: no expression found in input"),
    ("# c", "1:1: parse error: no expression found in input"),
    ("up{", "1:4: parse error: unexpected end of input inside braces"),
    ('up{a="b"} or\n  up{a=', "2:8: parse error: unexpected end of input inside braces"),
    ("up +", "1:5: parse error: unexpected end of input"),
    ("up up", '1:4: parse error: unexpected identifier "up"'),
    ("a #c\n b", '2:2: parse error: unexpected identifier "b"'),
    ("a a:b", '1:3: parse error: unexpected metric identifier "a:b"'),
    ("1 5m", '1:3: parse error: unexpected duration "5m"'),
    ("a 1234567890123", '1:3: parse error: unexpected number "1234567890"...'),
    ("'a' 'b'", "1:5: parse error: unexpected string \"'b'\""),
    ("a sum(b)", "1:3: parse error: unexpected <aggr:sum>"),
    ("a + * b", "1:5: parse error: unexpected <op:*>"),
    ("a = b", '1:3: parse error: unexpected "="'),
    ("a == bool bool 1", "1:11: parse error: unexpected <bool>"),
    ("a,b", '1:2: parse error: unexpected ","'),
    ("()", '1:2: parse error: unexpected ")"'),
    ("a{b='c'}{d='e'}", '1:9: parse error: unexpected "{"'),
    ("(a) by (x)", "1:5: parse error: unexpected <by>"),
    ("up)", "1:4: parse error: unexpected right parenthesis ')'"),
    ("a[5m]]", "1:6: parse error: unexpected right bracket ']'"),
    ("{}}", "1:3: parse error: unexpected character: '}'"),
    ("rate(up[5m]", "1:12: parse error: unclosed left parenthesis"),
    ("sum(up) by (x", "1:14: parse error: unclosed left parenthesis"),
    ("a[5m", "1:5: parse error: unclosed left bracket"),
    ("rate(a,)", "1:7: parse error: trailing commas not allowed in function call args"),
    ("rate(a b)", '1:8: parse error: unexpected identifier "b"'),
    ("sum(rate(a b))", '1:12: parse error: unexpected identifier "b" in aggregation'),
    ("sum(rate(a) by (b) c)", "1:13: parse error: unexpected <by> in aggregation"),
    ("sum by (job) rate(x[5m])", '1:14: parse error: unexpected identifier "rate" in aggregation'),
    ("sum(up) by", '1:11: parse error: unexpected end of input in grouping opts, expected "("'),
    ("sum by (a b) (up)", '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"'),
    ("a + on(1) b", '1:8: parse error: unexpected number "1" in grouping opts, expected label'),
    ("a{,}", '1:3: parse error: unexpected "," in label matching, expected identifier or "}"'),
    ("up{a}", '1:5: parse error: unexpected "}" in label matching, expected label matching operator'),
    ("a{=~'b'}", '1:3: parse error: unexpected <op:=~> in label matching, expected identifier or "}"'),
    ("up{a=b}", '1:6: parse error: unexpected identifier "b" in label matching, expected string'),
    ("a{b=='c'}", '1:5: parse error: unexpected "=" in label matching, expected string'),
    ("a{b='c' d='e'}", '1:9: parse error: unexpected identifier "d" in label matching, expected "," or "}"'),
    ("a{b=1}", "1:5: parse error: unexpected character inside braces: '1'"),
    ("a{\u00a0b='c'}", "1:3: parse error: unexpected character inside braces: '\\u00a0'"),
    ("a @ b", '1:5: parse error: unexpected identifier "b" in @, expected timestamp'),
    ("a offset 5m b", '1:13: parse error: unexpected identifier "b"'),
    ("a @ end() b", '1:11: parse error: unexpected identifier "b"'),
    ("a * on() group_left b c", '1:23: parse error: unexpected identifier "c"'),
    ("a ! b", "1:3: parse error: unexpected character after '!': ' '"),
    ("`a", "1:1: parse error: unterminated raw string"),
]


@pytest.mark.parametrize(("query", "says"), FAULTS, ids=[query for query, _ in FAULTS])
def test_what_is_wrong_and_where(query: str, says: str) -> None:
    """Line and column of the first piece that may not stand where it stands."""
    with pytest.raises(BadQuery) as refused:
        parse(query)
    assert str(refused.value) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("up", None),
        ('{__name__="up"} # c', None),
        ('and{a="b"}', None),
        ("up[5m]", '1:3: parse error: unexpected "["'),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("up @ 5", "1:4: parse error: unexpected <op:@>"),
        ("1", '1:1: parse error: unexpected number "1"'),
        ('"up"', r'1:1: parse error: unexpected string "\"up\""'),
        ("up or up", "1:4: parse error: unexpected <op:or>"),
        ("-up", "1:1: parse error: unexpected <op:->"),
        ("(up)", '1:1: parse error: unexpected "("'),
        ("sum(up)", '1:4: parse error: unexpected "("'),
        ("nan", '1:1: parse error: unexpected number "nan"'),
    ],
)
def test_a_selector_by_itself(text: str, says: str | None) -> None:
    """A `match[]` may be nothing else."""
    assert find_fault(list(tokens(text)), is_selector=True) == says


def test_what_is_promql_has_no_fault() -> None:
    """Every third query of the test scripts that is parsed."""
    wrong = []
    for query in QUERIES[::3]:
        try:
            parse(query)
        except BadQuery:
            continue
        wrong += [query] if find_fault(list(tokens(query))) else []
    assert wrong == []


@given(mutations())
@settings(max_examples=60, deadline=None)
def test_damaged_queries(query: str) -> None:
    """What is parsed has no fault; what is not may have one, and looking for it never fails."""
    fault = find_fault(list(tokens(query)))
    try:
        parse(query)
    except BadQuery:
        return
    assert fault is None
