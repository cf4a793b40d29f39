"""`kpwatch doctor --prometheus` on a hub that agents have fed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.hub_scene import HubProcess
from tests.past import past_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 120
FAULTS = {
    "sync-failing": 520.0,
    "sync-hung": 520.0,
    "api-unreachable": 520.0,
    "backlog-stuck": 520.0,
    "node-draining": 520.0,
    "unreachable": 520.0,
    "silent-node": 0.0,
}
"""Since how many seconds: a window of 5 min and 2 min more."""
EXPECTED = {
    "sync-failing": {"sync-failing": "critical", "restore-failing": "critical"},
    "sync-hung": {"sync-hung": "critical"},
    "api-unreachable": {"api-unreachable": "critical"},
    "backlog-stuck": {"backlog-stuck": "warning"},
    "node-draining": {"node-draining": "info"},
    "unreachable": {"unreachable": "critical"},
    "silent-node": {"silent-node": "critical"},
}


def ask_doctor(url: str) -> tuple[int, dict[str, Any]]:
    """(exit code, document) of a fleet."""
    command = [sys.executable, "-m", "kpwatch", "doctor", "--json", "--lang", "en", "--prometheus", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def judged_by_fault(document: dict[str, Any], idents: dict[str, str]) -> dict[str, dict[str, str]]:
    """Fault -> checks of its node; "" -> those of all nodes without one."""
    names = {ident: name for name, ident in idents.items()}
    told: dict[str, dict[str, str]] = {"": {}}
    for node in document["nodes"]:
        checks = {finding["check"]: finding["severity"] for finding in node["findings"]}
        told.setdefault(names.get(node["ident"], ""), {}).update(checks)
    return told


def failed_queries(document: dict[str, Any]) -> set[str]:
    """What the server did not take."""
    return {each["why"] for node in document["nodes"] for each in node["not_judged"] if "failed" in each["why"]}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """(URL, fault -> ident) of a hub with a quarter of an hour of a fleet."""
    past, idents = past_of(FAULTS, healthy=2, seconds=1080, gone_seconds=420)
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        write(running.url, past)
        yield running.url, idents


def test_every_node_is_judged_as_it_is(hub: tuple[str, dict[str, str]]) -> None:
    """What takes kept samples too; those without a fault are well."""
    url, idents = hub
    code, document = ask_doctor(url)
    assert judged_by_fault(document, idents) == EXPECTED | {"": {}}
    assert failed_queries(document) == set()
    assert code == 2
