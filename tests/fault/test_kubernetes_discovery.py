"""A whole agent that finds kube-proxies through an API server: what receivers get of nodes that come and go."""

from __future__ import annotations

from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import KubernetesOptions
from kpwatch.scrape.options import TargetOptions
from tests.agents import INTERVAL_SECONDS, RunningAgent, writer
from tests.kube_api import KubeApi, node
from tests.receivers import Receiver, Taken
from tests.servers import WAIT_SECONDS, Server, response, serves

INSTANCE = Instance(
    TargetOptions("", interval_seconds=INTERVAL_SECONDS, timeout_seconds=WAIT_SECONDS, labels=(("job", "kube-proxy"),))
)


def of(taken: list[Taken], name: str, ident: str) -> list[float | None]:
    """The values of one node's series; None for a staleness marker."""
    found = [one for one in taken if one.name == name and one.labels.get("ident") == ident]
    return [None if one.bits == STALE_NAN_BYTES else one.value for one in found]


def test_nodes_come_and_go() -> None:
    """Series of a node bear its name and labels, not the agent's; they and the word that it exists end with it."""
    with Server(serves(lambda _: response(b"healthy 1\n"))) as server, Receiver() as receiver:
        cluster = KubeApi(node("a", "127.0.0.1", zone="z1"), node("b", "127.0.0.1"), node("without-address"))
        asked = KubernetesOptions(INSTANCE, cluster.url(), port=server.port, node_labels=(("zone", "zone"),))
        options = {"discoveries": (asked,), "self_metrics_seconds": INTERVAL_SECONDS}
        with cluster, RunningAgent([], [writer(receiver.url())], **options) as agent:
            for ident in ("a", "b"):
                receiver.wait_for_samples(lambda taken, ident=ident: 1.0 in of(taken, "healthy", ident), ident)
            info = "kpwatch_kubernetes_node_info"
            receiver.wait_for_samples(lambda taken: 1.0 in of(taken, info, "without-address"), "the third node")
            cluster.delete("nodes", "a")
            receiver.wait_for_samples(lambda taken: None in of(taken, "healthy", "a"), "the end of a")
            receiver.wait_for_samples(lambda taken: None in of(taken, info, "a"), "the end of its info")
            assert agent.counted("kubernetes_events", type="deleted") == 1
        taken = receiver.taken
    [zone] = {one.labels.get("zone") for one in taken if one.name == "healthy" and one.labels["ident"] == "a"}
    assert zone == "z1"
    assert {one.labels["job"] for one in taken if one.name == info} == {"kpwatch-agent"}
    assert of(taken, "healthy", "a")[-1] is None
    assert None not in of(taken, "healthy", "b")
