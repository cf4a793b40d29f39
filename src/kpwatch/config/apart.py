"""The configuration read by a process of its own, which ends. The parser, the tables of keys and what they leave behind
would be a tenth of an agent's memory, and nobody needs them again until the files change.

    Reading(question) -> [another process: load] -> a pipe -> outcome(): Loaded, or BadConfig as `load` raises it

While that process works, the agent imports what it needs to run. What comes back are plain values in marshal's bytes; a
named tuple is a list of its module, its name and its fields, since options hold no lists. Secrets are in the pipe and
nowhere else. The process has our `sys.path` and environment, and our standard error, where a bug shows itself. Where no
process can be started, the files are read in this one.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.config.problems import BadConfig

if TYPE_CHECKING:
    from kpwatch.config.options import Loaded
    from kpwatch.config.problems import Problem

_PLAIN = (str, int, float, bool, bytes, type(None))


class Question(NamedTuple):
    """What of a configuration is not in its files; the fields are those of `load`."""

    directory: str
    hostname: str
    interval_override_seconds: float | None = None
    inputs: frozenset[str] = frozenset()


class Reading:
    """A configuration that is being read."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._process: int | None = None
        self._output, output = os.pipe()
        with suppress(OSError):
            self._process = _start(question, output)
        os.close(output)

    def outcome(self) -> Loaded:
        """The configuration, once it is there; raises BadConfig with all its errors. To be called once."""
        said = _read_to_end(self._output)
        if self._process is None:
            return _load(self._question)
        status = 0
        with suppress(ChildProcessError):  # whoever started us has it that no child is waited for
            status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if status or not said:
            raise ConfigError(f"the configuration was not read: the process that reads it ended with status {status}")
        loaded: Loaded | None
        loaded, errors, warnings = from_plain(marshal.loads(said))  # noqa: S302 - from our own process
        if loaded is None:
            raise BadConfig(errors, warnings)
        return loaded


def load_apart(question: Question) -> Loaded:
    """As `load`, with its memory given back; raises BadConfig."""
    return Reading(question).outcome()


def answer(*fields: Any) -> None:
    """In the other process: read what the question says and write the outcome to standard output."""
    outcome: tuple[Loaded | None, tuple[Problem, ...], tuple[Problem, ...]]
    try:
        outcome = _load(Question(*fields)), (), ()
    except BadConfig as bad:
        outcome = None, bad.problems, bad.warnings
    with open(1, "wb") as output:
        output.write(marshal.dumps(to_plain(outcome)))


def to_plain(value: Any) -> Any:
    """What marshal can write; raises TypeError for what is none of an option's types."""
    if isinstance(value, tuple):
        plain = map(to_plain, value)
        return [type(value).__module__, type(value).__name__, *plain] if hasattr(value, "_fields") else tuple(plain)
    if isinstance(value, frozenset):
        return frozenset(map(to_plain, value))
    if type(value) not in _PLAIN:
        raise TypeError(f"an option is of {type(value)}, which cannot be handed to another process")
    return value


def from_plain(plain: Any) -> Any:
    """What `to_plain` was given."""
    if isinstance(plain, list):
        module, name, *values = plain
        return getattr(import_module(module), name)._make(map(from_plain, values))
    return tuple(map(from_plain, plain)) if isinstance(plain, tuple) else plain


def _start(question: Question, output: int) -> int:
    """The process that answers, and writes to `output`; raises OSError where there can be none."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import answer; answer(*{tuple(question)!r})"
    flags = ["-I", "-S", *["-B"] * sys.dont_write_bytecode, *["-O"] * sys.flags.optimize]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *flags, "-c", code],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
        ],
    )


def _load(question: Question) -> Loaded:
    from pathlib import Path  # noqa: PLC0415 - what this module is there to keep out

    from kpwatch.config.load import load  # noqa: PLC0415 - as well

    fields = question._asdict()
    return load(Path(fields.pop("directory")), **fields, environment=os.environ)


def _read_to_end(file: int) -> bytes:
    with open(file, "rb") as pipe:
        return pipe.read()
