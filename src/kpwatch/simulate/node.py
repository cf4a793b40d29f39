"""One simulated kube-proxy: everything it would answer at any instant. Pure.

What it answers is a function of (capture, seed, cluster, start, faults, instant): ask it for now, for an hour ago or
for tomorrow, in any order, twice, in two processes, and the answers agree. Asking forward is cheap, it only adds what
happened since; asking backward starts over.

The first process is as captured until it is a minute old; one that a fault has restarted, or that found no API server,
begins with nothing (syncloop.py). Instants are true time; what the node says of time is on its own clock.

Quantities, as data/movement.toml uses them (increases since the process was as captured or fresh, unless said
otherwise):

    sync        `changes`, `pending` (now), `services_changed`, `services_pending` (now), `syncs`, `sync_failures`,
                `partial_failures`, `cleanup_failures`, `rules_last` (now), `no_local` (now), `last`, `queued`,
                `idle_last`, `idle_queued` (unix seconds)
    health      `healthz_200`, `healthz_503`, `livez_200`, `livez_503`
    API         `requests_200`, `_401`, `_403`, `_404`, `_429`, `_error`, `retries_429`, `events_lost`
    process     `started` (unix seconds), `ticks` (5 s each), `elapsed` (s), `descriptors_leaked`, `burnt_cpu_seconds`,
                `leaked_goroutines`
    heap        `allocated`, `freed`, `leaked_bytes` (bytes), `allocated_objects`, `freed_objects`, `tiny_objects`,
                `collections`, `collected_at` (unix seconds), `collected_elapsed`, `collected_burnt` (s)
    kernel      `invalid_drops`, `localhost_nodeports`
    0 or not    `synced`, `partially_synced`, `programmed`, `reconciled`, `listed`, `lists_ever`, `event_sent`,
                `healthz_200_ever`, `livez_200_ever`, `requests_200_ever`, `descriptors_free`, `is_kube_proxy`
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from kpwatch.simulate.apiclient import starts_with
from kpwatch.simulate.faults import effect_at, effect_at_start, grown
from kpwatch.simulate.health import Family, Health, healthz, livez
from kpwatch.simulate.lives import lives
from kpwatch.simulate.movement import Moment
from kpwatch.simulate.noise import between
from kpwatch.simulate.syncloop import State, SyncLoop, Tally, Traits
from kpwatch.simulate.template import Layout, template

if TYPE_CHECKING:
    from kpwatch.simulate.faults import Effect, Fault, Ports
    from kpwatch.simulate.lives import Life

_BYTES_PER_OBJECT = 53
_BYTES_PER_TINY_OBJECT = 350
_CAPTURED_AGE_SECONDS = 60.0
"""The captured processes were 15 to 47 s old; a simulated one is as captured until it is this old."""
_LOOK_AGAIN_SECONDS = 1.0
_FIRST_SYNC_SECONDS = 0.1
"""Of the idle address family."""
_ZERO_TIME_SINCE = 25
"""Before, a proxy that never synced said that it did when it started [captured in 1.20]."""
_HEALTH_STARTS_SECONDS = 0.08
_CODES = {"200": "200", "401": "401", "403": "403", "404": "404", "429": "429", "<error>": "error"}
"""Answer of the API server -> end of its quantity's name."""


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
    quiet: bool = False
    """Hardly anything changes in its cluster."""
    has_all_local: bool = False
    """Whether each Service with policy Local has an endpoint here, other than at the captured node."""


