"""Command lines as Go's flag package reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.cli.goflags import Flag, FlagError, HelpAsked, parse, usage

TABLE = (
    Flag("test", "bool", "print samples", False),
    Flag("configs", "string", "where", "conf"),
    Flag("interval", "int", "seconds", 0),
    Flag("dialect", "string", "which", "v0.2", ("v0.2", "v0.4")),
)

GOOD: list[tuple[str, dict[str, object], list[str]]] = [
    ("", {}, []),
    ("-test", {"test": True}, []),
    ("--test", {"test": True}, []),
    ("-test=false", {"test": False}, []),
    ("--test=T", {"test": True}, []),
    ("-test false -interval 3", {"test": True}, ["false", "-interval", "3"]),
    ("-configs a", {"configs": "a"}, []),
    ("--configs=a=b", {"configs": "a=b"}, []),
    ("-configs=", {"configs": ""}, []),
    ("-configs -test", {"configs": "-test"}, []),
    ("-interval 0x10", {"interval": 16}, []),
    ("-interval=-5", {"interval": -5}, []),
    ("-interval 1 -interval 2", {"interval": 2}, []),
    ("- -test", {}, ["-", "-test"]),
    ("-test -- -interval 3", {"test": True}, ["-interval", "3"]),
    ("-dialect v0.4", {"dialect": "v0.4"}, []),
]

BAD = [
    ("-x", "flag provided but not defined: -x"),
    ("---test", "bad flag syntax: ---test"),
    ("-=1", "bad flag syntax: -=1"),
    ("-test=maybe", 'invalid boolean value "maybe" for -test: parse error'),
    ("-interval five", 'invalid value "five" for flag -interval: parse error'),
    ("-interval=", 'invalid value "" for flag -interval: parse error'),
    ("-configs", "flag needs an argument: -configs"),
    ("-dialect v3", 'invalid value "v3" for flag -dialect: v0.2 or v0.4'),
]


@pytest.mark.parametrize(("line", "changed", "rest"), GOOD)
def test_good_lines(line: str, changed: dict[str, object], rest: list[str]) -> None:
    """One line per rule; what is not given keeps its default."""
    flags = parse(TABLE, line.split())
    assert flags.values == {flag.name: flag.default for flag in TABLE} | changed
    assert flags.rest == rest


@pytest.mark.parametrize(("line", "message"), BAD)
def test_bad_lines(line: str, message: str) -> None:
    """In Go's words."""
    with pytest.raises(FlagError) as caught:
        parse(TABLE, line.split())
    assert str(caught.value) == message


@pytest.mark.parametrize("line", ["-h", "--help", "-test -help"])
def test_help(line: str) -> None:
    """-h wherever a flag may stand."""
    with pytest.raises(HelpAsked):
        parse(TABLE, line.split())


def test_usage_names_every_flag() -> None:
    """With what a value is, and the default."""
    text = usage("program", TABLE)
    assert text.startswith("Usage of program:\n  -test\n    \tprint samples\n  -configs string\n    \twhere (default")


@given(st.lists(st.text(alphabet="-=testconfigs1 ", max_size=9), max_size=4))
def test_any_line_is_read_or_refused(words: list[str]) -> None:
    """No other exception leaves."""
    try:
        parse(TABLE, words)
    except (FlagError, HelpAsked):
        return
