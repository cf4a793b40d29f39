"""Log lines in the form the article shows or one that machines read, without the weight of `logging`.

    categraf  2022/11/09 13:30:17 main.go:110: I! runner.binarydir: /home/work/go/src/categraf
    logfmt    time=2022-11-09T05:30:17.000Z level=info at=main.go:110 msg="runner.binarydir: /home/work/go/src/categraf"
    json      {"time": "2022-11-09T05:30:17.000Z", "level": "info", "at": "main.go:110", "msg": "runner.binarydir: …"}

Local time in the first, UTC in the others; where it was said; the level (D I W E F); the text. A line repeated within
`repeat_seconds` is held back and counted; the next one let through, or `flush`, says how often. What counts as the same
is `about`, else the text. The memory of what was said is bounded (`remembered`); forgetting the oldest costs a repeated
line, never a lost count: a count that is forgotten is printed first. Callers keep secrets out of texts; what is known
to be one is concealed besides.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK, local_text, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.base.clock import Clock

LEVELS = "DIWEF"
"""Debug, info, warning, error, fatal."""


SECRET_CHARACTERS = 6

_LEVEL_NAMES = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "fatal"}


def _categraf(unix_seconds: float, at: str, level: str, text: str) -> str:
    now = local_text(unix_seconds, "%Y/%m/%d %H:%M:%S")
    one_line = text.replace("\r", r"\r").replace("\n", r"\n")
    return f"{now} {at}: {level}! {one_line}\n"


def _fields(unix_seconds: float, at: str, level: str, text: str) -> dict[str, str]:
    return {"time": utc_text(unix_seconds), "level": _LEVEL_NAMES[level], "at": at, "msg": text}


def _logfmt(unix_seconds: float, at: str, level: str, text: str) -> str:
    from json import dumps  # noqa: PLC0415 - the article's form needs none

    fields = _fields(unix_seconds, at, level, text)
    plain = {name: value if _needs_no_quotes(value) else dumps(value) for name, value in fields.items()}
    return " ".join(f"{name}={value}" for name, value in plain.items()) + "\n"


def _needs_no_quotes(value: str) -> bool:
    return (
        bool(value) and value.isascii() and not any(char in '"=\\' or char <= " " or char == "\x7f" for char in value)
    )


def _json(unix_seconds: float, at: str, level: str, text: str) -> str:
    from json import dumps  # noqa: PLC0415 - the article's form needs none

    return dumps(_fields(unix_seconds, at, level, text)) + "\n"


LOG_FORMATS: dict[str, Callable[[float, str, str, str], str]] = {
    "categraf": _categraf,
    "logfmt": _logfmt,
    "json": _json,
}
"""By the name `--log-format` takes; each makes one line."""


class _Said:
    """One line that may come again."""

    __slots__ = ("held_back", "since_seconds")

    def __init__(self, since_seconds: float) -> None:
        self.since_seconds = since_seconds
        self.held_back = 0


_STDERR = 2


def _to_stderr(line: str) -> None:
    """In one write(2): a signal handler may log in the middle of another line's buffering."""
    os.write(_STDERR, line.encode(errors="replace"))


class Logger:
    """Writes lines; one per process, handed to whoever has something to say."""

    def __init__(
        self,
        write: Callable[[str], object] = _to_stderr,
        *,
        clock: Clock = SYSTEM_CLOCK,
        level: str = "I",
        form: str = "categraf",
        repeat_seconds: float = 60.0,
        remembered: int = 1024,
    ) -> None:
        self._write = write
        self._clock = clock
        self._lowest = LEVELS.index(level)
        self._form = LOG_FORMATS[form]
        self._repeat_seconds = repeat_seconds
        self._remembered = remembered
        self._said: dict[str, _Said] = {}
        self._secrets: frozenset[str] = frozenset()
        self.lost_lines = 0
        """Lines that could not be written, because whoever read us is gone; no reason to stop working."""

    def debug(self, text: str, *, at: str = "", about: str = "") -> None:
        """Say something only a developer wants to know."""
        self._line("D", text, at, about)

    def info(self, text: str, *, at: str = "", about: str = "") -> None:
        """Say that something went as it should."""
        self._line("I", text, at, about)

    def warning(self, text: str, *, at: str = "", about: str = "") -> None:
        """Say that something is not as it should be, but nothing is lost."""
        self._line("W", text, at, about)

    def error(self, text: str, *, at: str = "", about: str = "") -> None:
        """Say that something failed."""
        self._line("E", text, at, about)

    def fatal(self, text: str, *, at: str = "", about: str = "") -> None:
        """Say why the process ends; the caller ends it."""
        self._line("F", text, at, about)

    def conceal(self, secrets: Iterable[str]) -> None:
        """Show none of these any more, also where somebody else's words (an error page) repeat them.

        What is shorter than SECRET_CHARACTERS is left alone: it would be found in everything.
        """
        self._secrets |= {secret for secret in secrets if len(secret) >= SECRET_CHARACTERS}

    def scrub(self, text: str) -> str:
        """`text` without what is concealed."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    def unthrottled(self, text: str) -> None:
        """Say it each time: somebody asked for every one of these lines."""
        if LEVELS.index("I") >= self._lowest:
            self._emit("I", text, _caller(2))

    def flush(self) -> None:
        """Say how often held-back lines were repeated, and forget all."""
        for about in list(self._said):
            self._forget(about)

    def _line(self, level: str, text: str, at: str, about: str) -> None:
        if LEVELS.index(level) < self._lowest:
            return
        key = level + (about or text)
        now_seconds = self._clock.monotonic_seconds()
        said = self._said.get(key)
        if said is not None and now_seconds - said.since_seconds < self._repeat_seconds:
            said.held_back += 1
            return
        if said is not None and said.held_back:
            text += f" (and {said.held_back} more like this)"
        self._remember(key, now_seconds)
        self._emit(level, text, at or _caller())

    def _remember(self, key: str, now_seconds: float) -> None:
        self._said.pop(key, None)
        while len(self._said) >= self._remembered:
            self._forget(next(iter(self._said)))
        self._said[key] = _Said(now_seconds)

    def _forget(self, key: str) -> None:
        said = self._said.pop(key)
        if said.held_back:
            self._emit(key[0], f"{said.held_back} more like: {key[1:]}", "logs.py")

    def _emit(self, level: str, text: str, at: str) -> None:
        try:
            self._write(self._form(self._clock.unix_seconds(), at, level, self.scrub(text)))
        except OSError:
            self.lost_lines += 1


def _caller(depth: int = 3) -> str:
    """`file.py:LINE` of whoever called debug, info, warning, error or fatal."""
    frame = sys._getframe(depth)  # noqa: SLF001 - what `inspect` does, without its weight
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
