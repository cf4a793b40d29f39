"""Text in lines: nothing is lost, nothing sticks out, Chinese takes two columns, punctuation stays where it belongs."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.terminal import Paint, columns, lines_of, padded, wanted_language, wants_colours, width_of

TEXT = st.text(alphabet="ab _/`中文，。（）\u201c\u201d x1.9é\u0301…", max_size=80)

WIDTHS = [("", 0), ("abc", 3), ("规则", 4), ("规则 a，", 8), ("é", 1), ("e\u0301", 1), ("ｈ", 2), ("…", 1)]


@pytest.mark.parametrize(("text", "width"), WIDTHS)
def test_width(text: str, width: int) -> None:
    """As a terminal shows it."""
    assert width_of(text) == width
    assert width_of(padded(text, 9)) == 9


LINES = [
    # text, columns, lines
    ("one two three", 9, ["one two", "three"]),
    ("  one\n two ", 9, ["one two"]),
    ("规则同步", 4, ["规则", "同步"]),
    ("规则，同步。", 6, ["规则，", "同步。"]),
    ("规则，同步。", 5, ["规", "则，", "同", "步。"]),
    ("规（则）步", 6, ["规", "（则）", "步"]),
    ("从 Service 变化", 9, ["从", "Service", "变化"]),
    ("看 `a b c` 吧", 8, ["看", "`a b c`", "吧"]),
    ("`a b c`", 5, ["`a b", "c`"]),
    ("look at `a b`.", 9, ["look at", "`a b`."]),
    ("rules_last_queued", 12, ["rules_last_", "queued"]),
    ("aaaaaaaaaa", 4, ["aaaa", "aaaa", "aa"]),
    ("", 5, []),
]


@pytest.mark.parametrize(("text", "width", "lines"), LINES)
def test_lines(text: str, width: int, lines: list[str]) -> None:
    """Spaces, wide characters, commands, long words."""
    assert lines_of(text, width) == lines


def test_a_word_may_stick_out_where_it_is_to_be_pasted() -> None:
    """And stands in a line of its own."""
    assert lines_of("a bbbbbbbb c", 5, whole="words") == ["a", "bbbbbbbb", "c"]
    assert lines_of("a bbbbbbbb `c d e f`, g", 5, whole="commands") == ["a", "bbbbb", "bbb", "`c d e f`,", "g"]


@given(TEXT, st.integers(2, 40))
def test_no_line_is_too_wide_or_empty(text: str, width: int) -> None:
    """Two columns are enough for anything."""
    for line in lines_of(text, width):
        assert 0 < width_of(line) <= width or not line.strip("\u0301"), line


@given(TEXT, st.integers(2, 40))
def test_nothing_is_lost(text: str, width: int) -> None:
    """But white space."""
    assert "".join("".join(lines_of(text, width)).split()) == "".join(text.split())


def test_paint() -> None:
    """Only where colours are wanted; a command goes on in the next line."""
    assert Paint(colours=False)("bold", "x") == "x"
    assert Paint(colours=True)("bold", "x") == "\x1b[1mx\x1b[0m"
    lines = ["run `a", "b` now"]
    assert Paint(colours=False).commands(lines) == lines
    assert Paint(colours=True).commands(lines) == ["run `\x1b[36ma\x1b[0m", "\x1b[36mb\x1b[0m` now"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": "0"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours(stream: io.StringIO, environment: dict[str, str], wanted: bool) -> None:
    """On a terminal, unless somebody says no."""
    assert wants_colours(stream, environment) is wanted


def test_columns() -> None:
    """What the environment says, else what is there, else a hundred; never too few to write in."""
    assert columns(io.StringIO(), {"COLUMNS": "72"}) == 72
    assert columns(io.StringIO(), {"COLUMNS": "wide"}) == columns(io.StringIO(), {"COLUMNS": "0"}) == 100
    assert columns(io.StringIO(), {"COLUMNS": "3"}) == 24


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "C", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_language(environment: dict[str, str], language: str) -> None:
    """The locale's, as far as it is one of ours."""
    assert wanted_language(environment) == language
