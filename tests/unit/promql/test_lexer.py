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
    unquote,
)

REWRITTEN = [
    ("1_000", "1000"),
    ("1_000.5e1_0", "1000.5e10"),
    ("0x1_F", "0x1F"),
    ("1__0", "1__0"),  # left to the parser, which refuses it
    ("a_1_000", "a_1_000"),
    ('{a="1_000"}', '{a="1_000"}'),
    ("a[5m:1m] offset -1h30m", "a[5m:1m] offset -1h30m"),
    ("a # 1_000 @ -5\n+ b", "a # 1_000 @ -5\n+ b"),
    (r'"\xc3\xbf"', '"ÿ"'),
    (r'"\303\277 \x41"', '"ÿ A"'),
    (r'"\\xc3"', r'"\\xc3"'),
    (r"`\xc3`", r"`\xc3`"),
    (r'a{b=~"c.*",d!~`\d`,e="f"}', 'a{b=~"0",d!~"1",e="f"}'),
    (r'a{b=~"\q"}', r'a{b=~"\q"}'),  # left to the parser, which refuses it
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
def test_what_the_parser_would_misread_is_rewritten_and_nothing_else(query: str, rewritten: str) -> None:
    """The text handed to the parser."""
    assert prepare(query).text == rewritten


def test_a_time_before_1970_is_replaced_by_a_stand_in() -> None:
    """The parser cannot express it; the number is kept beside the text."""
    prepared = prepare("a @ -1.5 + b @ - 2")
    assert prepared.negative_times_ms == (-1500, -2000)
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
    (r'"\q"', None),
    (r'"\ud800"', None),
    (r'"\U00110000"', None),
    (r'"\777"', None),
]


@pytest.mark.parametrize(("literal", "value"), UNQUOTED)
def test_a_string_literal_has_the_value_that_go_gives_it(literal: str, value: str | None) -> None:
    """None: the parser is left to refuse it. A byte that is no UTF-8 is a lone surrogate."""
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
