"""`kpwatch delete` and /api/v1/admin/tsdb/*: who may, what goes."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.e2e.test_hub_command import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_MS = now_ms() // 1000 * 1000
DELETE = "/api/v1/admin/tsdb/delete_series"


def basic(user: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}


ADMIN, AGENT = basic("admin:top"), basic("agent:low")


def body() -> bytes:
    return b"".join(
        series({"__name__": name, "ident": node}, (AT_MS - 60_000, 1.0), (AT_MS, 2.0))
        for name in ("a", "b")
        for node in ("n1", "n2")
    )


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    users = tmp_path / "users"
    users.write_text("admin:top\nagent:low\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users), "--enable-admin-api") as process:
        with process.client() as client:
            assert client.write(body(), **AGENT).status == 204
        yield process


def there(hub: HubProcess) -> list[tuple[str, str]]:
    with hub.client() as client:
        found = client.get("/api/v1/series", AGENT, **{"match[]": "{ident!=''}"}).json()["data"]
    return [(one["__name__"], one["ident"]) for one in found]


def test_the_admin_deletes(hub: HubProcess) -> None:
    """204 and how much in two headers; afterwards no answer has it."""
    with hub.client() as client:
        answer = client.request("POST", DELETE + "?match[]=a&match[]={ident='n2'}", headers=ADMIN)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["x-kpwatch-deleted-series"] == "3"
        assert answer.headers["x-kpwatch-deleted-samples"] == "6"
        assert there(hub) == [("b", "n1")]
        window = f"&start={AT_MS / 1000 - 90}&end={AT_MS / 1000 - 30}"
        assert client.request("PUT", f"/prometheus{DELETE}?match[]=b{window}", headers=ADMIN).status == 204
        found = client.get("/api/v1/query", ADMIN, query="count_over_time(b[5m])", time=AT_MS / 1000).json()
        assert [one["value"][1] for one in found["data"]["result"]] == ["1"]
        assert client.request("POST", "/api/v1/admin/tsdb/clean_tombstones", headers=ADMIN).status == 204


REFUSED = (
    ({}, DELETE + "?match[]=a", 401, "authentication"),
    (AGENT, DELETE + "?match[]=a", 403, "only the user 'admin'"),
    ({"Authorization": "Bearer low"}, DELETE + "?match[]=a", 403, "--admin-user"),
    (ADMIN | {"Origin": "http://evil.example"}, DELETE + "?match[]=a", 403, "evil.example"),
    (ADMIN, DELETE, 400, "no match[] parameter provided"),
    (ADMIN, DELETE + "?match[]=sum(a)", 400, "1:4: parse error: unexpected"),
    (ADMIN, DELETE + "?match[]={}", 400, "match[]"),
    (ADMIN, DELETE + "?match[]=a&start=2&end=1", 400, "end timestamp must not be before"),
    (AGENT, "/api/v1/admin/tsdb/clean_tombstones", 403, "only the user"),
)


@pytest.mark.parametrize(("headers", "path", "status", "says"), REFUSED)
def test_all_others_do_not(hub: HubProcess, headers: dict[str, str], path: str, status: int, says: str) -> None:
    """Nor does an admin who does not say what; nothing is gone."""
    with hub.client() as client:
        answer = client.request("POST", path, headers=headers)
        assert (answer.status, says in answer.body.decode()) == (status, True), answer.body
    assert len(there(hub)) == 4


def test_the_bearer_may_too(hub: HubProcess) -> None:
    """The admin's secret alone, and reading it by GET is nothing."""
    with hub.client() as client:
        assert client.request("GET", DELETE + "?match[]=a", headers=ADMIN).status == 405
        headers = {"Authorization": "Bearer top", "Content-Type": "application/x-www-form-urlencoded"}
        assert client.request("POST", DELETE, "match[]=a", headers).status == 204
    assert there(hub) == [("b", "n1"), ("b", "n2")]


def test_not_enabled(tmp_path: Path) -> None:
    """Prometheus' answer to that."""
    with HubProcess(tmp_path) as hub, hub.client() as client:
        answer = client.request("POST", DELETE + "?match[]=a")
        assert answer.status == 503
        assert answer.json() == {"status": "error", "errorType": "unavailable", "error": "admin APIs disabled"}


def test_the_command_on_a_running_hub(hub: HubProcess) -> None:
    """With the secret in the URL, which no error shows."""
    url = hub.url.replace("http://", "http://admin:top@")
    ended = run("delete", "--url", url, "a")
    assert (ended.returncode, ended.stdout) == (0, f"{hub.url}: 4 samples of 2 series are deleted\n"), ended.stderr
    ended = run("delete", "--url", url.replace("top", "wrong"), "a")
    assert ended.returncode == 1
    assert "401" in ended.stderr
    assert "wrong" not in ended.stderr
    assert there(hub) == [("b", "n1"), ("b", "n2")]


def test_the_command_on_a_directory(tmp_path: Path) -> None:
    """Of a stopped hub; while one runs it refuses, without changing anything."""
    data = str(tmp_path)
    with HubProcess(tmp_path) as hub, hub.client() as client:
        assert client.write(body()).status == 204
        ended = run("delete", "--data", data, "a")
        assert ended.returncode == 1
        assert f"in use by process {hub.pid}" in ended.stderr
        assert len(there(hub)) == 4
    assert run("delete", "--data", data, "--dry-run", "a").stdout == (
        '{__name__="a", ident="n1"}\n{__name__="a", ident="n2"}\n2 series would be deleted\n'
    )
    ended = run("delete", "--data", data, "a", "{ident='n2'}")
    assert (ended.returncode, ended.stdout) == (0, f"{data}: 6 samples of 3 series are deleted\n")
    ended = run("delete", "--data", data, "--end", f"{AT_MS / 1000 - 1}", "b")
    assert ended.stdout == f"{data}: 1 samples of 1 series are deleted\n"
    with HubProcess(tmp_path) as hub:
        assert there(hub) == [("b", "n1")]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a"], 2, "one of the arguments --data --url is required"),
        (["--data", "/nowhere", "a"], 1, "/nowhere holds no store"),
        (["--data", "/nowhere", "sum(a)"], 1, "1:4: parse error: unexpected"),
        (["--data", "/nowhere"], 2, "MATCHER"),
        (["--data", "/nowhere", "--start", "soon", "a"], 2, "expected Unix seconds or RFC 3339"),
        (["--url", "localhost", "a"], 2, "expected http://"),
        (["--url", "http://127.0.0.1:1", "a"], 1, "does not answer"),
    ],
)
def test_command_lines_that_cannot_be(arguments: list[str], code: int, says: str) -> None:
    """One sentence, no stack."""
    ended = run("delete", *arguments)
    assert (ended.returncode, says in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("lines", "options", "says"),
    [
        (None, [], "--enable-admin-api needs --auth-file"),
        ("agent:x\n", [], "has no user 'admin'"),
        ("admin:x\n", ["--admin-user", "root"], "has no user 'root'"),
    ],
)
def test_an_admin_must_be_somebody(tmp_path: Path, lines: str | None, options: list[str], says: str) -> None:
    """Else the hub does not start."""
    if lines is not None:
        (tmp_path / "users").write_text(lines)
        options = [*options, "--auth-file", str(tmp_path / "users")]
    ended = run("hub", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--enable-admin-api", *options)
    assert ended.returncode == 2
    assert says in ended.stderr
