"""The files that `file_sd` reads: Prometheus' format, in JSON. Pure.

    [ { "targets": ["10.0.0.1:10249", "https://node-b:10249/metrics"], "labels": { "rack": "r1" } }, … ]

(prometheus.io/docs/prometheus/latest/configuration, file_sd_config.) `__scheme__`, `__metrics_path__` and
`__param_NAME` shape the URL of a target written as HOST:PORT; other labels that begin with `__` are dropped, as
Prometheus drops them. What stands in the file overwrites labels of the same name that the URL gives.
"""

from __future__ import annotations

import json

from kpwatch.base.errors import BadInput
from kpwatch.base.named import NamedTuple
from kpwatch.base.urls import percent_encoded
from kpwatch.scrape.discovery.instance import METRICS_PATH

Pairs = tuple[tuple[str, str], ...]

_PARAMETER = "__param_"


class Found(NamedTuple):
    """One target of a list."""

    url: str
    labels: Pairs


def parse_targets(text: bytes) -> list[Found]:
    """All targets of a file; raises BadInput with the entry that is wrong."""
    try:
        document = json.loads(text)
    except ValueError as error:  # includes UnicodeDecodeError
        raise BadInput(f"not JSON: {error}") from error
    except RecursionError as error:
        raise BadInput("not a list of targets: lists in lists without end") from error
    if not isinstance(document, list):
        raise BadInput('expected a list: [{"targets": ["HOST:PORT"], "labels": {}}]')
    found: list[Found] = []
    for number, group in enumerate(document, start=1):
        found += _group(number, group)
    return found


def _group(number: int, group: object) -> list[Found]:
    targets = group.get("targets", []) if isinstance(group, dict) else None
    labels = group.get("labels") or {} if isinstance(group, dict) else None
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise BadInput(f'entry {number}: expected "targets", a list of strings HOST:PORT')
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadInput(f'entry {number}: expected "labels", names and strings')
    kept = tuple((name, value) for name, value in labels.items() if not name.startswith("__"))
    return [Found(_url(target, labels), kept) for target in targets]


def _url(target: str, labels: dict[str, str]) -> str:
    if "://" in target:
        return target
    path = labels.get("__metrics_path__") or METRICS_PATH
    parameters = [
        f"{name.removeprefix(_PARAMETER)}={percent_encoded(value)}"
        for name, value in labels.items()
        if name.startswith(_PARAMETER)
    ]
    url = f"{labels.get('__scheme__') or 'http'}://{target}{'' if path.startswith('/') else '/'}{path}"
    return url + ("?" + "&".join(parameters) if parameters else "")
