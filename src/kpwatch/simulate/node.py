"""One simulated kube-proxy: everything it would answer at any instant. Pure.

What it answers is a function of (capture, seed, cluster, start, faults, instant): ask it for now, for an hour ago or
for tomorrow, in any order, twice, in two processes, and the answers agree. Asking forward is cheap, it only adds what
happened since; asking backward starts over.

Quantities, as data/movement.toml uses them (increases since the process was as captured, unless said otherwise):
`changes`, `pending` (now), `syncs`, `sync_failures`, `partial_failures`, `rules_last` (now), `ticks` (5 s each),
`probes_200`, `probes_503`, `watches_renewed`, `elapsed` (s), `shift` (s, start of the simulated minus the captured
process), `last`, `queued`, `collected_at` (unix seconds), `collections`, `collected_elapsed` (s), and of the heap
`allocated`, `freed` (bytes), `allocated_objects`, `freed_objects`, `tiny_objects`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.simulate.faults import effect_at
from kpwatch.simulate.health import Health, healthz, livez
from kpwatch.simulate.movement import Moment
from kpwatch.simulate.noise import between, unit
from kpwatch.simulate.syncloop import State, SyncLoop, Tally, Traits
from kpwatch.simulate.template import Layout, template

if TYPE_CHECKING:
    from kpwatch.simulate.faults import Effect, Fault

_BYTES_PER_OBJECT = 53
_BYTES_PER_TINY_OBJECT = 350
_WATCH_SECONDS = 130.0
"""Three informers, each of which renews its watch every 5 to 10 min."""
_CAPTURED_AGE_SECONDS = 60.0
"""The captured processes were 15 to 47 s old; a simulated one is as captured until it is this old."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What makes a node: all that its answers depend on."""

    ident: str
    capture: str
    started: float
    """When the process started, unix seconds; kept to 10 ms as the kernel does."""
    seed: str = ""
    """Two nodes with the same seed time their syncs alike; "" = the ident."""
    cluster: str = "kpwatch"
    """Nodes of one cluster see the same changes."""
    faults: tuple[Fault, ...] = ()


class SimulatedNode:
    """A kube-proxy made from a NodeSpec; raises ConfigError for a capture that the package lacks."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self.started = round(spec.started, 2)
        self._seed = spec.seed or spec.ident
        self._template = template(spec.capture)
        self._reads = self._template.reads
        self._shift = self.started - self._reads["started"]
        self._born = self.started + _CAPTURED_AGE_SECONDS
        self._traits = self._make_traits()
        self._advanced_to = self._born
        self._loop = self._make_loop()

    @property
    def ident(self) -> str:
        """The node's name."""
        return self.spec.ident

    @property
    def minor(self) -> int:
        """36 of Kubernetes 1.36.3."""
        return self._template.capture.minor

    @property
    def version(self) -> str:
        """As `1.36.3`."""
        return self._template.capture.version

    @property
    def proxy_mode(self) -> str:
        """Body of /proxyMode."""
        return self._template.capture.mode

    def effect(self, at: float) -> Effect:
        """What is wrong with the node at `at`."""
        return effect_at(self.spec.faults, at)

    def metrics(self, at: float) -> bytes:
        """Body of /metrics at `at` (unix seconds)."""
        return self._template.render(self._moment(at))

    def sample(self, at: float) -> tuple[Layout, list[float]]:
        """The values in `metrics(at)` in the order of its lines; equal layouts mean equal names."""
        moment = self._moment(at)
        return self._template.layout(moment), self._template.values(moment)

    def healthz(self, at: float) -> tuple[int, str]:
        """(status, body) of /healthz on the health port."""
        return healthz(self._health(at))

    def livez(self, at: float) -> tuple[int, str] | None:
        """(status, body) of /livez; None = this version has none."""
        return livez(self._health(at))

    def _health(self, at: float) -> Health:
        loop = self._advanced(at)
        return Health(
            minor=self.minor,
            now=at,
            started=self.started,
            healthy=at < loop.unhealthy_since(),
            eligible=True,
            last=loop.state.last,
            idle_last=self._reads["idle_last"] + self._shift if self._reads["idle_last"] else 0.0,
        )

    def _moment(self, at: float) -> Moment:
        loop = self._advanced(at)
        return Moment(self._seed, self._quantities(loop.state, at), loop.tallies)

    def _quantities(self, state: State, at: float) -> dict[str, float]:
        elapsed = max(0.0, at - self._born)
        freed = state.collections * self._traits.heap_step_bytes
        return {
            "shift": self._shift,
            "elapsed": elapsed,
            "last": state.last,
            "queued": state.queued,
            "changes": state.changes,
            "pending": state.pending,
            "syncs": state.syncs,
            "sync_failures": state.sync_failures,
            "partial_failures": state.partial_failures,
            "rules_last": state.rules_last,
            "ticks": state.ticks,
            "probes_200": state.healthz[True],
            "probes_503": state.healthz[False],
            "watches_renewed": int(elapsed / _WATCH_SECONDS + unit(self._seed, "watch")),
            "allocated": state.allocated,
            "freed": freed,
            "allocated_objects": state.allocated // _BYTES_PER_OBJECT,
            "freed_objects": freed // _BYTES_PER_OBJECT,
            "tiny_objects": state.allocated // _BYTES_PER_TINY_OBJECT,
            "collections": state.collections,
            "collected_at": state.collected_at,
            "collected_elapsed": max(0.0, state.collected_at - self._born),
        }

    def _advanced(self, at: float) -> SyncLoop:
        if at < self._advanced_to:
            self._loop = self._make_loop()
        self._loop.advance(at)
        self._advanced_to = at
        return self._loop

    def _make_traits(self) -> Traits:
        reads = self._reads
        used, spans, goal = (int(reads[name]) for name in ("heap_used", "heap_spans", "heap_goal"))
        room = max(1_000_000, min(goal - used, (spans - used) * 8 // 10))
        live = goal // 2
        return Traits(
            seed=self._seed,
            cluster=self.spec.cluster,
            minor=self.minor,
            partial_syncs="partial" in self._template.bounds,
            rules=int(reads["rules"]),
            sync_seconds=between(0.08, 0.2, self._seed, "sync"),
            heap_room_bytes=room,
            heap_step_bytes=room + max(1_000_000, used - live),
        )

    def _make_loop(self) -> SyncLoop:
        reads = self._reads
        state = State(
            queued=reads["queued"] + self._shift,
            last=reads["last"] + self._shift,
            rules_last=int(reads["rules_last"]),
            collected_at=reads["collected_at"] + self._shift,
        )
        tallies = {name: Tally(bounds) for name, bounds in self._template.bounds.items()}
        return SyncLoop(self._traits, self._born, state, tallies, self.spec.faults)
