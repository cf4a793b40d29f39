"""What a discovery is told to do, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kpwatch.base.named import NamedTuple
from kpwatch.base.shown import shown_without

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions
    from kpwatch.scrape.discovery.instance import Instance
    from kpwatch.scrape.options import Pairs

TARGET_LIMIT = 10_000
FILES_REFRESH_SECONDS = 5.0
CONSUL_QUERY_SECONDS = 30.0


class FileDiscoveryOptions(NamedTuple):
    """`file_sd` of one instance."""

    instance: Instance
    patterns: tuple[str, ...]
    """Absolute paths of JSON files, with wildcards."""
    refresh_seconds: float = FILES_REFRESH_SECONDS
    target_limit: int = TARGET_LIMIT
    """Targets beyond it are left out, counted and said."""


class ConsulQuery(NamedTuple):
    """One service to ask for; `url` and the values of `tags` are templates over an entry of the catalog."""

    name: str
    tag: str = ""
    datacenter: str = ""
    url: str = ""
    tags: Pairs = ()


class ConsulOptions(NamedTuple):
    """`consul` of one instance."""

    instance: Instance
    agent_url: str
    queries: tuple[ConsulQuery, ...]
    query_seconds: float = CONSUL_QUERY_SECONDS
    token: str = ""
    """Sent as X-Consul-Token."""
    target_limit: int = TARGET_LIMIT

    def __repr__(self) -> str:
        return shown_without(self, "token")


SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its token and the API server's CA."""


class KubernetesOptions(NamedTuple):
    """`[kpwatch.kubernetes]`: what is asked of an API server, and what becomes a target."""

    instance: Instance
    api_url: str
    role: Literal["node", "pod"] = "node"
    """Whose address is scraped: each node's, or that of each kube-proxy pod."""
    scrape: bool = True
    """False: only `kpwatch_kubernetes_node_info` is written."""
    namespace: str = "kube-system"
    pod_selector: str = "k8s-app=kube-proxy"
    node_selector: str = ""
    scheme: str = "http"
    port: int = 10249
    path: str = "/metrics"
    address_types: tuple[str, ...] = ("InternalIP", "ExternalIP", "Hostname")
    """Of a node's addresses, the first that it has."""
    node_labels: Pairs = ()
    """Label of a target -> label of its node."""
    shard: int = 0
    shards: int = 1
    """This agent is for the nodes whose name's CRC-32 is `shard` modulo `shards`."""
    token: str = ""
    token_file: str = ""
    """Read again before every request; wins over `token`."""
    tls: TlsOptions | None = None
    page_objects: int = 100
    """Objects asked for at once; a node is some 10 KB."""
    answer_limit_bytes: int = 32 << 20
    """Of a page, and of one line of a watch."""
    resync_seconds: float = 1800.0
    """A list this old is made anew when its watch ends."""
    watch_seconds: float = 240.0
    """The API server is asked to end a watch after this time and up to a quarter more."""
    retry_min_seconds: float = 1.0
    retry_max_seconds: float = 60.0
    target_limit: int = TARGET_LIMIT

    def __repr__(self) -> str:
        return shown_without(self, "token")


DiscoveryOptions = FileDiscoveryOptions | ConsulOptions | KubernetesOptions
