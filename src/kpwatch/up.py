"""Everything in one process: the whole map on one machine.

    kube-proxy here ──> agent ───┐
                                 ├──HTTP──> hub ──> page
    simulated nodes ──> agents ──┘           ^
           └──────────── history ────────────┘

Each agent is what `kpwatch agent` runs, on a thread of its own; it writes by Remote Write over HTTP, as it would from
another machine. The demo adds six simulated nodes named as the article's, with faults, gives them a past, so that
rates and charts have something to show at once, and has the hub evaluate the rules that `kpwatch publish` makes.
"""

from __future__ import annotations

import http.client
import socket
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.agent import build as build_agent
from kpwatch.agent import identity_of
from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import KpwatchError
from kpwatch.base.logs import Logger
from kpwatch.config.options import AgentOptions
from kpwatch.hub import HubOptions
from kpwatch.hub import build as build_hub
from kpwatch.rules.options import RuleOptions
from kpwatch.scrape.health_documents import PROXY_MODES
from kpwatch.scrape.options import TargetOptions
from kpwatch.send.options import NIGHTINGALE_WRITE_PATH, WriterOptions
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import ARTICLE_IDENTS, make_specs
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import SimulatedNode
from kpwatch.simulate.server import HEALTH_PORT, METRICS_PORT, FleetServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from kpwatch.agent import Agent
    from kpwatch.base.clock import Clock
    from kpwatch.hub import Hub
    from kpwatch.model.source import Appended
    from kpwatch.simulate.server import Served

INTERVAL_SECONDS = 15.0
DEMO_INTERVAL_SECONDS = 5.0
SELF_METRICS_SECONDS = 15.0
DEMO_RULES_SECONDS = 15.0
"""Between two evaluations."""
HISTORY_SECONDS = 1800
HISTORY_STEP_SECONDS = 15
FAILING_IDENT = ARTICLE_IDENTS[1]
FAILING_FOR_SECONDS = 1200
"""How long the sync of this node has been failing when the demo begins."""
SILENT_IDENT = ARTICLE_IDENTS[4]
SILENT_AFTER_SECONDS = 60
HERE = f"127.0.0.1:{METRICS_PORT}"
_AGES_SECONDS = (2 * 3600.0, 5 * 3600.0)
_PROBE_SECONDS = 0.5
_FRAMES_PER_APPEND = 60
_JOIN_SECONDS = 2.5
"""For all agents together, to deliver what they have."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What to run."""

    host: str = "127.0.0.1"
    port: int = 19000
    """0 = any free port."""
    data: Path | None = None
    """Where the hub keeps samples; None = a temporary directory, removed at the end."""
    demo: bool = False
    allow_anonymous: bool = False
    """Serve other machines without asking who they are."""


class Probe(NamedTuple):
    """What answers where this machine's kube-proxy should."""

    mode: str
    """What its /proxyMode says; "" = no kube-proxy."""
    problem: str
    """Why it is none; "" = it is one."""


