"""The agent's own metrics, written every interval as if they were one more target's.

What is sent is what /metrics shows, all of it under `kpwatch_agent_*` but for what an agent says of a cluster: the
hub's pages about agents, and alerts about an agent that lags or drops, need it from every node, and a node's endpoint
is rarely reachable from outside. Labels are the agent's own (`agent_hostname`, the global ones) and
`job="kpwatch-agent"`. Metrics that are gone get a marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.relabel.identity import Identity
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.scrape.forms import FormEncoders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.config.options import AgentOptions
    from kpwatch.model.encoded import EncodedScrape, Form

PREFIX = "kpwatch_agent_"
ABOUT_NODES = "kpwatch_kubernetes_"
"""What an agent that discovers says of a cluster."""
JOB = (("job", "kpwatch-agent"),)
FIRST_SECONDS = 1.0
"""Soon after the start, when the first scrapes have been counted."""


class SelfMetrics:
    """Writes what a registry shows, while the options say so."""

    def __init__(
        self,
        registry: Registry,
        forms: Callable[[], tuple[Form, ...]],
        source: int,
        hand_on: Callable[[Mapping[Form, EncodedScrape]], None],
        loop: Loop,
    ) -> None:
        """`forms` says what the writers want now; `source` is the number of these scrapes."""
        self._registry = registry
        self._forms = forms
        self._source = source
        self._hand_on = hand_on
        self._loop = loop
        self._timer: Timer | None = None
        self._interval_seconds = 0.0
        self._identity: Identity | None = None
        self._encoders: FormEncoders | None = None

    def adopt(self, options: AgentOptions) -> None:
        """Write as these options say from now on."""
        identity = Identity(JOB, (), options.global_labels, "" if options.omit_hostname else options.hostname)
        seconds = options.self_metrics_seconds
        if identity != self._identity or not seconds:
            self.retire()
            self._identity = identity
        if seconds != self._interval_seconds:
            self.stop()
            self._interval_seconds = seconds
            if seconds:
                self._timer = self._loop.call_later(min(FIRST_SECONDS, seconds), self._write)

    def stop(self) -> None:
        """Write no more."""
        if self._timer is not None:
            self._timer.cancel()

    def retire(self) -> None:
        """What was written ends."""
        if self._encoders is not None:
            self._hand_on(self._encoders.encode(self._loop.clock.unix_ms(), []))
            self._encoders = None

    def _write(self) -> None:
        self._timer = self._loop.call_later(self._interval_seconds, self._write)
        forms = self._forms()
        if not forms:
            return
        if self._encoders is None:
            self._encoders = FormEncoders(forms, self._encoder, self._source)
        self._encoders.follow(forms)
        self._hand_on(self._encoders.encode(self._loop.clock.unix_ms(), self._samples()))

    def _samples(self) -> list[OwnSample]:
        return [
            OwnSample(name if name.startswith((PREFIX, ABOUT_NODES)) else PREFIX + name, labels, value)
            for name, labels, value in self._registry.samples()
        ]

    def _encoder(self, form: Form) -> SeriesEncoder:
        assert self._identity is not None
        return SeriesEncoder(self._identity, form.ident, protocol=form.protocol)
