"""The words in a check's PromQL, and what they stand for in a cluster and at a desk. Pure.

    $window     a duration: the row's, or the span of the scrapes at hand
    $before     the same for `offset`
    $recent     as $window; at a desk at least five minutes (the source there begins a young process's counters at 0)
    $grown(M)   the increase of counter M over $recent, where a counter that was absent before was 0
    $name       an entry of [terms], which may hold words itself
    $each_name  one that is of each node by itself; queries that look from node to node are made of such terms alone

In a cluster `increase` does not see a counter appear, so $grown takes the whole of one that was absent $window ago, if
the node was seen without it then or its process is younger. At a desk the source holds the zeros that are missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.durations import parse_prometheus

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = re.compile(r"\$([a-z_]+)")
_MOST_DEPTH = 10


class Words(NamedTuple):
    """What the words stand for, as Prometheus durations."""

    window: str
    before: str
    recent: str
    desk: bool = False


def in_cluster(window: str) -> Words:
    """The words of a row whose window is `window`."""
    return Words(window, window, window)


def expand(expression: str, terms: Mapping[str, str], words: Words) -> str:
    """PromQL without words; raises ValueError for one that means nothing, and for terms that hold themselves."""
    text = _with_terms(expression, terms)
    text = _with_grown(text, words)
    for name in ("window", "before", "recent"):
        text = text.replace(f"${name}", getattr(words, name))
    return " ".join(text.split())


def each_terms(expression: str) -> list[str]:
    """Names of the terms in it that are of each node by itself."""
    return list(dict.fromkeys(name for name in _WORD.findall(expression) if name.startswith("each_")))


def speaks_of_changes(expression: str, terms: Mapping[str, str]) -> bool:
    """Whether it looks at more than one time: from one scrape it cannot hold."""
    text = _with_terms(expression, terms)
    return any(f"${name}" in text for name in ("window", "before", "recent", "grown"))


def _with_terms(text: str, terms: Mapping[str, str]) -> str:
    for _ in range(_MOST_DEPTH):
        known = [name for name in _WORD.findall(text) if name in terms]
        if not known:
            break
        text = _WORD.sub(lambda match: _parenthesised(terms[match[1]]) if match[1] in terms else match[0], text)
    else:
        raise ValueError(f"the term ${known[0]} holds itself")
    unknown = [name for name in _WORD.findall(text) if name not in ("window", "before", "recent", "grown")]
    if unknown:
        raise ValueError(f"${unknown[0]} is no word and no term")
    return text


def _parenthesised(term: str) -> str:
    """A term as a whole; a name or a selector needs no parentheses, and may have a range behind it."""
    term = term.strip()
    return f"({term})" if any(blank in term for blank in " \n") else term


def _with_grown(text: str, words: Words) -> str:
    while (begin := text.find("$grown(")) >= 0:
        inner_begin = begin + len("$grown(")
        end = _closing(text, inner_begin)
        text = text[:begin] + _grown(text[inner_begin:end], words) + text[end + 1 :]
    return text


def _closing(text: str, position: int) -> int:
    depth = 1
    for index in range(position, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError("$grown( is never closed")


def _grown(metric: str, words: Words) -> str:
    if words.desk:
        return f"increase({metric}[$recent])"
    young = f"timestamp(process_start_time_seconds) - process_start_time_seconds < {parse_prometheus(words.window):g}"
    watched = f"(up offset $window == 1 or {young})"
    return (
        f"(({metric} unless {metric} offset $window) and on (ident, instance) {watched} or increase({metric}[$window]))"
    )
