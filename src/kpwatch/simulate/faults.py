"""Faults: what can be wrong with a simulated node, from when to when.

A fault is named after the check that should find it. A row of `EFFECTS` says which part of the proxy it hurts, how, and
in which versions and modes that shows; everything else in this room asks `effect_at(faults, t)` and never looks at
names. A new fault is a new row, and a new field of `Effect` only where no part of the proxy can be hurt that way yet.

    from before the process   START earlier than the process: it started like that
    without START             there once the process was set up, except where a row says `from_start`
    restarts                  the process dies at START, or again and again until END
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kpwatch.base.durations import parse_go
from kpwatch.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Ports: TypeAlias = Literal["open", "metrics-closed", "silent", "closed"]
"""Both answer; only the health port does; both accept and never answer; both refuse."""

Api: TypeAlias = Literal[
    "works", "watch-dead", "slow", "throttled", "overloaded", "gone", "forbidden", "unauthorized", "unreachable"
]
"""What requests to the API server come to; apiclient.py says what each means."""

_WORSE: Mapping[str, Sequence[str]] = {
    "ports": ("open", "metrics-closed", "silent", "closed"),
    "api": (
        "works",
        "watch-dead",
        "slow",
        "throttled",
        "overloaded",
        "gone",
        "forbidden",
        "unauthorized",
        "unreachable",
    ),
    "restarts": ("", "once", "over and over"),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What is wrong at one instant; the defaults are health. Durations in seconds come on top of the usual ones."""

    sync_fails: bool = False
    """The program that writes the rules exits with an error."""
    sync_fails_after: int = 0
    """After so many successes in a row one sync and its first retry fail."""
    partial_fails: bool = False
    """It refuses what only changed, and takes the whole."""
    sync_hangs: bool = False
    """It never exits."""
    loop_stuck: bool = False
    """No sync is asked for."""
    cleanup_fails: bool = False
    """Old nftables chains cannot be deleted."""
    sync_seconds: float = 0.0
    full_seconds: float = 0.0
    """A sync of everything takes so much longer."""
    full_one_in: int = 0
    """Somebody else flushes the rules, so that one in so many syncs writes everything."""
    conntrack_seconds: float = 0.0
    upstream_seconds: float = 0.0
    """Changes reach the node late."""
    other_family_hangs: bool = False
    """The program that writes the rules of the second address family never exits."""
    api: Api = "works"
    clock_seconds: float = 0.0
    """How far the node's clock is ahead."""
    descriptors_gone: bool = False
    """No file can be opened and no program started."""
    ineligible: bool = False
    """The Node is being deleted, or is not there."""
    no_local: int = 0
    """Services with policy Local that have lost their endpoints here."""
    other_component: bool = False
    """Something else answers on the metrics port."""
    ports: Ports = "open"
    restarts: Literal["", "once", "over and over"] = ""
    growth: Mapping[str, float] = field(default_factory=dict)
    """Quantity -> how much of it comes in a second; what came stays until the process ends."""


HEALTHY = Effect()


