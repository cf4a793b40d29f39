"""What a hub gives away, over HTTP: the agent's manifest, boards, rules, runbooks."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.e2e.hub_scene import Client

DOWNLOADS = "/api/kpwatch/v1/downloads"


def writer(text: str) -> str:
    """The line that says where agents write."""
    return next(line.strip() for line in text.splitlines() if line.strip().startswith("url = "))


def test_the_agents_manifest_names_this_hub(client: Client) -> None:
    """By the address it was asked at, behind a proxy with TLS too, or by the one that is asked for."""
    answer = client.get(f"{DOWNLOADS}/agent", {"Host": "hub.example:19000"})
    assert answer.headers["content-disposition"] == 'attachment; filename="kpwatch-agent.yaml"'
    assert [one["kind"] for one in yaml.safe_load_all(answer.body)][-1] == "DaemonSet"
    for headers, parameters, expected in (
        ({"Host": "hub.example:19000"}, {}, "http://hub.example:19000/prometheus/v1/write"),
        ({"Host": "hub.example", "X-Forwarded-Proto": "https"}, {}, "https://hub.example/prometheus/v1/write"),
        ({}, {"url": "https://other.example/x"}, "https://other.example/x"),
    ):
        text = client.get(f"{DOWNLOADS}/agent", headers or None, **parameters).body.decode()
        assert writer(text) == f'url = "{expected}"'


@pytest.mark.parametrize(
    "parameters", [{"url": "ftp://x"}, {"url": 'http://a"\nb'}, {"url": "http://" + "a" * 3000}, {"image": "a b"}]
)
def test_what_is_no_address_or_image_is_refused(client: Client, parameters: dict[str, Any]) -> None:
    """It would become part of somebody's manifest."""
    assert client.get(f"{DOWNLOADS}/agent", **parameters).status == 400


def test_every_listed_file_is_in_its_zip_and_can_be_had_alone(client: Client) -> None:
    """The same bytes, with an ETag; JSON is JSON and YAML is YAML."""
    listed = {one["name"]: one["files"] for one in client.get(DOWNLOADS).json()["data"]["downloads"]}
    assert list(listed) == ["agent", "nightingale", "grafana", "prometheus", "markdown"]
    for name, files in listed.items():
        if not files:
            continue
        answer = client.get(f"{DOWNLOADS}/{name}")
        packed = zipfile.ZipFile(io.BytesIO(answer.body))
        assert [(one.filename, one.file_size) for one in packed.infolist()] == [
            (file["path"], file["bytes"]) for file in files
        ]
        assert client.get(f"{DOWNLOADS}/{name}", {"If-None-Match": answer.headers["etag"]}).status == 304
        alone = client.get(f"{DOWNLOADS}/{name}", file=files[0]["path"])
        assert alone.body == packed.read(files[0]["path"])
        {"json": json.loads, "yml": yaml.safe_load, "md": bytes}[files[0]["path"].rpartition(".")[2]](alone.body)


def test_what_is_not_there_says_what_is(client: Client) -> None:
    """A name or file nobody knows is 404."""
    answer = client.get(f"{DOWNLOADS}/zabbix")
    assert answer.status == 404
    assert "agent, nightingale, grafana" in answer.json()["error"]
    assert client.get(f"{DOWNLOADS}/grafana", file="../x").status == 404