def probe_here() -> Probe:
    """Ask 127.0.0.1:10249 once; takes at most a second."""
    connection = http.client.HTTPConnection(HERE, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/proxyMode")
        response = connection.getresponse()
        text = response.read(64).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return Probe("", f"nothing answers on {HERE} ({error or type(error).__name__})")
    finally:
        connection.close()
    if response.status == 200 and text in PROXY_MODES:
        return Probe(text, "")
    return Probe("", f"what answers on {HERE} is no kube-proxy (its /proxyMode says {response.status} {text[:20]!r})")


class Up:
    """Hub, agents and, in the demo, a simulated cluster. `start`, `watch_here` and `stop` belong to one thread."""

    def __init__(
        self,
        options: UpOptions,
        *,
        clock: Clock = SYSTEM_CLOCK,
        log: Logger | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`failed` is called, on any thread, once there is a `failure`."""
        self._options = options
        self._failed = failed
        self.failure: KpwatchError | None = None
        """What ended a part of this by an error nobody expected; the rest is of no use without it."""
        self._clock = clock
        self._log = log or Logger(clock=clock, repeat_seconds=600.0)
        self._closing = ExitStack()
        self._ending = threading.Event()
        self._agents: list[Agent] = []
        self._agent_threads: list[threading.Thread] = []
        self._hub: Hub | None = None
        self._rules_folder = Path()
        self.simulated: Sequence[Served] = ()
        """The simulated nodes; known after `start`."""

    @property
    def url(self) -> str:
        """The hub, without a slash at the end."""
        assert self._hub is not None
        return self._hub.url

    def start(self) -> None:
        """The page first, then the rest; raises ConfigError, UsageError, StoreError with everything undone."""
        try:
            self._start_hub()
            if self._options.demo:
                self._start_fleet()
            self._closing.callback(self._stop_agents)
            if self._options.demo:
                self._start_demo_agents()
        except BaseException:
            self.stop()
            raise

    def watch_here(self) -> None:
        """Watch the kube-proxy of this machine, from now on or whenever it will answer."""
        interval_seconds = DEMO_INTERVAL_SECONDS if self._options.demo else INTERVAL_SECONDS
        health_url = f"http://127.0.0.1:{HEALTH_PORT}"
        self._watch(socket.gethostname(), _target(f"http://{HERE}/metrics", health_url, interval_seconds))

    def stop(self) -> None:
        """End everything in the order samples flow: agents deliver, the hub commits. May be called twice."""
        self._ending.set()
        self._closing.close()

    def _start_hub(self) -> None:
        options = self._options
        data = options.data
        if data is None:
            data = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="kpwatch-")))
        hub = build_hub(
            HubOptions(
                data=data,
                host=options.host,
                port=options.port,
                allow_anonymous=options.allow_anonymous,
                rules=self._rules() if options.demo else None,
            ),
            clock=self._clock,
            log=self._log,
        )
        hub.start()
        self._closing.callback(hub.stop)
        self._hub = hub

    def _rules(self) -> RuleOptions:
        """A folder whose files the hub takes up when they come."""
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="kpwatch-rules-"))
        self._rules_folder = Path(folder)
        return RuleOptions((f"{folder}/**/*.yml",), DEMO_RULES_SECONDS)

    def _start_fleet(self) -> None:
        now = self._clock.unix_seconds()
        faults = [
            (FAILING_IDENT, Fault("sync-failing", start=now - FAILING_FOR_SECONDS)),
            (SILENT_IDENT, Fault("unreachable", start=now + SILENT_AFTER_SECONDS)),
        ]
        specs = make_specs(len(ARTICLE_IDENTS), now, faults, age_seconds=_AGES_SECONDS)
        nodes = [SimulatedNode(spec) for spec in specs]
        for node in nodes:
            node.healthz(now)  # lives through the hours since its start here, not while an agent waits
        fleet = FleetServer(nodes, clock=self._clock)
        self._closing.callback(fleet.stop)
        fleet.start()
        self.simulated = fleet.served

    def _start_demo_agents(self) -> None:
        """In the background, the past before the present: both at once would starve each other of one interpreter."""

        def begin() -> None:
            self._fill_in_history(self._clock.unix_seconds())
            for served in self.simulated:
                if not self._ending.is_set():
                    self._watch(served.node.ident, _served_target(served))
            if not self._ending.is_set():
                _publish_rules(self._rules_folder)

        beginning = threading.Thread(target=self._watched(begin, "the demo's start"), name="demo")
        beginning.start()
        self._closing.callback(beginning.join)

    def _watch(self, ident: str, target: TargetOptions) -> None:
        agent = build_agent(self._agent_options(ident, target), log=self._log, clock=self._clock)
        thread = threading.Thread(
            target=self._watched(agent.run, f"the agent of {ident}"), name=f"agent {ident}", daemon=True
        )
        thread.start()
        self._agents.append(agent)
        self._agent_threads.append(thread)

    def _watched(self, run: Callable[[], None], what: str) -> Callable[[], None]:
        """`run`, which does not die unseen on a thread of its own."""

        def watched() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001 - said, whatever it is
                self.failure = self.failure or KpwatchError(f"{what} failed: {type(error).__name__}: {error}")
                self._failed()

        return watched

    def _agent_options(self, ident: str, target: TargetOptions) -> AgentOptions:
        writers = (WriterOptions(self.url + NIGHTINGALE_WRITE_PATH),)
        return AgentOptions(ident, (target,), writers, self_metrics_seconds=SELF_METRICS_SECONDS)

    def _stop_agents(self) -> None:
        for agent in self._agents:
            agent.stop()
        deadline = self._clock.monotonic_seconds() + _JOIN_SECONDS
        for thread in self._agent_threads:
            thread.join(max(0.0, deadline - self._clock.monotonic_seconds()))

    def _fill_in_history(self, now: float) -> None:
        """Store what the agents would have, up to `now`; what cannot be stored is said."""
        end_ms = int(now) * 1000
        instants_ms = range(end_ms - HISTORY_SECONDS * 1000, end_ms, HISTORY_STEP_SECONDS * 1000)
        try:
            for served in self.simulated:
                self._append_history(served, instants_ms)
        except KpwatchError as error:
            self._log.error(f"the simulated nodes' past is incomplete: {error}")

    def _append_history(self, served: Served, instants_ms: range) -> None:
        assert self._hub is not None
        # A simulated node belongs to one thread, the server's; this one gives the same answers.
        node = SimulatedNode(served.node.spec)
        target = _served_target(served)
        identity = identity_of(target, self._agent_options(node.ident, target))
        stored: Future[Appended] | None = None
        for start in range(0, len(instants_ms), _FRAMES_PER_APPEND):
            if self._ending.is_set():
                return
            part = list(frames(node, identity, instants_ms[start : start + _FRAMES_PER_APPEND]))
            if stored is not None:
                stored.result()
            stored = self._hub.store.append(part)
        if stored is not None:
            stored.result()


def _publish_rules(folder: Path) -> None:
    """Alerts, as `kpwatch publish` writes them; what takes long to load is loaded here, behind the start."""
    from kpwatch.knowledge.load import knowledge  # noqa: PLC0415
    from kpwatch.knowledge.panels import panels  # noqa: PLC0415
    from kpwatch.publish.files import write_documents  # noqa: PLC0415
    from kpwatch.publish.prometheus import rule_documents  # noqa: PLC0415

    first = islice(rule_documents(knowledge(), panels(), "runbooks"), 1)
    for _ in write_documents(folder, first):
        pass  # one file, of which nobody is told


def _served_target(served: Served) -> TargetOptions:
    return _target(served.metrics_url, served.health_url, DEMO_INTERVAL_SECONDS)


def _target(url: str, health_url: str, interval_seconds: float) -> TargetOptions:
    return TargetOptions(
        url,
        interval_seconds=interval_seconds,
        url_labels=(("instance", url),),
        labels=(("job", "kube-proxy"),),
        health_url=health_url,
    )
