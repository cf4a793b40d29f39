"""`[kpwatch.kubernetes]`: the nodes of a cluster, or its kube-proxy pods, as targets.

One agent then scrapes what a DaemonSet's agents scrape each for itself, or several do, each its shard. A target bears
its node's name as `agent_hostname`, so it is the same `ident` either way. Beside that every node that exists is said
(`kpwatch_kubernetes_node_info`): whoever keeps the samples learns from it which nodes never sent any, and which are
gone, without asking the API server. Changes that come together are told together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.scrape.discovery.kube_objects import resources
from kpwatch.scrape.discovery.kube_watch import ResourceWatch
from kpwatch.scrape.discovery.target_files import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.scrape.discovery.kube_objects import Entry
    from kpwatch.scrape.discovery.options import KubernetesOptions

TOGETHER_SECONDS = 0.2
NODE_INFO = "kpwatch_kubernetes_node_info"
NODE_LABEL = "agent_hostname"


class KubernetesDiscovery:
    """Watches an API server; `found` gets all targets whenever they change, `failed` what goes wrong."""

    def __init__(
        self,
        options: KubernetesOptions,
        loop: Loop,
        log: Logger,
        registry: Registry,
        *,
        found: Callable[[list[Found] | None], None],
        failed: Callable[[str], None],
    ) -> None:
        self._options = options
        self._loop = loop
        self._log = log
        self._registry = registry
        self._found = found
        self._failed = failed
        self._timer: Timer | None = None
        self._told = False
        self._latest: list[Found] | None = None
        self._nodes: set[str] = set()
        self._addressless: set[str] = set()
        self._watches = {
            resource.name: ResourceWatch(
                resource, options, loop, registry, changed=self._changed, failed=self._went_wrong
            )
            for resource in resources(options)
        }

    def start(self) -> None:
        """List everything, and go on watching."""
        for watch in self._watches.values():
            watch.start()

    def stop(self) -> None:
        """Ask no more; nothing is said of nodes any more."""
        if self._timer is not None:
            self._timer.cancel()
        for watch in self._watches.values():
            watch.stop()
        self._say_nodes(set())

    def _went_wrong(self, reason: str) -> None:
        self._failed(reason)
        if not self._told:  # somebody may wait for a first answer
            self._told = True
            self._found(None)

    def _changed(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TOGETHER_SECONDS if self._told else 0.0, self._tell)

    def _tell(self) -> None:
        self._timer = None
        known = {name: watch.entries for name, watch in self._watches.items()}
        nodes = known["nodes"]
        if nodes is not None:
            self._say_nodes({entry.node for entry in nodes.values()})
        if nodes is None or (entries := known.get("pods", nodes)) is None:
            return
        found = self._targets(entries, nodes) if self._options.scrape else []
        if found != self._latest:
            self._told = True
            self._latest = found
            self._found(found)

    def _targets(self, entries: dict[str, Entry], nodes: dict[str, Entry]) -> list[Found]:
        """One target an address; said once of each that has none, which a node soon and a pod always changes."""
        addressless = {key for key, entry in entries.items() if not entry.address}
        for key in sorted(addressless - self._addressless):
            self._log.info(f"kubernetes: {key} has no address to scrape yet", about="no address")
        self._addressless = addressless
        return [
            Found(self._url(entry.address), (*self._labels_of(nodes, entry), (NODE_LABEL, entry.node)))
            for _, entry in sorted(entries.items())
            if entry.address
        ]

    def _labels_of(self, nodes: dict[str, Entry], entry: Entry) -> tuple[tuple[str, str], ...]:
        node = nodes.get(entry.node)
        return node.labels if node is not None else ()

    def _url(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"{self._options.scheme}://{host}:{self._options.port}{self._options.path}"

    def _say_nodes(self, nodes: set[str]) -> None:
        for node in self._nodes - nodes:
            self._registry.forget_one(NODE_INFO, ident=node)
        for node in nodes - self._nodes:
            self._registry.gauge(NODE_INFO, "Nodes that the API server has, each 1.", ident=node).set(1)
        self._nodes = nodes
