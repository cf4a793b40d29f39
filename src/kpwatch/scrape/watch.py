"""One target watched: fetched, read, named, encoded, handed on.

Every scrape hands on one EncodedScrape per form in use: the samples and what is said `about` the scrape (`up` 1), or
`up` 0 and staleness markers where there was nothing to read. Health pages, where the target has them, go out as scrapes
of their own, so neither waits for the other. Whatever is dropped on the way has a counter.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kpwatch.base.http import redact_url
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.delta import DeltaParser, Layout
from kpwatch.model.labels import METRIC_NAME
from kpwatch.relabel.limits import OverLabelLimit
from kpwatch.relabel.pipeline import UP, Pipeline
from kpwatch.scrape.about import ScrapeSize, about_scrape
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.scrape.fetch import ScrapeError, refused, unusable
from kpwatch.scrape.forms import FormEncoders
from kpwatch.scrape.health import HealthPages
from kpwatch.scrape.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop
    from kpwatch.base.telemetry import Registry
    from kpwatch.exposition.delta import Skeletons, Values
    from kpwatch.exposition.text import LineError
    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.about import OwnSample
    from kpwatch.scrape.health import HealthAnswer
    from kpwatch.scrape.options import TargetOptions
    from kpwatch.scrape.printer import SamplePrinter
    from kpwatch.scrape.target import Outcome


class Latest(NamedTuple):
    """How the latest scrape of a target went."""

    timestamp_ms: int
    size: ScrapeSize
    error: ScrapeError | None


class Way(NamedTuple):
    """How a target is watched: what a changed configuration may change of it."""

    options: TargetOptions
    identity: Identity
    precision: str
    """Timestamps are cut down to it."""


_PRECISION_MS = {"ms": 1, "s": 1_000, "m": 60_000}


class Counters(NamedTuple):
    """What is counted for all targets of an agent together; failures have a label `reason` of their own."""

    registry: Registry

    def scraped(self, samples: int) -> None:
        """One scrape was read."""
        self.registry.counter("kpwatch_agent_scrapes_total", "Scrapes that gave samples.").add()
        self.registry.counter("kpwatch_agent_samples_scraped_total", "Samples read from targets.").add(samples)

    def failed(self, reason: str) -> None:
        """One scrape gave nothing."""
        self.registry.counter(
            "kpwatch_agent_scrapes_failed_total", "Scrapes that gave no samples, by reason.", reason=reason
        ).add()

    def dropped(self, reason: str, count: int) -> None:
        """Lines or samples of a good scrape that do not count."""
        self.registry.counter(
            "kpwatch_agent_samples_dropped_total", "Lines and samples left out of a scrape, by reason.", reason=reason
        ).add(count)

    def exemplars_dropped(self, count: int) -> None:
        """Exemplars of a good scrape."""
        self.registry.counter("kpwatch_agent_exemplars_dropped_total", "Exemplars read and not sent.").add(count)

    def rules_broken(self, count: int) -> None:
        """Lines that could be read and should not stand like this."""
        self.registry.counter(
            "kpwatch_agent_openmetrics_faults_total",
            "Rules of OpenMetrics broken by bodies whose samples are kept, once for each layout of a body.",
        ).add(count)

    def page_not_understood(self, path: str) -> None:
        """A health page answered with something else."""
        self.registry.counter(
            "kpwatch_agent_health_pages_not_understood_total",
            "Answers of health pages that are not kube-proxy's, by path.",
            path=path,
        ).add()


class TargetWatch:
    """Watches one target; `hand_on` gets every encoded scrape with the ident mode it is for."""

    def __init__(
        self,
        way: Way,
        forms: Callable[[], tuple[Form, ...]],
        new_source: Callable[[], int],
        *,
        loop: Loop,
        log: Logger,
        counters: Counters,
        skeletons: Skeletons,
        hand_on: Callable[[Mapping[Form, EncodedScrape]], None],
        finished: Callable[[bool], None],
        make_printer: Callable[[TargetOptions, Identity], SamplePrinter | None] = lambda _target, _identity: None,
    ) -> None:
        """`forms` says what the writers want now, `new_source` gives numbers for `EncodedScrape.source`.

        `skeletons` is where all watches of an agent share what their targets have in common.
        `finished` is told after each scrape whether the target was up; a printer shows what is sent (-debug).
        """
        self._forms = forms
        self._loop = loop
        self._log = log
        self._counters = counters
        self._skeletons = skeletons
        self._hand_on = hand_on
        self._finished = finished
        self._make_printer = make_printer
        self.latest: Latest | None = None
        """None before the first scrape."""
        self._up: bool | None = None
        self._new_way: Way | None = None
        self._set_out(way)
        self._encoders = FormEncoders(forms(), self._encoder_of, new_source())
        self._health_encoders = FormEncoders(forms(), self._encoder_of, new_source())

    def _set_out(self, way: Way) -> None:
        """Everything that depends on how the target is watched, made anew."""
        options, identity, precision = self._way = way
        self.options = options
        self._shown_url = redact_url(options.url)
        self._grain_ms = _PRECISION_MS[precision]
        self._printer = self._make_printer(options, identity)
        self._parser = DeltaParser(self._skeletons, honor_timestamps=options.honor_timestamps)
        self._encoder_of = partial(_encoder, identity, self._grain_ms)
        self._target = Target(
            options,
            self._loop,
            began=self._ask_health,
            receive=self._received,
            spread_key=f"{identity.hostname} {options.url} {options.url_labels} {options.labels}",
            agent_key=identity.hostname,
        )
        self._health = HealthPages(options, self._loop) if options.health_url else None

    @property
    def labels(self) -> dict[str, str]:
        """What every sample of the target bears, but for what rules make of it."""
        return self._way.identity.named((), "")

    @property
    def labels_relabelled(self) -> dict[str, str] | None:
        """What rules make of them on the target's `up`; None where they leave that out."""
        named = Pipeline(self._way.identity).own(UP, ())
        if isinstance(named, str):
            return None
        return {label: value for label, value in named.labels if label != METRIC_NAME}

    @property
    def next_ms(self) -> int:
        """When the next scrape is due; 0 where that is not known yet."""
        return self._target.due_ms

    @property
    def busy(self) -> bool:
        """Whether an answer is waited for: that to the scrape, or that of a health page."""
        return self._target.busy or (self._health is not None and self._health.busy)

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then every interval."""
        self._target.start(delay_seconds)

    def stop(self) -> None:
        """No scrape any more."""
        self._target.stop()
        if self._health is not None:
            self._health.close()

    def retire(self) -> None:
        """Stop because the target is gone: everything that was live gets a staleness marker."""
        self.stop()
        for encoders in (self._encoders, self._health_encoders):
            encoders.end()
            self._emit(encoders, self._loop.clock.unix_ms(), [])

    def change(self, way: Way) -> None:
        """Watch the same target in another way from its next scrape on, which comes when it would have come (or at the
        next place on the grid of a new interval).

        A scrape under way is finished in the old way. Series the new way does not have get staleness markers with the
        next scrape; those it has go on.
        """
        self._new_way = way if way != self._way else None
        self._turn_over()

    def _turn_over(self) -> None:
        if self._new_way is None or self.busy:
            return
        way, self._new_way = self._new_way, None
        scraped_ms = self._target.scraped_ms
        self.stop()
        self._set_out(way)
        self._encoders.remake(self._encoder_of)
        self._health_encoders.remake(self._encoder_of)
        self._target.start_on_grid(scraped_ms)

    def _received(self, outcome: Outcome) -> None:
        size = ScrapeSize(outcome)
        error = self._take_in(outcome, size)
        if error is not None:
            self._parser.forget()
            self._counters.failed(error.reason)
            self._log.error(f"failed to query url: {self._shown_url} {error.detail}", about=self._shown_url)
            self._encoders.end()
        self.latest = Latest(outcome.timestamp_ms, size, error)
        self._emit(self._encoders, outcome.timestamp_ms, about_scrape(size, error))
        if self._printer is not None:
            self._printer.print_scrape(outcome)
        self._up = error is None
        self._finish_when_complete()

    def _take_in(self, outcome: Outcome, size: ScrapeSize) -> ScrapeError | None:
        """Feed a body to the encoders and note its size; gives the reason where it cannot be used."""
        if isinstance(outcome.answer, ScrapeError):
            return outcome.answer
        size.response_bytes = len(outcome.answer)
        if self._encoders.follow(self._forms()):
            self._parser.forget()
        change = self._parser.feed(outcome.answer, outcome.format)
        error = self._judge_body(outcome, size)
        if error is not None:
            return error
        try:
            self._encoders.feed(change)
        except OverLabelLimit as over:
            return ScrapeError(over.key, str(over))
        self._count(change, size)
        return None

    def _judge_body(self, outcome: Outcome, size: ScrapeSize) -> ScrapeError | None:
        """Why the body that was just read makes no scrape, or None where it does."""
        if self._parser.refuses:
            return refused(self._parser.errors)
        self._counters.dropped("duplicate_line", self._parser.duplicates)
        size.samples = self._parser.samples
        if self._parser.errors:
            self._report_broken_lines()
        return unusable(self.options, size.samples, size.response_bytes, outcome.format)

    def _count(self, change: Values | Layout, size: ScrapeSize) -> None:
        """What became of the samples of a good scrape."""
        duplicates = max((encoder.duplicates for encoder in self._encoders), default=0)
        self._counters.dropped("duplicate_series", duplicates)
        for encoder in list(self._encoders)[:1]:  # rules do not depend on the form
            if isinstance(change, Layout):
                self._parser.leave_out(encoder.left_out_slots)
            for reason, count in encoder.left_out.items():
                self._counters.dropped(reason, count)
            size.samples_kept = size.samples - sum(encoder.left_out.values())
            size.series_added = encoder.added
        self._counters.scraped(size.samples)
        if self._parser.exemplars:
            self._counters.exemplars_dropped(self._parser.exemplars)
        if isinstance(change, Layout) and change.parsed.faults:
            self._report_faults(change.parsed.faults)

    def _report_broken_lines(self) -> None:
        errors = self._parser.errors
        self._counters.dropped("broken_line", len(errors))
        first = errors[0]
        self._log.error(
            f"failed to parse response body, url: {self._shown_url} line {first.line_number}, column {first.column}: "
            f"{first.reason} ({len(errors)} broken lines, the rest is kept): {first.text}",
            about=f"broken lines of {self._shown_url}",
        )

    def _report_faults(self, faults: tuple[LineError, ...]) -> None:
        """Once for every layout: what it breaks it breaks again with each body."""
        self._counters.rules_broken(len(faults))
        self._log.warning(
            f"{self._shown_url} breaks rules of OpenMetrics, line {faults[0].line_number}: {faults[0].reason} "
            f"({len(faults)} such faults, all samples are kept); `kpwatch check metrics --format openmetrics` says all",
            about=f"faults of {self._shown_url}",
        )

    def _ask_health(self, timestamp_ms: int) -> None:
        if self._health is not None and not self._health.busy:
            self._health.ask(lambda said: self._health_answered(timestamp_ms, said))

    def _health_answered(self, timestamp_ms: int, said: HealthAnswer) -> None:
        self._health_encoders.follow(self._forms())
        self._emit(self._health_encoders, timestamp_ms, said.samples)
        for path in said.not_understood:
            self._counters.page_not_understood(path)
            self._log.warning(f"{self._shown_url}: {path} answers something else than a kube-proxy", about=path)
        if self._printer is not None:
            self._printer.print_own(timestamp_ms, said.samples)
        self._finish_when_complete()

    def _finish_when_complete(self) -> None:
        if self._up is not None and (self._health is None or not self._health.busy):
            up, self._up = self._up, None
            self._finished(up)
            self._turn_over()

    def _emit(self, encoders: FormEncoders, timestamp_ms: int, own: list[OwnSample]) -> None:
        timestamp_ms -= timestamp_ms % self._grain_ms
        try:
            scrapes = encoders.encode(timestamp_ms, own)
        except ValueError as error:
            self._counters.failed("clock")
            self._log.error(f"{self._shown_url}: {error}; this machine's clock is wrong, set it", about="clock")
            return
        if any(scrape.samples for scrape in scrapes.values()):
            self._hand_on(scrapes)


def _encoder(identity: Identity, grain_ms: int, form: Form) -> SeriesEncoder:
    return SeriesEncoder(identity, form.ident, protocol=form.protocol, grain_ms=grain_ms)
