"""Scrapes as lines for a person: what `--test` prints instead of sending and `-debug` beside it.

`up` comes first, then the body's samples as Categraf shows them, each as the rules leave it. A timestamp of the body
that is not after 1970 is none, as in the original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.clock import local_text
from kpwatch.exposition.categraf_view import format_line, view
from kpwatch.exposition.text import Parsed, parse
from kpwatch.relabel.pipeline import UP, Pipeline
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.fetch import ScrapeError, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.exposition.text import LineError
    from kpwatch.relabel.identity import Identity
    from kpwatch.relabel.pipeline import Named
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.target import Outcome

_NOTHING = Parsed([], {}, {}, [])


class Printed(NamedTuple):
    """What was wrong with a scrape that was printed."""

    error: ScrapeError | None
    """Why there was nothing to print but `up` 0."""
    broken_lines: list[LineError]


class SamplePrinter:
    """Prints one target's samples."""

    def __init__(
        self, options: TargetOptions, identity: Identity, *, print_line: Callable[[str], None], dialect: Dialect
    ) -> None:
        self._options = options
        self._pipeline = Pipeline(identity)
        self._print_line = print_line
        self._dialect: Dialect = dialect

    def print_scrape(self, outcome: Outcome) -> Printed:
        """Print `up` and the body's samples."""
        answer = outcome.answer
        parsed = _NOTHING if isinstance(answer, ScrapeError) else parse(answer)
        heads = len({sample.head for sample in parsed.samples})
        error = answer if isinstance(answer, ScrapeError) else unusable(self._options, heads, len(answer))
        self.print_own(outcome.timestamp_ms, [OwnSample(UP, (), float(error is None))])
        if error is None:
            for name, labels, value, family, family_type, stamp_ms in view(parsed):
                timestamp_ms = stamp_ms if stamp_ms is not None and stamp_ms > 0 else outcome.timestamp_ms
                self._print(self._pipeline.scraped(name, labels, family, family_type), value, timestamp_ms)
        return Printed(error, parsed.errors)

    def print_own(self, timestamp_ms: int, samples: Iterable[OwnSample]) -> None:
        """Print samples of ours about the target."""
        for name, labels, value in samples:
            self._print(self._pipeline.own(name, labels), value, timestamp_ms)

    def _print(self, named: Named | str, value: float, timestamp_ms: int) -> None:
        if isinstance(named, str):
            return  # a rule leaves it out, and what a rule leaves out is not printed
        if named.value_of is not None:
            value = named.value_of(value)
        seconds = timestamp_ms // 1000
        local_time = local_text(seconds, "%H:%M:%S")
        self._print_line(
            format_line(named.labels, value, local_time=local_time, unix_seconds=seconds, dialect=self._dialect)
        )
