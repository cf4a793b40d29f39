r"""Regular expressions in time that grows with the text, where Python's `re` may walk back for ever.

`re` tries one way after the other: `(a+)+` on forty letters has 2^40 of them, and a label's value comes from a target.
Here all ways are walked at once (R. Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009): for each
character a list of threads, the preferred ones first, no place in the program twice. So it costs at most text x
program, and of all ways to match the whole text the preferred one wins, with its groups, as in Go and in Python.

    program   CHARACTER test | TEST empty width | SPLIT a, b | JUMP a | SAVE slot | MATCH

The pattern is parsed by Python's own parser, so both engines read it alike. In pure Python it is some hundred times
slower than `re`: `WholePattern` asks that one for texts so short that nothing can happen.
"""

from __future__ import annotations

import re
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROGRAM_MAX = 20_000
"""Steps; what `(a{1000}){20}` has."""

OPTIONAL_MAX = 8
"""Parts that may be missing, before their combinations are too many for `re`."""

STEPS_MAX = 10_000_000
"""What `re` may take at the worst, less than a second: text ** repetitions side by side."""

_CHARACTERS = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.ANY_ALL}
_EMPTY_WIDTH = {_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT}
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT}

CHARACTER, TEST, SPLIT, JUMP, SAVE, MATCH = range(6)


class WholePattern:
    """A pattern for whole texts that no text can hold up: `re` where it is quick, else all ways at once."""

    def __init__(self, expression: str, shown: str) -> None:
        """`expression` in Python's syntax, `.` matches a newline; raises re.error, ConfigError naming `shown`."""
        tree = _parser.parse(expression, re.DOTALL)
        self._quick = re.compile(expression, re.DOTALL)
        self._quick_up_to = effort_limit(tree)
        self._linear = None if self._quick_up_to is None else LinearPattern(tree, shown)

    def fullmatch(self, text: str) -> re.Match[str] | LinearMatch | None:
        """The preferred way to match the whole text."""
        if self._linear is None or self._quick_up_to is None or len(text) <= self._quick_up_to:
            return self._quick.fullmatch(text)
        return self._linear.fullmatch(text)


class _Effort(NamedTuple):
    """How hard a part may be for `re`."""

    loops: int
    optional: int
    hopeless: bool
    """Whether what is repeated can be repeated in several ways."""


def effort_limit(tree: Any) -> int | None:
    """The length of text up to which `re` is safe; None: any."""
    effort = _effort(tree)
    if effort.hopeless or effort.optional > OPTIONAL_MAX:
        return 0
    return int(STEPS_MAX ** (1 / effort.loops)) if effort.loops > 1 else None


def _effort(tree: Iterable[Any]) -> _Effort:
    loops = optional = 0
    hopeless = False
    for operation, argument in tree:
        if operation in _CHARACTERS or operation in _EMPTY_WIDTH:
            continue
        if operation is _constants.SUBPATTERN:
            parts = [_effort(argument[3])]
        elif operation is _constants.BRANCH:
            parts = [_effort(branch) for branch in argument[1]]
            optional += 1
        elif operation in _REPEATS:
            least, most, inside = argument
            part = _effort(inside)
            varies = part.loops or part.optional
            hopeless |= bool(varies) and most > 1
            loops += most > 1 and most != least
            optional += most == 1
            parts = [part] if most == 1 else []
            hopeless |= part.hopeless
        else:
            return _Effort(0, 0, hopeless=True)
        loops += max((part.loops for part in parts), default=0)
        optional += max((part.optional for part in parts), default=0)
        hopeless |= any(part.hopeless for part in parts)
    return _Effort(loops, optional, hopeless)


