"""The encoders of one source of samples: one for each form in use, and how they follow when the forms change.

A writer that finds out that its receiver speaks another version of Remote Write wants another form from then on. A new
encoder knows nothing of what was live, so it would not say what is gone. Therefore one more scrape goes out in the old
forms, markers included (the spool converts it for whoever wants another), while the new encoder takes in the same
samples; from the scrape after that on it speaks for itself.

In the same way an encoder makes room for a fresh one of its own form when it carries more texts of series long gone
than of living ones: Remote Write 2.0 sends the table of all texts with every request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kpwatch.exposition.delta import Layout, Values
    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.scrape.about import OwnSample
    from kpwatch.scrape.encoder import SeriesEncoder


SPARE_SYMBOLS = 512
"""Beside twice the texts that a fresh encoder begins with."""


class FormEncoders:
    """Encodes one source's scrapes in every form that is asked for."""

    def __init__(self, forms: Iterable[Form], make_encoder: Callable[[Form], SeriesEncoder], source: int) -> None:
        self._make_encoder = make_encoder
        self._source = source
        self._wanted = tuple(forms)
        self._encoders = {form: make_encoder(form) for form in self._wanted}
        self._coming: dict[Form, SeriesEncoder] = {}
        """Encoders that have not spoken yet."""
        self._spoken = False
        self._symbol_limits: dict[Form, int] = {}

    def __iter__(self) -> Iterator[SeriesEncoder]:
        """Those that are in use."""
        return iter(self._encoders.values())

    def follow(self, forms: Iterable[Form]) -> bool:
        """Say which forms are wanted now; whether an encoder needs a whole layout because it has seen none."""
        wanted = tuple(forms)
        full = [form for form, limit in self._symbol_limits.items() if self._encoders[form].symbols > limit]
        if wanted == self._wanted and (not full or self._coming):
            return False
        self._wanted = wanted
        if not self._spoken:  # nothing is live, so nothing can be lost
            self._encoders = {form: self._make_encoder(form) for form in wanted}
            return True
        self._coming = {form: self._make_encoder(form) for form in wanted if form not in self._encoders or form in full}
        return bool(self._coming)

    def remake(self, make_encoder: Callable[[Form], SeriesEncoder]) -> None:
        """Encode in another way from the next body on; what was live ends with it unless the new way has it too."""
        self._make_encoder = make_encoder
        older, self._encoders = self._encoders, {form: make_encoder(form) for form in self._encoders}
        for form, encoder in self._encoders.items():
            encoder.succeed(older[form])
        self._wanted = tuple(self._encoders)
        self._coming = {}
        self._symbol_limits = {}

    def feed(self, change: Values | Layout) -> None:
        """Take in what a body changed."""
        for encoder in (*self._encoders.values(), *self._coming.values()):
            encoder.feed(change)

    def end(self) -> None:
        """The scrape failed: what was live is gone."""
        for encoder in (*self._encoders.values(), *self._coming.values()):
            encoder.end()

    def encode(self, timestamp_ms: int, own: list[OwnSample]) -> dict[Form, EncodedScrape]:
        """One scrape, in every form; raises ValueError where no timestamp can be like this."""
        scrapes = {
            form: encoder.encode(timestamp_ms, own)._replace(source=self._source)
            for form, encoder in self._encoders.items()
        }
        self._spoken = True
        for form, encoder in self._coming.items():
            encoder.encode(timestamp_ms, own)  # the others have said it; from here on it knows what is live
            self._symbol_limits[form] = 2 * encoder.symbols + SPARE_SYMBOLS
        if self._coming or self._wanted != tuple(self._encoders):
            every = self._encoders | self._coming
            self._encoders = {form: every[form] for form in self._wanted}
            self._symbol_limits = {form: limit for form, limit in self._symbol_limits.items() if form in self._wanted}
            self._coming = {}
        elif not self._symbol_limits:
            self._symbol_limits = {
                form: 2 * encoder.symbols + SPARE_SYMBOLS for form, encoder in self._encoders.items()
            }
        return scrapes