class SimulatedNode:
    """A kube-proxy made from a NodeSpec; raises ConfigError for a capture that the package lacks."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self.started = round(spec.started, 2)
        """When its first process started."""
        self._seed = spec.seed or spec.ident
        self._template = template(spec.capture)
        self._reads = self._template.reads
        self._shift = self.started - self._reads["started"]
        self._traits = self._make_traits()
        self._coming_lives = lives(self.started, spec.faults)
        self._lives = list(islice(self._coming_lives, 1))
        self._life = self._lives[0]
        self._born, self._loop = self._begin_life(self._life)
        self._advanced_to = self._born

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

    def ports(self, at: float) -> Ports:
        """How the node meets connections at `at`."""
        life = self._life_at(at)
        if at >= life.ended:
            return "closed"
        if self._is_fresh(life) and at < self._advanced(at).state.ready_at:
            return "closed"
        return self.effect(at).ports

    def next_turn(self, at: float) -> float:
        """When `ports` should be asked again: not later than it changes, or soon; inf = never."""
        life = self._life_at(at)
        moments = [moment for fault in self.spec.faults for moment in (fault.start, fault.end)]
        moments += [life.ended, *(other.started for other in self._lives)]
        if at < life.ended and self._is_fresh(life):
            ready_at = self._advanced(at).state.ready_at
            moments.append(ready_at if ready_at < math.inf else at + _LOOK_AGAIN_SECONDS)
        elif at >= life.ended:
            moments.append(at + _LOOK_AGAIN_SECONDS)
        return min((moment for moment in moments if moment > at), default=math.inf)

    def clock(self, at: float) -> float:
        """What the node's clock says at `at`."""
        return at + self.effect(at).clock_seconds

    def process_started(self, at: float) -> float:
        """When the process of `at` started, by the node's clock of that instant."""
        life = self._life_at(at)
        effect = effect_at if life.number else effect_at_start
        return life.started + effect(self.spec.faults, life.started).clock_seconds

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
        state, effect = loop.state, loop.effect
        unhealthy = at >= loop.unhealthy_since()
        other = unhealthy and effect.other_family_hangs and state.oldest_waiting is None
        started = self._life.started
        begun = 0.0 if self.minor >= _ZERO_TIME_SINCE else started + _HEALTH_STARTS_SECONDS
        ours = Family(state.last or begun, (state.last_at or begun) - started, not unhealthy or other)
        idle = Family(state.idle_last or begun, (state.idle_last_at or begun) - started, not other)
        return Health(
            minor=self.minor,
            now=at + effect.clock_seconds,
            age_seconds=at - started,
            eligible=not effect.ineligible,
            families={"IPv4": ours, "IPv6": idle} if state.idle_last or other else {"IPv4": ours},
        )

    def _moment(self, at: float) -> Moment:
        loop = self._advanced(at)
        fresh = self._is_fresh(self._life)
        return Moment(self._seed, self._quantities(loop, fresh, at), loop.tallies, fresh, loop.bare)

    def _quantities(self, loop: SyncLoop, fresh: bool, at: float) -> dict[str, float]:
        state, effect, faults = loop.state, loop.effect, self.spec.faults
        reads = self._reads
        born = self._born
        freed = state.collections * self._traits.heap_step_bytes
        leaked = math.floor(grown(faults, "leaked_bytes", born, at))
        allocated = state.allocated + leaked
        collected_until = state.collected_at or born
        idle_queued = max(0.0, state.idle_last - _FIRST_SYNC_SECONDS)
        if not fresh:
            idle_queued = reads["idle_queued"] + self._shift
        services = reads["services_changed"] if state.services_seen else 0.0
        requests = loop.api.requests
        quantities: dict[str, float] = {
            "changes": state.changes,
            "pending": state.pending,
            "services_changed": services,
            "services_pending": 0.0 if state.listed else services,
            "syncs": state.syncs,
            "sync_failures": state.sync_failures,
            "partial_failures": state.partial_failures,
            "cleanup_failures": state.cleanup_failures,
            "rules_last": state.rules_last,
            "no_local": effect.no_local - (reads["no_local"] if self.spec.has_all_local else 0.0),
            "last": state.last,
            "queued": state.queued,
            "idle_last": state.idle_last,
            "idle_queued": idle_queued,
            "healthz_200": state.healthz[True],
            "healthz_503": state.healthz[False],
            "livez_200": state.livez[True],
            "livez_503": state.livez[False],
            "retries_429": requests.retries,
            "events_lost": float(loop.alone),
            "started": self.process_started(at),
            "ticks": state.ticks,
            "elapsed": max(0.0, at - self.started - _CAPTURED_AGE_SECONDS),
            "descriptors_leaked": reads["max_fds"] - reads["open_fds"] if effect.descriptors_gone else 0.0,
            "burnt_cpu_seconds": grown(faults, "burnt_cpu_seconds", born, at),
            "leaked_goroutines": math.floor(grown(faults, "leaked_goroutines", born, at)),
            "leaked_bytes": leaked,
            "allocated": allocated,
            "freed": freed,
            "allocated_objects": allocated // _BYTES_PER_OBJECT,
            "freed_objects": freed // _BYTES_PER_OBJECT,
            "tiny_objects": state.allocated // _BYTES_PER_TINY_OBJECT,
            "collections": state.collections,
            "collected_at": state.collected_at or reads["collected_at"] + self._life.started - reads["started"],
            "collected_elapsed": max(0.0, collected_until - born),
            "collected_burnt": grown(faults, "burnt_cpu_seconds", born, collected_until),
            "invalid_drops": grown(faults, "invalid_drops", self.started, at),
            "localhost_nodeports": grown(faults, "localhost_nodeports", self.started, at),
            "synced": not fresh or state.syncs,
            "partially_synced": not fresh or loop.tallies["partial"].count if "partial" in loop.tallies else 1,
            "programmed": not fresh or loop.tallies["programming"].count,
            "reconciled": not fresh or (loop.tallies["conntrack"].count if "conntrack" in loop.tallies else 1),
            "listed": state.listed,
            "lists_ever": not loop.bare or loop.tallies["api_list"].count if "api_list" in loop.tallies else 1,
            "event_sent": not loop.alone,
            "healthz_200_ever": not fresh or state.healthz[True],
            "livez_200_ever": not fresh or state.livez[True],
            "requests_200_ever": not loop.bare or requests.by_code.get("200", 0),
            "descriptors_free": not effect.descriptors_gone,
            "is_kube_proxy": not effect.other_component,
        }
        for code, name in _CODES.items():
            quantities[f"requests_{name}"] = requests.by_code.get(code, 0)
        return quantities

    def _life_at(self, at: float) -> Life:
        """The process that runs at `at`, or the one that ran last."""
        while self._lives[-1].ended <= at:
            following = next(self._coming_lives, None)
            if following is None:
                break
            self._lives.append(following)
        return next((life for life in reversed(self._lives) if life.started <= at), self._lives[0])

    def _is_fresh(self, life: Life) -> bool:
        """Whether `life` begins with nothing, not as captured."""
        return life.number > 0 or not all(starts_with(effect_at_start(self.spec.faults, life.started).api))

    def _advanced(self, at: float) -> SyncLoop:
        life = self._life_at(at)
        at = min(at, life.ended)
        if life is not self._life or at < self._advanced_to:
            self._life = life
            self._born, self._loop = self._begin_life(life)
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
            quiet=self.spec.quiet,
            cluster=self.spec.cluster,
            minor=self.minor,
            partial_syncs="partial" in self._template.bounds,
            rules=int(reads["rules"]),
            sync_seconds=between(0.08, 0.2, self._seed, "sync"),
            heap_room_bytes=room,
            heap_step_bytes=room + max(1_000_000, used - live),
        )

    def _begin_life(self, life: Life) -> tuple[float, SyncLoop]:
        """(when it is as captured or fresh, its loop at that instant)."""
        fresh = self._is_fresh(life)
        born = life.started if fresh else life.started + _CAPTURED_AGE_SECONDS
        tallies = {name: Tally(bounds) for name, bounds in self._template.bounds.items()}
        traits = replace(self._traits, seed=f"{self._seed} {life.number}") if life.number else self._traits
        return born, SyncLoop(traits, born, None if fresh else self._captured_state(), tallies, self.spec.faults)

    def _captured_state(self) -> State:
        reads, shift = self._reads, self._shift
        idle_last = reads["idle_last"] + shift if reads["idle_last"] else 0.0
        last, queued = reads["last"] + shift, reads["queued"] + shift
        return State(
            queued=queued,
            last=last,
            queued_at=queued,
            last_at=last,
            idle_last=idle_last,
            idle_last_at=idle_last or last,
            rules_last=int(reads["rules_last"]),
        )