class LinearMatch:
    """A match of the whole text; indexed as `re.Match` is."""

    __slots__ = ("_names", "_slots", "_text")

    def __init__(self, text: str, slots: tuple[int, ...], names: dict[str, int]) -> None:
        self._text = text
        self._slots = slots
        self._names = names

    def __getitem__(self, group: int | str) -> str | None:
        """The group's text, None where it took no part; raises IndexError where there is no such group."""
        number = self._names.get(group, -1) if isinstance(group, str) else group
        if not 0 <= 2 * number < len(self._slots):
            raise IndexError(f"no group {group!r}")
        begin, end = self._slots[2 * number], self._slots[2 * number + 1]
        return None if begin < 0 or end < 0 else self._text[begin:end]

    def groups(self) -> tuple[str | None, ...]:
        """All groups but the whole."""
        return tuple(self[number] for number in range(1, len(self._slots) // 2))


class LinearPattern:
    """A parsed pattern as a program; raises ConfigError where that would be too long."""

    def __init__(self, tree: Any, shown: str) -> None:
        self._shown = shown
        self._program: list[tuple[Any, ...]] = []
        self._tests: dict[str, Callable[..., Any]] = {}
        self._state = tree.state
        self._names: dict[str, int] = dict(tree.state.groupdict)
        self._slots = 2 * tree.state.groups
        self._emit_all(tree, tree.state.flags)
        self._emit(MATCH)

    def fullmatch(self, text: str) -> LinearMatch | None:
        """The preferred way to match the whole text."""
        unset = (-1,) * self._slots
        threads = self._follow([(0, unset)], text, 0)
        for position, character in enumerate(text):
            moved = [
                (place + 1, slots)
                for place, slots in threads
                if self._program[place][0] == CHARACTER and self._program[place][1](character)
            ]
            if not moved:
                return None
            threads = self._follow(moved, text, position + 1)
        for place, slots in threads:
            if self._program[place][0] == MATCH:
                return LinearMatch(text, (0, len(text), *slots[2:]), self._names)
        return None

    def _follow(
        self, threads: list[tuple[int, tuple[int, ...]]], text: str, position: int
    ) -> list[tuple[int, tuple[int, ...]]]:
        """Where the threads wait for a character, or for the end, in the order of preference."""
        program = self._program
        waiting: list[tuple[int, tuple[int, ...]]] = []
        seen = bytearray(len(program))
        stack = threads[::-1]
        while stack:
            place, slots = stack.pop()
            if seen[place]:
                continue
            seen[place] = 1
            step = program[place]
            kind = step[0]
            if kind in (CHARACTER, MATCH):
                waiting.append((place, slots))
            elif kind == JUMP:
                stack.append((step[1], slots))
            elif kind == SPLIT:
                stack.append((step[2], slots))
                stack.append((step[1], slots))
            elif kind == SAVE:
                slot = step[1]
                stack.append((place + 1, (*slots[:slot], position, *slots[slot + 1 :])))
            elif (step[1](text, position) is not None) == step[2]:
                stack.append((place + 1, slots))
        return waiting

    def _emit(self, *step: Any) -> int:
        if len(self._program) >= PROGRAM_MAX:
            raise ConfigError(f"regex {self._shown!r}: more than {PROGRAM_MAX} steps; repeat less")
        self._program.append(step)
        return len(self._program) - 1

    def _emit_all(self, tree: Iterable[Any], flags: int) -> None:
        for operation, argument in tree:
            self._emit_node(operation, argument, flags)

    def _emit_node(self, operation: Any, argument: Any, flags: int) -> None:
        if operation in _CHARACTERS:
            self._emit(CHARACTER, self._compiled(operation, argument, flags).match)
        elif operation is _constants.AT:
            self._emit(TEST, self._compiled(operation, argument, flags).match, True)
        elif operation in _EMPTY_WIDTH:
            inside = _compiler.compile(_subpattern(self._state, argument[1]), flags)
            self._emit(TEST, inside.match, operation is _constants.ASSERT)
        elif operation is _constants.SUBPATTERN:
            self._emit_group(argument, flags)
        elif operation is _constants.BRANCH:
            self._emit_branches(argument[1], flags)
        elif operation in _REPEATS:
            self._emit_repeat(argument, flags, greedy=operation is _constants.MAX_REPEAT)
        else:
            raise ConfigError(f"regex {self._shown!r}: {operation} is not supported")

    def _compiled(self, operation: Any, argument: Any, flags: int) -> re.Pattern[str]:
        pattern: re.Pattern[str] = _compiler.compile(_subpattern(self._state, [(operation, argument)]), flags)
        return pattern

    def _emit_group(self, argument: Any, flags: int) -> None:
        number, add_flags, del_flags, inside = argument
        if number is not None:
            self._emit(SAVE, 2 * number)
        self._emit_all(inside, (flags | add_flags) & ~del_flags)
        if number is not None:
            self._emit(SAVE, 2 * number + 1)

    def _emit_branches(self, branches: list[Any], flags: int) -> None:
        ends = []
        for branch in branches[:-1]:
            split = self._emit(SPLIT, 0, 0)
            self._emit_all(branch, flags)
            ends.append(self._emit(JUMP, 0))
            self._program[split] = (SPLIT, split + 1, len(self._program))
        self._emit_all(branches[-1], flags)
        for end in ends:
            self._program[end] = (JUMP, len(self._program))

    def _emit_repeat(self, argument: Any, flags: int, *, greedy: bool) -> None:
        least, most, inside = argument
        for _ in range(least):
            self._emit_all(inside, flags)
        if most is _constants.MAXREPEAT:
            split = self._emit(SPLIT, 0, 0)
            self._emit_all(inside, flags)
            self._emit(JUMP, split)
            self._program[split] = _split(split + 1, len(self._program), greedy=greedy)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self._emit(SPLIT, 0, 0))
            self._emit_all(inside, flags)
        for split in splits:
            self._program[split] = _split(split + 1, len(self._program), greedy=greedy)


def _split(inside: int, behind: int, *, greedy: bool) -> tuple[int, int, int]:
    return (SPLIT, inside, behind) if greedy else (SPLIT, behind, inside)


def _subpattern(state: Any, nodes: Iterable[Any]) -> Any:
    return _parser.SubPattern(state, list(nodes))
