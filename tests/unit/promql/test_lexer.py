"""What the lexer bounds and rewrites before promql-parser sees a query."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.promql.lexer import (
    MAX_BRACKET_DEPTH,
    MAX_OPERATORS,
    MAX_QUERY_BYTES,
    MAX_SIGN_RUN,
    prepare,
    tokens,
)
from kpwatch.promql.strings import unquote

REWRITTEN = [
    ("1_000", "1000"),
    ("1_000.5e1_0", "10005000000000"),
    ("0x1_F + 0X_1f + 007 + 08", "31 + 31 + 7 + 8"),
    (".5 + 5. + 1e-3 + 1e300", "0.5 + 5 + 0.001 + 1e+300"),
    ("5m + 1h30m", "300 + 5400"),
    ("nan + INF", "NaN + Inf"),
    ("a_1_000", "a_1_000"),
    ('{a="1_000",nan="b"}', '{ a = "1_000" , nan = "b" }'),
    ("a[5m:1m] offset -1h30m", "a [300s:60s] offset -5400s"),
    ("a[ 2 * 90s : ]", "a [180s:]"),
    ("a[1y2ms] offset 0", "a [365d2ms] offset 0"),
    ("offset OFFSET 5m", "offset offset 300s"),
    ("a offset 5m * 2", "a offset 300s * 2"),
    ("sum by (offset) (a)", "sum by ( offset ) ( a )"),
    ("sum by (a:b) (a:b)", 'sum by ( "a:b" ) ( a:b )'),
    ('a{or="b"}', 'a { "or" = "b" }'),
    ("a # 1_000 @ -5\n+ b", "a + b"),
    (r"a == 'b\'' - `\q`", 'a == "b\'" - "\\\\q"'),
    (r'"\xc3\xbf"', '"ÿ"'),
    (r'"\303\277 \x41"', '"ÿ A"'),
    (r'"\\xc3"', r'"\\xc3"'),
    (r"`\xc3`", r'"\\xc3"'),
    ("a anchored", "a offset 11574074d6400s"),
    ("a[5m] SMOOTHED offset -1s", "a [300s] offset 23148148d12799s"),
    ("a offset 1s anchored @ 5", "a offset 11574074d6401s @ 200000000000"),
    ("a smoothed[5m]", "a [300s] offset 23148148d12800s"),
    ("a smoothed[5m:] offset 1s", "a offset 23148148d12800s [300s:] offset 1s"),
    ("anchored + smoothed{anchored='b'}", '_:is_called:anchored + _:is_called:smoothed { anchored = "b" }'),
    ("a * on (smoothed) group_left smoothed", 'a * on ( "smoothed" ) group_left _:is_called:smoothed'),
    ("and smoothed and smoothed", "and offset 23148148d12800s and _:is_called:smoothed"),
    (r'a{b=~"c.*",d!~`\d`,e="f"}', 'a { b =~ "0" , d !~ "1|" , e = "f" }'),
]

REFUSED = [
    ("1__0", '1:1: parse error: bad number or duration syntax: "1__0"'),
    ("a +\n 1_", '2:2: parse error: bad number or duration syntax: "1_"'),
    ("0x", "bad number or duration syntax"),
    ("0b1", "bad number or duration syntax"),
    ("1e999", "out of range"),
    ("30m1h", "bad number or duration syntax"),
    ('"\\q"', "1:1: parse error: unknown or incomplete escape sequence"),
    ("'\\\"'", "unknown or incomplete escape"),
    ('a{b=~"\\q"}', "1:6: parse error: unknown or incomplete escape"),
    ('"a\nb"', "unterminated quoted string"),
    ("é", "unexpected character: 'é'"),
    ("a\u00a0+ b", "unexpected character"),
    ('+"a"', 'unary expression only allowed on expressions of type scalar or instant vector, got "string"'),
    ("a @ Inf", "1:3: parse error: timestamp out of bounds for @ modifier: Inf"),
    ("a @ 1e18", "timestamp out of bounds"),
    ("a[0s]", "1:2: parse error: duration must be greater than 0"),
    ("sum(a) smoothed", "1:8: parse error: smoothed modifier not implemented"),
    ("a anchored smoothed", "1:12: parse error: anchored and smoothed modifiers cannot be used together"),
]

OVER_A_BOUND = [
    ("a" * (MAX_QUERY_BYTES + 1), "16385 bytes"),
    ("é" * (MAX_QUERY_BYTES // 2 + 1), "16386 bytes"),
    ("(" * (MAX_BRACKET_DEPTH + 1), "50 brackets"),
    ("[{(" * 17, "50 brackets"),
    ("-" * (MAX_SIGN_RUN + 1) + "1", "50 operators follow each other"),
    ("- + " * 26 + "1", "50 operators follow each other"),
    ("+".join(["a"] * (MAX_OPERATORS + 2)), "500 operators are used"),
    (" or ".join(["a"] * (MAX_OPERATORS + 2)), "500 operators are used"),
]

HOSTILE = [
    "(" * 50 + "1" + ")" * 50,
    "-" * 50 + "1",
    "+".join(["a"] * 501),
    "^".join(["2"] * 501),
    " or ".join(["a"] * 501),
    "abs(" * 50 + "a" + ")" * 50,
    "a{" + ",".join(['b="c"'] * 2600) + "}",
    "label_join(a, " + ",".join(['"b"'] * 3900) + ")",
    "sum by (" + ",".join(["b"] * 8000) + ") (a)",
    "a" + " @ 1" * 4000,
    "((((a" + "[1m:1s]" * 2000,
    '"' + "\\" * 16000 + '"',
]


@pytest.mark.parametrize(("query", "rewritten"), REWRITTEN)
def test_what_the_parser_would_misread_is_rewritten(query: str, rewritten: str) -> None:
    """The text handed to the parser."""
    assert prepare(query).text == rewritten


@pytest.mark.parametrize(("query", "says"), REFUSED)
def test_a_literal_that_is_none_is_refused_with_its_place(query: str, says: str) -> None:
    """Line and column, as Prometheus gives them."""
    with pytest.raises(BadQuery) as caught:
        prepare(query)
    assert says in str(caught.value)


def test_times_are_replaced_by_stand_ins() -> None:
    """The parser knows none before 1970; the numbers are kept beside the text."""
    prepared = prepare("a @ -1.5 + b @ - 2 + c @ 1_000 + d @ start()")
    assert prepared.times_ms == (-1500, -2000, 1_000_000)
    assert "-" not in prepared.text


@pytest.mark.parametrize(("query", "says"), OVER_A_BOUND, ids=range(len(OVER_A_BOUND)))
def test_a_query_over_a_bound_is_refused_with_the_bound(query: str, says: str) -> None:
    """Before the parser is called."""
    with pytest.raises(BadQuery, match=says):
        prepare(query)


UNQUOTED = [
    (r'"a\tb\\\""', 'a\tb\\"'),
    (r"'it\'s'", "it's"),
    (r'"\u00e4\U0001F600\x41\101"', "ä😀AA"),
    (r'"\xc3\xa4\xff"', "ä\udcff"),
    (r"`a\n`", "a\\n"),
    ("`a\r`", "a\r"),
    (r'"\'"', None),
    (r'"\q"', None),
    (r'"\ud800"', None),
    (r'"\U00110000"', None),
    (r'"\777"', None),
]


@pytest.mark.parametrize(("literal", "value"), UNQUOTED)
def test_a_string_literal_has_the_value_that_go_gives_it(literal: str, value: str | None) -> None:
    """None: it is no literal. A byte that is no UTF-8 is a lone surrogate."""
    assert unquote(literal) == value


def test_the_tokens_are_the_query() -> None:
    """Nothing is lost between tokens."""
    query = 'sum by (a) (rate(x{b=~"y\\"\'"}[5m] offset -1h)) / 1e-3 # done\n'
    assert "".join(text for _, text in tokens(query)) == query


def test_what_passes_the_bounds_does_not_end_the_process() -> None:
    """The parser is native and recursive: the worst that is let through is parsed in a process that could die."""
    code = (
        "import sys; from kpwatch.base.errors import BadQuery; from kpwatch.promql.parse import parse\n"
        "for query in sys.stdin.read().split('\\0'):\n"
        "    try: parse(query)\n"
        "    except BadQuery: pass\n"
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="\0".join(HOSTILE), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
