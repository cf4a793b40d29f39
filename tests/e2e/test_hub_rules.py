"""`kpwatch hub --rules`: the URLs, files that change, options that cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.hub_scene import DEADLINE_SECONDS, KPWATCH, Client, HubProcess

if TYPE_CHECKING:
    from pathlib import Path

RULES = """\
groups:
- name: g
  rules:
  - {alert: Good, expr: up == 0}
  - {alert: Bad, expr: up ==}
"""
OWN = "/api/kpwatch/v1"


def names(client: Client, **parameters: Any) -> list[str]:
    groups = client.get("/api/v1/rules", **parameters).json()["data"]["groups"]
    return [rule["name"] for group in groups for rule in group["rules"]]


def until_names(client: Client, expected: list[str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while names(client) != expected:
        assert time.monotonic() < deadline, names(client)
        time.sleep(0.05)  # a poll with a deadline: files are read on a thread that tells nobody


def test_rules_over_http(tmp_path: Path) -> None:
    """What is wrong is told with its place, the rest is there; SIGHUP and /-/reload read files again."""
    file = tmp_path / "r.yml"
    file.write_text(RULES)
    with HubProcess(tmp_path / "data", "--rules", f"{tmp_path}/*.yml") as hub, hub.client() as client:
        assert names(client) == ["Good"]
        (problem,) = client.get(f"{OWN}/rules/problems").json()["data"]["problems"]
        assert (problem["file"], problem["line"]) == (str(file), 5)
        assert names(client, type="record") == []
        assert client.get("/prometheus/api/v1/rules", type="x").status == 400
        assert client.get("/api/v1/rules", group_next_token="x").status == 400
        assert client.get("/api/v1/alerts").json()["data"] == {"alerts": []}
        assert client.get(f"{OWN}/alerts/history").json()["data"] == {"events": []}
        for number, read_again in enumerate(
            (lambda: os.kill(hub.pid, signal.SIGHUP), lambda: client.request("POST", "/-/reload"))
        ):
            new = tmp_path / "new"
            new.write_text(RULES.replace("Good", f"New{number}"))
            new.replace(file)
            read_again()
            until_names(client, [f"New{number}"])
        said = hub.stop()
    assert f"{file}:5:24: group 'g', rule 2 (alert 'Bad'): could not parse expression" in said


def test_silences_over_http(tmp_path: Path) -> None:
    """Made, listed, ended; only as application/json."""
    (tmp_path / "r.yml").write_text("groups: []")
    silence = json.dumps({"matchers": [{"name": "instance", "value": "a"}], "endsAt": "2100-01-01T00:00:00Z"})
    as_json = {"Content-Type": "application/json"}
    with HubProcess(tmp_path / "data", "--rules", str(tmp_path / "r.yml")) as hub, hub.client() as client:
        assert client.request("POST", f"{OWN}/silences", silence).status == 400
        assert client.request("POST", f"{OWN}/silences", "[]", as_json).status == 400
        made = client.request("POST", f"{OWN}/silences", silence, as_json)
        name = made.json()["data"]["silenceID"]
        (listed,) = client.get(f"{OWN}/silences").json()["data"]["silences"]
        assert (listed["id"], listed["status"]["state"]) == (name, "active")
        assert client.request("DELETE", f"{OWN}/silences/{name}").status == 200
        assert client.request("DELETE", f"{OWN}/silences/nope").status == 404
        assert client.get(f"{OWN}/silences").json()["data"]["silences"][0]["status"]["state"] == "expired"


def test_a_hub_without_rules_has_none(tmp_path: Path) -> None:
    """Its answers are empty, and there is nothing to silence."""
    with HubProcess(tmp_path / "data") as hub, hub.client() as client:
        assert names(client) == []
        assert client.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"] == []
        assert client.get(f"{OWN}/silences").json()["data"]["silences"] == []
        assert client.request("DELETE", f"{OWN}/silences/nope").status == 404
        assert client.request("POST", "/-/reload").status == 200
        assert not (tmp_path / "data" / "rules.db").exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--alertmanager", "http://a"), 2, "give --rules FILE too"),
        (("--rules", "x", "--alertmanager", "http://u:p@a"), 1, "give its password by --config"),
        (("--rules", "x", "--config", "/nope"), 1, "--config /nope: cannot be read"),
        (("--rules", "x", "--external-label", "a"), 2, "expected NAME=VALUE"),
        (("--rules", "x", "--rules-interval", "0"), 2, "expected at least"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: tuple[str, ...], code: int, says: str) -> None:
    """They are refused with the reason; no password is shown."""
    command = [KPWATCH, "hub", "--data", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "u:p" not in done.stderr
