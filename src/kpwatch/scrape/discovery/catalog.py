"""A Consul catalog: what is asked, and how its entries become targets. Pure.

`GET /v1/catalog/service/NAME?dc=…&tag=…` (developer.hashicorp.com/consul/api-docs/catalog) answers with a list of
entries; a query's templates see them as Consul's own Go client has them (api.CatalogService).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import BadInput
from kpwatch.base.urls import percent_encoded
from kpwatch.relabel.govalues import Fields, Record
from kpwatch.scrape.discovery.instance import compiled
from kpwatch.scrape.discovery.target_files import Found

if TYPE_CHECKING:
    from kpwatch.scrape.discovery.options import ConsulQuery

_EMPTY_ENTRY: dict[str, Any] = {
    "ID": "", "Node": "", "Address": "", "Datacenter": "", "TaggedAddresses": {}, "NodeMeta": {},
    "ServiceID": "", "ServiceName": "", "ServiceAddress": "", "ServiceTaggedAddresses": {}, "ServiceTags": [],
    "ServiceMeta": {}, "ServicePort": 0, "ServiceWeights": {}, "ServiceEnableTagOverride": False,
    "CreateIndex": 0, "ModifyIndex": 0, "Namespace": "", "Partition": "",
}  # fmt: skip
"""Fields of an entry and what they are where Consul leaves them out."""


def catalog_path(query: ConsulQuery) -> str:
    """Path and query of the request."""
    asked = (("dc", query.datacenter), ("tag", query.tag))
    parameters = "&".join(f"{name}={percent_encoded(value)}" for name, value in asked if value)
    return f"/v1/catalog/service/{percent_encoded(query.name)}" + (f"?{parameters}" if parameters else "")


def parse_catalog(body: bytes) -> list[Record]:
    """The entries of an answer; raises BadInput where it is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the answer is not JSON: {error}") from error
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise BadInput("the answer is no list of services")
    return [_record(entry) for entry in document]


def _record(entry: dict[str, Any]) -> Record:
    """Known fields only; null is what Consul writes for empty lists and maps."""
    record = Record()
    for name, empty in _EMPTY_ENTRY.items():
        value = entry.get(name)
        if value is None or isinstance(value, bool) != isinstance(empty, bool) or not isinstance(value, type(empty)):
            value = empty
        record[name] = _fields(value) if isinstance(value, dict) else value
    return record


def _fields(value: dict[str, Any]) -> Fields:
    return Fields({key: _fields(inner) if isinstance(inner, dict) else inner for key, inner in value.items()})


def found_in(query: ConsulQuery, entry: Record) -> Found:
    """The target that an entry is; raises ConfigError where a template cannot be rendered."""
    tags = tuple((name, compiled(template).render(entry)) for name, template in query.tags)
    return Found(compiled(query.url).render(entry), tags)
