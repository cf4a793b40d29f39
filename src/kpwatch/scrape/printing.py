"""A target watched for a person: what `--test` prints instead of sending.

For each scrape: `up` first, then the body's samples as Categraf shows them, then what our health pages say. All lines
of a scrape are printed together, when both are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.clock import local_text
from kpwatch.base.http import redact_url
from kpwatch.exposition.categraf_view import format_line, view
from kpwatch.exposition.text import parse
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.health import HealthPages
from kpwatch.scrape.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.encoder import OwnSample
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.target import Outcome


class PrintingWatch:
    """Prints one target's scrapes; `finished` is told after each whether the target was up."""

    def __init__(
        self,
        options: TargetOptions,
        identity: Identity,
        *,
        loop: Loop,
        log: Logger,
        print_line: Callable[[str], None],
        dialect: Dialect,
        finished: Callable[[bool], None],
    ) -> None:
        self._identity = identity
        self._log = log
        self._print_line = print_line
        self._dialect: Dialect = dialect
        self._finished = finished
        self._shown_url = redact_url(options.url)
        self._target = Target(options, loop, began=self._ask_health, receive=self._received)
        self._health = HealthPages(options, loop) if options.health_url else None
        self._outcome: Outcome | None = None
        self._pages: list[OwnSample] | None = None

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then every interval."""
        self._target.start(delay_seconds)

    def stop(self) -> None:
        """No scrape any more."""
        self._target.stop()
        if self._health is not None:
            self._health.close()

    def _ask_health(self, _timestamp_ms: int) -> None:
        if self._health is None:
            self._pages = []
        elif not self._health.busy:
            self._pages = None
            self._health.ask(self._pages_answered)

    def _pages_answered(self, samples: list[OwnSample]) -> None:
        self._pages = samples
        self._print_when_complete()

    def _received(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._print_when_complete()

    def _print_when_complete(self) -> None:
        if self._outcome is None or self._pages is None:
            return
        outcome, self._outcome = self._outcome, None
        rows = list(self._rows(outcome))
        up = not isinstance(outcome.answer, ScrapeError) and bool(rows)
        own = self._identity.printed("up", (), "up", "gauge")
        for labels, value, timestamp_ms in [(own, float(up), outcome.timestamp_ms), *rows]:
            self._print(labels, value, timestamp_ms)
        for name, labels, value in self._pages:
            self._print(self._identity.printed(name, labels, name, "gauge"), value, outcome.timestamp_ms)
        self._finished(up)

    def _rows(self, outcome: Outcome) -> Iterator[tuple[Labels, float, int]]:
        if isinstance(outcome.answer, ScrapeError):
            self._log.error(f"failed to query url: {self._shown_url} {outcome.answer.detail}", about=self._shown_url)
            return
        parsed = parse(outcome.answer)
        for error in parsed.errors:
            self._log.error(
                f"failed to parse response body, url: {self._shown_url} line {error.line_number}, "
                f"column {error.column}: {error.reason} (the rest is kept): {error.text}",
            )
        for name, labels, value, family, family_type, stamp_ms in view(parsed):
            printed = self._identity.printed(name, labels, family, family_type)
            yield printed, value, outcome.timestamp_ms if stamp_ms is None else stamp_ms

    def _print(self, labels: Labels, value: float, timestamp_ms: int) -> None:
        seconds = timestamp_ms // 1000
        local_time = local_text(seconds, "%H:%M:%S")
        self._print_line(format_line(labels, value, local_time=local_time, unix_seconds=seconds, dialect=self._dialect))