@dataclass(frozen=True, slots=True)
class Needs:
    """Which kube-proxies can show a fault."""

    modes: tuple[str, ...] = ("iptables", "nftables")
    since: int = 0
    """The first minor version."""
    until: int = 999
    """The last minor version."""
    unlike: Literal["", "mode", "version"] = ""
    """In what it must differ from most nodes of its fleet."""

    def fit(self, minor: int, mode: str) -> bool:
        """Whether a kube-proxy 1.`minor` in `mode` can."""
        return mode in self.modes and self.since <= minor <= self.until

    def __str__(self) -> str:
        """As `nftables mode, 1.31 or later`; "" = any."""
        said = [f"{self.modes[0]} mode"] if len(self.modes) == 1 else []
        said += [f"1.{self.since} or later"] if self.since else []
        said += [f"1.{self.until} or earlier"] if self.until < 999 else []
        said += [f"another {self.unlike} than most nodes"] if self.unlike else []
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: `about` it in a line, what it does, where it shows."""

    about: str
    effect: Effect
    needs: Needs = Needs()
    from_start: bool = False
    """Without START it is older than the process."""
    started_ago_seconds: float = math.inf
    """Without START, as written on a command line, it began so long ago; inf = with the node."""


EFFECTS: dict[str, Row] = {
    # --- the sync loop ---
    "sync-failing": Row("every sync fails, whatever writes the rules", Effect(sync_fails=True)),
    "sync-hung": Row("iptables-restore or nft never exits", Effect(sync_hangs=True)),
    "sync-slow": Row("a sync takes 12 s", Effect(sync_seconds=12.0)),
    "full-sync-slow": Row(
        "writing all rules takes 35 s, and something flushes them",
        Effect(full_seconds=35.0, full_one_in=3),
        Needs(modes=("iptables",), since=28),
    ),
    "backlog-stuck": Row("no sync is asked for; changes pile up", Effect(loop_stuck=True)),
    "restore-failing": Row(
        "iptables-restore fails now and then, twice; the next try works",
        Effect(sync_fails_after=2),
        Needs(modes=("iptables",)),
    ),
    "partial-restore-failing": Row(
        "writing only what changed fails, writing everything works",
        Effect(partial_fails=True),
        Needs(modes=("iptables",), since=28),
    ),
    "nft-failing": Row("every nft transaction fails", Effect(sync_fails=True), Needs(modes=("nftables",), since=31)),
    "nft-cleanup-failing": Row(
        "syncs work, stale nft chains cannot be deleted",
        Effect(cleanup_fails=True),
        Needs(modes=("nftables",), since=31),
    ),
    "conntrack-slow": Row(
        "clearing stale UDP flows takes 7 s of every sync", Effect(conntrack_seconds=7.0), Needs(since=33)
    ),
    "programming-slow": Row("changes reach the node 45 s late", Effect(upstream_seconds=45.0)),
    "never-synced": Row(
        "the process starts without an API server and has nothing to sync",
        Effect(api="unreachable", restarts="once"),
        Needs(until=33),
        from_start=True,
    ),
    # --- the API server ---
    "api-unreachable": Row("no HTTP answer from the API server", Effect(api="unreachable")),
    "api-unauthorized": Row("the API server answers 401", Effect(api="unauthorized")),
    "api-forbidden": Row("the API server answers 403", Effect(api="forbidden")),
    "api-gone": Row(
        "the API server no longer has discovery/v1beta1: 404",
        Effect(api="gone"),
        Needs(until=20),
        from_start=True,
    ),
    "api-overloaded": Row("the API server answers 429 more often than not", Effect(api="overloaded")),
    "api-slow": Row("lists take 2 to 8 s", Effect(api="slow"), Needs(since=26, until=35)),
    "client-throttled": Row(
        "the client's own rate limiter holds requests back for seconds",
        Effect(api="throttled"),
        Needs(since=26, until=35),
    ),
    "outlier-node": Row("a watch died silently: changes pass this node by", Effect(api="watch-dead")),
    # --- the node ---
    "clock-skew": Row("the node's clock is 45 s behind", Effect(clock_seconds=-45.0)),
    "node-draining": Row("the Node is being deleted: nodeEligible false", Effect(ineligible=True), Needs(since=30)),
    "node-missing": Row(
        "the Node object was not found at the start: nodeEligible false",
        Effect(ineligible=True, restarts="once"),
        Needs(since=34),
        started_ago_seconds=180.0,
    ),
    "no-local-endpoints": Row(
        "Services with policy Local lose their last endpoint here", Effect(no_local=10), Needs(since=26)
    ),
    "invalid-drops": Row(
        "20 packets a second are dropped as INVALID",
        Effect(growth={"invalid_drops": 20.0}),
        Needs(modes=("iptables",), since=31),
    ),
    "localhost-nodeports": Row(
        "somebody uses NodePorts through 127.0.0.1",
        Effect(growth={"localhost_nodeports": 0.5}),
        Needs(modes=("iptables",), since=31),
    ),
    # --- the process ---
    "fds-exhausted": Row(
        "no file descriptor is left: nothing can be started or opened", Effect(descriptors_gone=True), Needs(since=30)
    ),
    "memory-growing": Row("1 MB a second is never freed", Effect(growth={"leaked_bytes": 1e6})),
    "goroutines-growing": Row("a goroutine is lost each second", Effect(growth={"leaked_goroutines": 1.0})),
    "cpu-busy": Row("the process burns a processor", Effect(growth={"burnt_cpu_seconds": 0.95})),
    "restarted": Row("the process dies and is started again", Effect(restarts="once"), started_ago_seconds=90.0),
    "crash-looping": Row(
        "it dies after 90 s, each time; kubelet waits longer and longer", Effect(restarts="over and over")
    ),
    "healthz-failing": Row(
        "/healthz is 503 and no timestamp says why: the other address family hangs",
        Effect(other_family_hangs=True),
        Needs(modes=("iptables",), since=29, until=32),
    ),
    # --- the ports ---
    "metrics-refused": Row("the metrics port refuses, the health port answers", Effect(ports="metrics-closed")),
    "frozen": Row("both ports accept and never answer", Effect(ports="silent")),
    "unreachable": Row("both ports refuse", Effect(ports="closed")),
    "not-kube-proxy": Row("another component answers on the metrics port", Effect(other_component=True)),
    # --- the fleet ---
    "version-skew": Row("the node runs a version four or more minors behind", HEALTHY, Needs(unlike="version")),
    "mode-skew": Row("the node runs in another mode", HEALTHY, Needs(unlike="mode")),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` is a row of EFFECTS; active from `start` up to, not including, `end` (unix seconds)."""

    name: str
    start: float = -math.inf
    end: float = math.inf

    def __post_init__(self) -> None:
        if self.name not in EFFECTS:
            near = difflib.get_close_matches(self.name, EFFECTS, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(EFFECTS))}"
            raise UsageError(f"unknown fault {self.name!r}{hint}")

    @property
    def row(self) -> Row:
        """What it does."""
        return EFFECTS[self.name]


