"""What a discovery is told to do, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpwatch.scrape.discovery.instance import Instance
    from kpwatch.scrape.options import Pairs

TARGET_LIMIT = 10_000
FILES_REFRESH_SECONDS = 5.0
CONSUL_QUERY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class FileDiscoveryOptions:
    """`file_sd` of one instance."""

    instance: Instance
    patterns: tuple[str, ...]
    """Absolute paths of JSON files, with wildcards."""
    refresh_seconds: float = FILES_REFRESH_SECONDS
    target_limit: int = TARGET_LIMIT
    """Targets beyond it are left out, counted and said."""


@dataclass(frozen=True, slots=True)
class ConsulQuery:
    """One service to ask for; `url` and the values of `tags` are templates over an entry of the catalog."""

    name: str
    tag: str = ""
    datacenter: str = ""
    url: str = ""
    tags: Pairs = ()


@dataclass(frozen=True, slots=True)
class ConsulOptions:
    """`consul` of one instance."""

    instance: Instance
    agent_url: str
    queries: tuple[ConsulQuery, ...]
    query_seconds: float = CONSUL_QUERY_SECONDS
    token: str = field(default="", repr=False)
    """Sent as X-Consul-Token."""
    target_limit: int = TARGET_LIMIT


DiscoveryOptions = FileDiscoveryOptions | ConsulOptions
