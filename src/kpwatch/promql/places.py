"""Where calls and their arguments stand in a query, for annotations: Prometheus ends them with "(line:column)".

promql-parser keeps no positions. But calls and aggregations come in the tree, walked from left to right, in the order
in which their names stand in the text; so their places are read off the tokens here and handed out in that order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.promql.lexer import Token

_NO_CALLS = frozenset(
    {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "and", "or", "unless", "atan2", "offset"}
)
"""Words that may stand before a bracket without being called."""
_GROUPING_WORDS = frozenset({"by", "without"})
_OF_A_CALL = re.compile(
    r"(?:unknown function with name|(?P<argument>in call to function)|in call to) [\"'](?P<name>\w+)"
)


def find_places(stream: Sequence[Token]) -> Iterator[tuple[str, ...]]:
    """For each call in order of its name: its own place and its arguments'."""
    places = places_of(stream)
    pieces = [(kind, text, place) for (kind, text), place in zip(stream, places, strict=True) if kind != "space"]
    for index, (kind, text, place) in enumerate(pieces):
        if kind != "word" or text.lower() in _NO_CALLS or (index and pieces[index - 1][0] == "at"):
            continue
        bracket = _bracket_of(pieces, index + 1)
        if bracket is not None:
            yield place, *_arguments(pieces, bracket)


def place_of_fault(stream: Sequence[Token], sentence: str) -> str | None:
    """Where the call or argument stands that the parser's sentence is about; None where that is not certain."""
    about = _OF_A_CALL.search(sentence)
    if about is None:
        return None
    names = {place: text.lower() for place, (_, text) in zip(places_of(stream), stream, strict=True)}
    calls = [places for places in find_places(stream) if names[places[0]] == about["name"].lower()]
    if len(calls) != 1:
        return None
    if about["argument"] is None:
        return calls[0][0]
    return calls[0][1] if len(calls[0]) == 2 else None


def places_of(stream: Sequence[Token]) -> list[str]:
    """Line and column of every token, both from 1, columns in bytes."""
    places = []
    line = column = 1
    for _, text in stream:
        places.append(f"{line}:{column}")
        _, newline, last = text.rpartition("\n")
        line += text.count("\n")
        column = len((last if newline else text).encode()) + (1 if newline else column)
    return places


def _bracket_of(pieces: Sequence[tuple[str, str, str]], index: int) -> int | None:
    """Where the argument list of the name before `index` opens, behind a grouping if any; None if it has none."""
    if index < len(pieces) and pieces[index][0] == "word" and pieces[index][1].lower() in _GROUPING_WORDS:
        while index < len(pieces) and pieces[index][1] != ")":
            index += 1
        index += 1
    return index if index < len(pieces) and pieces[index][1] == "(" else None


def _arguments(pieces: Sequence[tuple[str, str, str]], bracket: int) -> Iterator[str]:
    """The places of the arguments in the list that opens at `bracket`."""
    depth = 0
    starts = True
    for kind, text, place in pieces[bracket:]:
        if depth and starts and text != ")":
            yield place
        starts = (depth == 0 and kind == "open") or (depth == 1 and text == ",")
        depth += (kind == "open") - (kind == "close")
        if not depth:
            return