def effect_at(faults: Iterable[Fault], at: float) -> Effect:
    """All faults active at `at` together: of each field, the worst; for `growth` see `grown`."""
    return _together([fault.row.effect for fault in faults if fault.start <= at < fault.end])


def effect_at_start(faults: Iterable[Fault], started: float) -> Effect:
    """What was wrong when the first process started: not what is only said to have always been there."""
    old = [fault for fault in faults if fault.start > -math.inf or fault.row.from_start]
    return effect_at(old, started)


def grown(faults: Iterable[Fault], quantity: str, since: float, until: float) -> float:
    """How much of `quantity` the faults made between two instants."""
    total = 0.0
    for fault in faults:
        rate = fault.row.effect.growth.get(quantity)
        if rate:
            total += rate * max(0.0, min(until, fault.end) - max(since, fault.start))
    return total


def _together(effects: Sequence[Effect]) -> Effect:
    if not effects:
        return HEALTHY
    if len(effects) == 1:
        return effects[0]
    return Effect(**{each.name: _worst(each.name, effects) for each in fields(Effect) if each.name != "growth"})


def _worst(name: str, effects: Sequence[Effect]) -> Any:
    values = [getattr(effect, name) for effect in effects]
    order = _WORSE.get(name)
    return max(values, key=order.index) if order else max(values, key=abs)


def parse_fault(text: str, now: float) -> tuple[str, Fault]:
    """`NAME@NODE[:START[:END]]` -> (node, fault); START and END are Go durations after `now`.

    Raises UsageError naming the part that is wrong.
    """
    name, at, rest = text.partition("@")
    node, *times = rest.split(":")
    if not at or not node or len(times) > 2:
        raise UsageError(f'fault {text!r}: expected NAME@NODE[:START[:END]], such as "sync-failing@10.206.0.7:30s:5m"')
    try:
        moments = [now + parse_go(time) for time in times]
    except ValueError as error:
        raise UsageError(f"fault {text!r}: START or END: {error}") from error
    if len(moments) == 2 and moments[1] <= moments[0]:
        raise UsageError(f"fault {text!r}: END is not after START; both are durations from now")
    fault = Fault(name, *(moments or [-math.inf]))
    return node, fault if moments else Fault(name, now - fault.row.started_ago_seconds)
