"""A real agent and a real hub, by both versions of Remote Write: the same samples, and both are known from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agents import RunningAgent, target, writer
from tests.e2e.hub_scene import HubProcess
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from pathlib import Path

CAPTURE = "real-1.36.3-nftables-200svc.txt"
SCRAPES = 6


def counted(hub: HubProcess, line_begins: str) -> float:
    """The value of a line of the hub's own metrics."""
    with hub.client() as client:
        lines = client.get("/metrics").body.decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(line_begins)), 0.0)


@pytest.mark.parametrize("protocol", ["2.0", "1.0"])
@pytest.mark.parametrize("path", ["/api/v1/write", "/prometheus/v1/write"])
def test_an_agents_requests_are_known(protocol: str, path: str, tmp_path: Path, shared_dir: Path) -> None:
    """Left to itself the agent speaks 2.0 to a hub; either way all but the first scrapes are recognised as a whole."""
    body = (shared_dir / "captures" / CAPTURE).read_bytes()
    with HubProcess(tmp_path) as hub, Server(serves(lambda _: response(body))) as server:
        options = {} if protocol == "2.0" else {"protocol": "1.0", "restamps": "no"}
        targets = [target(server.url(), name) for name in ("a", "b")]
        with RunningAgent(targets, [writer(hub.url + path, **options)]) as agent:
            server.wait_for_requests(2 * SCRAPES)
            agent.stop()
            assert agent.counted("samples_refused") == 0
            delivered = agent.counted("samples_delivered")
        other = {"1.0": "2.0", "2.0": "1.0"}[protocol]
        assert counted(hub, f'kpwatch_hub_write_protocol_total{{protocol="{protocol}"}}') > 0
        assert counted(hub, f'kpwatch_hub_write_protocol_total{{protocol="{other}"}}') == 0
        assert counted(hub, "kpwatch_hub_samples_stored_total") == delivered > 2 * (SCRAPES - 1) * 500
        assert counted(hub, "kpwatch_hub_samples_in_known_runs_total") >= delivered / 2
        with hub.client() as client:
            ups = client.get("/api/v1/query", query="up").json()["data"]["result"]
        assert sorted(one["metric"]["instance"] for one in ups) == ["a", "b"]
