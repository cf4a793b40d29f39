"""`kpwatch hub` and `kpwatch query` as they are typed."""

from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.hub_scene import DEADLINE_SECONDS, KPWATCH, HubProcess, now_ms, series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_MS = now_ms() // 1000 * 1000


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KPWATCH, *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(signal_: signal.Signals, tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C; what was written is there afterwards."""
    with HubProcess(tmp_path) as hub, hub.client() as client:
        assert client.write(series({"__name__": "kept"}, (AT_MS, 1.0))).status == 204
        assert hub.stop(signal_) == ""
    with HubProcess(tmp_path) as hub, hub.client() as client:
        assert client.values("kept", AT_MS / 1000) == [({"__name__": "kept"}, "1")]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """Exit 1, the address, what to do; and the data directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("hub", "--listen", address, "--data", str(tmp_path))
        assert ended.returncode == 1
        assert f"--listen {address}: Address already in use" in ended.stderr
        assert ended.stderr.count("\n") == 1
    with HubProcess(tmp_path):
        pass


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--listen", "19000"], 2, "expected HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], 2, "expected HOST:PORT"),
        (["--listen", "0.0.0.0:0"], 2, "--auth-file FILE (user:secret lines), or --allow-anonymous"),
        (["--listen", ":0"], 2, "--allow-anonymous"),
        (["--retention", "fortnight"], 2, "expected a duration"),
        (["--query-concurrency", "0"], 2, "above 0"),
        (["--auth-file", "/nowhere/users"], 1, "/nowhere/users: cannot be read"),
        (["--data", "/proc/nowhere"], 1, "/proc/nowhere"),
        (["--listen", "no.such.host.invalid:0"], 1, "no.such.host.invalid"),
    ],
)
def test_command_lines_that_cannot_be(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    """1 for what cannot be had, 2 for what cannot be meant."""
    ended = run("hub", *(["--data", str(tmp_path)] if "--data" not in arguments else []), *arguments)
    assert (ended.returncode, says in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_teaches() -> None:
    """Examples and every option that exists; none that does not."""
    text = run("hub", "--help").stdout
    for word in (
        "--listen",
        "--data",
        "--retention",
        "--auth-file",
        "--allow-anonymous",
        "--query-timeout",
        "  kpwatch hub --",
        "--rules",
        "--alertmanager",
    ):
        assert word in text
    assert "kpwatch query 'up" in run("query", "--help").stdout


def test_other_machines_only_when_said(tmp_path: Path) -> None:
    """--allow-anonymous serves them, with a warning."""
    with HubProcess(tmp_path, "--listen", "0.0.0.0:0", "--allow-anonymous") as hub:
        with hub.client() as client:
            assert client.get("/-/ready").status == 200
        assert "--allow-anonymous" in hub.stop()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as process, process.client() as client:
        for name, node, value in (("up", "node-a", 1.0), ("up", "节点", 0.0), ("big", "node-a", 1e21)):
            labels = {"__name__": name, "ident": node, "quote": 'a"b,c'}
            assert client.write(series(labels, (AT_MS - 15_000, value), (AT_MS, value))).status == 204
        yield process


def query(hub: HubProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("query", "--url", hub.url, "--time", str(AT_MS / 1000), *arguments)


def test_query_prints_a_table(hub: HubProcess) -> None:
    """One column per label, the value last."""
    ended = query(hub, "up")
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "__name__  ident   quote  value",
        'up        node-a  a"b,c      1',
        'up        节点      a"b,c      0',
        "(2 samples)",
    ]
    assert query(hub, "absent_metric").stdout.splitlines()[-1] == "(0 samples)"
    assert query(hub, "1+1").stdout.splitlines() == ["value", "    2", "(1 sample)"]


def test_query_prints_csv_and_json(hub: HubProcess) -> None:
    """Both can be read back."""
    ended = query(hub, "big", "--format", "csv", "--range", "15s", "--step", "15s")
    rows = list(csv.reader(ended.stdout.splitlines()))
    assert rows[0] == ["__name__", "ident", "quote", "time", "value"]
    assert [row[3:] for row in rows[1:]] == [[str(AT_MS // 1000 - 15), "1e+21"], [str(AT_MS // 1000), "1e+21"]]
    assert rows[1][:3] == ["big", "node-a", 'a"b,c']
    assert json.loads(query(hub, "up", "--format", "json").stdout)["resultType"] == "vector"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["up{"], 1, '400 invalid parameter "query": '),
        (["up", "--step", "5s"], 2, "--step needs --range"),
        (["up", "--range", "soon"], 2, "expected a duration"),
        (["up", "--url", "localhost"], 2, "expected http://HOST:PORT"),
        (["up", "--url", "http://127.0.0.1:1"], 1, "does not answer: [Errno 111] Connection refused"),
    ],
)
def test_queries_that_fail(arguments: list[str], code: int, says: str, hub: HubProcess) -> None:
    """One sentence, no stack."""
    ended = query(hub, *arguments)
    assert (ended.returncode, says in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_query_asks_with_a_secret(tmp_path: Path) -> None:
    """User and secret in the URL; neither in an error."""
    users = tmp_path / "users"
    users.write_text("ann:s cret\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users)) as hub:
        good = run("query", "1+1", "--url", hub.url.replace("http://", "http://ann:s%20cret@"))
        assert (good.returncode, good.stdout.split()[:2]) == (0, ["value", "2"])
        bad = run("query", "1+1", "--url", hub.url.replace("http://", "http://ann:wrong@"))
        assert bad.returncode == 1
        assert "401" in bad.stderr
        assert "wrong" not in bad.stderr
