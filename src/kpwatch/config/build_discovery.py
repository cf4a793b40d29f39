"""`file_sd` and `consul` of `[[instances]]` -> what finds targets at run time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.config.build_parts import expand
from kpwatch.scrape.discovery.instance import compiled
from kpwatch.scrape.discovery.options import (
    CONSUL_QUERY_SECONDS,
    ConsulOptions,
    ConsulQuery,
    DiscoveryOptions,
    FileDiscoveryOptions,
)

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.scrape.discovery.instance import Instance

MIN_QUERY_SECONDS = 1.0

_DEFAULT_AGENT = "http://127.0.0.1:8500"
_ADDRESS_VARIABLE = "CONSUL_HTTP_ADDR"
_TOKEN_VARIABLE = "CONSUL_HTTP_TOKEN"  # noqa: S105 - the name of a variable


def discoveries(
    patterns: list[tuple[Section, Instance]], limits: Section, expander: Expander
) -> tuple[DiscoveryOptions, ...]:
    """What looks for targets, in the order of the file."""
    target_limit = limits.whole("target_limit")
    found: list[DiscoveryOptions] = []
    for section, instance in patterns:
        if section.texts("file_sd"):
            found.append(FileDiscoveryOptions(instance, _file_patterns(section, expander), target_limit=target_limit))
        if section.only("consul").flag("enabled"):
            found.append(_consul(section.only("consul"), instance, target_limit, expander))
    return tuple(found)


def _file_patterns(section: Section, expander: Expander) -> tuple[str, ...]:
    """Paths beside the file that names them, as Prometheus has it."""
    folder = Path(section.place("file_sd").file).absolute().parent
    patterns = []
    for index, text in enumerate(section.texts("file_sd")):
        pattern = str(folder / expand(section, "file_sd", text, expander, index))
        if not pattern.endswith(".json"):
            section.error("file_sd", f"{text!r}: expected files that end in .json; other formats are not read", index)
        patterns.append(pattern)
    return tuple(patterns)


def _consul(section: Section, instance: Instance, target_limit: int, expander: Expander) -> ConsulOptions:
    queries = tuple(_query(query) for query in section.many("query"))
    if not queries:
        section.warn("query", "there is none: Consul is asked for nothing")
    asked_seconds = section.seconds("query_interval")
    return ConsulOptions(
        instance=instance,
        agent_url=_agent_url(section, expander),
        queries=queries,
        query_seconds=max(asked_seconds, MIN_QUERY_SECONDS) if asked_seconds > 0 else CONSUL_QUERY_SECONDS,
        token=expander.variable(_TOKEN_VARIABLE),
        target_limit=target_limit,
    )


def _agent_url(section: Section, expander: Expander) -> str:
    """The agent's URL; Consul's own clients take HOST:PORT too."""
    text = section.text("agent") or expander.variable(_ADDRESS_VARIABLE) or _DEFAULT_AGENT
    try:
        return take_apart(text if "://" in text else f"http://{text}").request
    except ConfigError as error:
        section.error("agent", str(error))
        return _DEFAULT_AGENT


def _query(section: Section) -> ConsulQuery:
    for name in ("name", "url"):
        if not section.text(name):
            section.error(name, "missing: a query names a service and the URL to scrape")
    for key, template, *inside in [
        ("url", section.text("url")),
        *(("tags", *tag[::-1]) for tag in section.pairs("tags")),
    ]:
        try:
            compiled(template)
        except ConfigError as error:
            section.error(key, str(error), *inside)
    return ConsulQuery(
        name=section.text("name"),
        tag=section.text("tag"),
        datacenter=section.text("dc"),
        url=section.text("url"),
        tags=section.pairs("tags"),
    )
