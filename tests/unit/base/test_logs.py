"""Log lines: the article's form, repeats held back and counted, nothing that can forge a line."""

from __future__ import annotations

import re

import pytest

from kpwatch.base.logs import Logger


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_668_000_000.0

    def unix_seconds(self) -> float:
        return self.now

    def unix_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic_seconds(self) -> float:
        return self.now


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


def texts(lines: list[str]) -> list[str]:
    """Lines without time and place."""
    return [line.split(": ", 1)[1] for line in lines]


def test_a_line_has_the_form_of_the_article(lines: list[str], clock: MovedClock) -> None:
    """Time, place, level, text."""
    Logger(lines.append, clock=clock).info("runner.binarydir: /usr/bin", at="main.go:110")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d main\.go:110: I! runner\.binarydir: /usr/bin\n", lines[0])


def test_without_a_place_it_is_the_caller(lines: list[str], clock: MovedClock) -> None:
    """This file and line."""
    Logger(lines.append, clock=clock).error("no")
    assert re.search(r" test_logs\.py:\d+: E! no\n$", lines[0])


def test_levels_below_the_lowest_are_not_written(lines: list[str], clock: MovedClock) -> None:
    """Debug lines need the level D."""
    Logger(lines.append, clock=clock).debug("a")
    Logger(lines.append, clock=clock, level="D").debug("b")
    assert texts(lines) == ["D! b\n"]


def test_repeats_are_held_back_and_counted(lines: list[str], clock: MovedClock) -> None:
    """Within a minute only the first; the next one says how many there were."""
    log = Logger(lines.append, clock=clock)
    for _ in range(5):
        log.error("refused")
    clock.now += 61
    log.error("refused")
    assert texts(lines) == ["E! refused\n", "E! refused (and 4 more like this)\n"]


def test_what_repeats_is_known_by_about(lines: list[str], clock: MovedClock) -> None:
    """Texts may differ, and the same text at another level is another line."""
    log = Logger(lines.append, clock=clock)
    log.error("refused after 3 ms", about="node-a")
    log.error("refused after 4 ms", about="node-a")
    log.error("refused after 3 ms", about="node-b")
    log.warning("refused after 3 ms", about="node-a")
    assert len(lines) == 3


def test_flush_says_what_was_held_back(lines: list[str], clock: MovedClock) -> None:
    """At the end no count is lost."""
    log = Logger(lines.append, clock=clock)
    for _ in range(3):
        log.warning("slow")
    log.flush()
    log.flush()
    assert texts(lines) == ["W! slow\n", "W! 2 more like: slow\n"]


def test_memory_is_bounded_and_loses_no_count(lines: list[str], clock: MovedClock) -> None:
    """The oldest is forgotten, its count printed."""
    log = Logger(lines.append, clock=clock, remembered=2)
    for text in ("a", "a", "b", "c", "d"):
        log.info(text)
    assert texts(lines) == ["I! a\n", "I! b\n", "I! 1 more like: a\n", "I! c\n", "I! d\n"]


def test_a_text_cannot_forge_a_line(lines: list[str], clock: MovedClock) -> None:
    """A receiver's words stay on one line."""
    Logger(lines.append, clock=clock).error("says: no\r\n2022/11/09 I! all is well")
    assert lines[0].count("\n") == 1
    assert r"no\r\n2022" in lines[0]


def test_a_reader_that_is_gone_stops_nobody(clock: MovedClock) -> None:
    """The line is counted as lost."""

    def broken(_: str) -> None:
        raise BrokenPipeError

    log = Logger(broken, clock=clock)
    log.info("hello")
    assert log.lost_lines == 1


FORMS = [
    ("logfmt", "two words", 'time=2022-11-09T13:20:00.000Z level=warning at=here msg="two words"'),
    ("logfmt", "one", "time=2022-11-09T13:20:00.000Z level=warning at=here msg=one"),
    ("logfmt", 'a="b"\n', 'time=2022-11-09T13:20:00.000Z level=warning at=here msg="a=\\"b\\"\\n"'),
    (
        "json",
        'é "b"\n',
        '{"time": "2022-11-09T13:20:00.000Z", "level": "warning", "at": "here", "msg": "\\u00e9 \\"b\\"\\n"}',
    ),
]


@pytest.mark.parametrize(("form", "text", "line"), FORMS)
def test_forms_for_machines(form: str, text: str, line: str, lines: list[str], clock: MovedClock) -> None:
    """One line each, whatever the text; times in UTC."""
    Logger(lines.append, clock=clock, form=form).warning(text, at="here")
    assert lines == [line + "\n"]


def test_what_is_concealed_is_not_shown(lines: list[str], clock: MovedClock) -> None:
    """Not in others' words either; what is very short is left alone."""
    log = Logger(lines.append, clock=clock)
    log.conceal(["swordfish", "abc"])
    log.error("it said: swordfish, abc")
    assert texts(lines) == ["E! it said: ***, abc\n"]


def test_lines_that_are_not_held_back(lines: list[str], clock: MovedClock) -> None:
    """Each is written, at the caller's place; not below the lowest level."""
    log = Logger(lines.append, clock=clock)
    for _ in range(3):
        log.unthrottled("GET /metrics")
    Logger(lines.append, clock=clock, level="W").unthrottled("GET /metrics")
    assert texts(lines) == ["I! GET /metrics\n"] * 3
    assert " test_logs.py:" in lines[0]
