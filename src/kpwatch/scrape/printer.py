"""Scrapes as lines for a person: what `--test` prints instead of sending and `-debug` beside it.

`up` comes first, then the body's samples as Categraf shows them, each as the rules leave it. A timestamp of the body
that is not after 1970 is none, as in the original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.clock import local_text
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.categraf_view import format_line, view
from kpwatch.exposition.delta import without_timestamps
from kpwatch.exposition.formats import grammar_of
from kpwatch.relabel.limits import OverLabelLimit
from kpwatch.relabel.pipeline import UP, Pipeline
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.fetch import ScrapeError, refused, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.exposition.categraf_view import Dialect, Shown
    from kpwatch.exposition.text import LineError
    from kpwatch.relabel.identity import Identity
    from kpwatch.relabel.pipeline import Named
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.target import Outcome


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
        found, broken_lines = (answer, []) if isinstance(answer, ScrapeError) else self._read(answer, outcome)
        if isinstance(found, ScrapeError):
            self.print_own(outcome.timestamp_ms, [OwnSample(UP, (), 0.0)])
            return Printed(found, broken_lines)
        self.print_own(outcome.timestamp_ms, [OwnSample(UP, (), 1.0)])
        for named, shown in found:
            stamp_ms = shown.timestamp_ms
            self._print(named, shown.value, stamp_ms if stamp_ms is not None and stamp_ms > 0 else outcome.timestamp_ms)
        return Printed(None, broken_lines)

    def _read(
        self, body: bytes, outcome: Outcome
    ) -> tuple[list[tuple[Named | str, Shown]] | ScrapeError, list[LineError]]:
        """What the body says, named, or why it makes no scrape; broken lines, where they cost only themselves."""
        grammar = grammar_of(outcome.format)
        parsed = grammar.parse(body)
        if parsed.errors and grammar.all_or_nothing:
            return refused(parsed.errors), []
        if not self._options.honor_timestamps:
            parsed = parsed._replace(samples=without_timestamps(parsed.samples))
        heads = len({sample.head for sample in parsed.samples})
        error = unusable(self._options, heads, len(body), outcome.format)
        if error is not None:
            return error, parsed.errors
        try:
            return [(self._named(shown), shown) for shown in view(parsed)], parsed.errors
        except OverLabelLimit as over:
            return ScrapeError(over.key, str(over)), parsed.errors

    def _named(self, shown: Shown) -> Named | str:
        return self._pipeline.scraped(shown.name, shown.labels, shown.family, shown.family_type)

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
