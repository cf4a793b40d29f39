"""A target watched for a person: what `--test` prints instead of sending.

All lines of a scrape are printed together, when the body and the health pages are there: `printer` makes the lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.http import redact_url
from kpwatch.scrape.health import HealthPages
from kpwatch.scrape.printer import SamplePrinter
from kpwatch.scrape.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.about import OwnSample
    from kpwatch.scrape.health import HealthAnswer
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.target import Outcome

SHOWN_LINES = 20
"""How many broken lines of one body are said one by one; `kpwatch check metrics` says all."""


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
        self._loop = loop
        self._log = log
        self._print_line = print_line
        self._dialect: Dialect = dialect
        self._finished = finished
        self._set_out(options, identity)

    def _set_out(self, options: TargetOptions, identity: Identity) -> None:
        """Everything that depends on how the target is watched, made anew."""
        self._way = options, identity
        self._shown_url = redact_url(options.url)
        self._printer = SamplePrinter(options, identity, print_line=self._print_line, dialect=self._dialect)
        self._target = Target(options, self._loop, began=self._ask_health, receive=self._received)
        self._health = HealthPages(options, self._loop) if options.health_url else None
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

    def change(self, options: TargetOptions, identity: Identity) -> None:
        """Watch the same target in another way; what is under way is asked again in time."""
        if self._way != (options, identity):
            scraped_ms = self._target.scraped_ms
            self.stop()
            self._set_out(options, identity)
            self._target.start_on_grid(scraped_ms)

    def retire(self) -> None:
        """Stop because the target is gone."""
        self.stop()

    def _ask_health(self, _timestamp_ms: int) -> None:
        if self._health is None:
            self._pages = []
        elif not self._health.busy:
            self._pages = None
            self._health.ask(self._pages_answered)

    def _pages_answered(self, said: HealthAnswer) -> None:
        self._pages = said.samples
        self._print_when_complete()

    def _received(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._print_when_complete()

    def _print_when_complete(self) -> None:
        if self._outcome is None or self._pages is None:
            return
        outcome, self._outcome = self._outcome, None
        printed = self._printer.print_scrape(outcome)
        self._printer.print_own(outcome.timestamp_ms, self._pages)
        if printed.error is not None:
            self._log.error(f"failed to query url: {self._shown_url} {printed.error.detail}", about=self._shown_url)
        for broken in printed.broken_lines[:SHOWN_LINES]:
            self._log.error(
                f"failed to parse response body, url: {self._shown_url} line {broken.line_number}, "
                f"column {broken.column}: {broken.reason} (the rest is kept): {broken.text}",
            )
        if len(printed.broken_lines) > SHOWN_LINES:
            self._log.error(f"{len(printed.broken_lines) - SHOWN_LINES} more lines like these, url: {self._shown_url}")
        self._finished(printed.error is None)
