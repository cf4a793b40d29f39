"""`kpwatch up`, as a person starts it: a real process, asked over HTTP, ended by a signal."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import ARTICLE_IDENTS
from kpwatch.simulate.node import NodeSpec, SimulatedNode
from kpwatch.simulate.server import FleetServer, Place
from tests.parts import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_SECONDS = 60.0
"""For whatever should be there in a few; a busy machine takes longer."""
FAILING, SILENT = "10.206.0.11", "10.206.16.8"


@dataclass
class Run:
    """One `kpwatch up`."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def printed(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def logged(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def url(self) -> str:
        return next(word for word in self.printed.split() if word.startswith("http://")).rstrip("/")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[Run]:
    """`kpwatch up ARGUMENTS` with a temporary directory of its own, once it has said that Ctrl-C ends it."""
    (folder / "tmp").mkdir()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "kpwatch", "up", *arguments],
            stdout=out,
            stderr=err,
            cwd=folder,
            env=os.environ | {"TMPDIR": str(folder / "tmp")},
        )
    run = Run(process, folder)
    try:
        soon(lambda: "Ctrl-C" in run.printed or process.poll() is not None)
        assert process.poll() is None, run.logged
        yield run
    finally:
        process.kill()
        process.wait()


def soon(true: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.read()


def nodes(run: Run) -> dict[str, dict[str, Any]]:
    """The fleet table by ident."""
    return {row["ident"]: row for row in json.loads(get(run.url + "/api/kpwatch/v1/fleet")[1])["nodes"]}


def query(run: Run, expression: str, ago_seconds: float = 0) -> dict[str, float]:
    """An instant query's values by ident."""
    parameters = urllib.parse.urlencode({"query": expression, "time": time.time() - ago_seconds})
    result = json.loads(get(f"{run.url}/api/v1/query?{parameters}")[1])["data"]["result"]
    return {series["metric"].get("ident", ""): float(series["value"][1]) for series in result}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A running demo, its past filled in."""
    with up(tmp_path_factory.mktemp("demo"), "--demo", "--listen", "127.0.0.1:0") as run:
        soon(lambda: len(query(run, "count_over_time(up[1h]) > 119")) == 6)
        yield run


def test_it_says_what_runs_where_it_is_and_what_to_expect(demo: Run):
    assert demo.printed.splitlines()[0] == f"kpwatch demo: {demo.url}/"
    assert [ident for ident in ARTICLE_IDENTS if ident not in demo.printed] == []
    assert f"{FAILING}: its sync has been failing for 20 min" in demo.printed
    assert f"{SILENT}: falls silent 60 s after the start" in demo.printed
    assert "Traceback" not in demo.logged


def test_the_page_answers(demo: Run):
    status, page = get(demo.url + "/")
    assert status == 200
    assert b"<html" in page


def test_six_nodes_are_in_the_fleet_and_live(demo: Run):
    found = nodes(demo)
    assert [ident for ident in ARTICLE_IDENTS if ident not in found] == []
    assert {found[ident]["mode"] for ident in ARTICLE_IDENTS} == {"iptables", "nftables"}
    assert len({found[ident]["version"] for ident in ARTICLE_IDENTS}) >= 3
    soon(lambda: len(query(demo, "time() - timestamp(up) < 7")) >= 6)


def test_the_failing_node_shows_its_failures_at_once(demo: Run):
    found = nodes(demo)
    assert {ident for ident in ARTICLE_IDENTS if found[ident]["failures"]} == {FAILING}
    assert "sync-failing" in checks(demo, FAILING)
    assert found[FAILING]["failures"] > 50


def test_the_past_has_rates_and_the_beginning_of_the_failure(demo: Run):
    before, after = (set(query(demo, f"{failures} > 0", ago)) for ago in (1500, 900))
    assert FAILING not in before
    assert FAILING in after
    rates = query(demo, "rate(kubeproxy_sync_proxy_rules_endpoint_changes_total[5m])", 1200)
    assert set(ARTICLE_IDENTS) <= set(rates)
    assert len({round(rates[ident], 1) for ident in ARTICLE_IDENTS}) == 1
    assert min(rates[ident] for ident in ARTICLE_IDENTS) > 0.1


failures = 'sum by (ident) ({__name__=~".*(restore|sync)_failures_total"})'


def test_the_past_and_the_present_are_the_same_series(demo: Run):
    """Otherwise a query would see each twice."""
    healthy = {"10.206.0.7", "10.206.16.3", "10.206.0.16", "10.206.0.17"}
    past, present = (query(demo, 'count by (ident) ({job="kube-proxy"})', ago) for ago in (600, 0))
    assert {ident: past[ident] for ident in healthy} == {ident: present[ident] for ident in healthy}


@pytest.mark.slow
def test_another_node_falls_silent_after_a_minute(demo: Run):
    soon(lambda: not is_open(urls(demo)[SILENT]), 120)
    soon(lambda: nodes(demo)[SILENT]["up"] == 0)
    soon(lambda: nodes(demo)[SILENT]["verdict"] == "unknown")


def urls(run: Run) -> dict[str, str]:
    """Where the simulated nodes' metrics are, by ident, as printed."""
    rows = [line.split() for line in run.printed.splitlines() if line.endswith("/metrics")]
    return {row[0]: row[-1] for row in rows}


def is_open(url: str) -> bool:
    """Whether somebody listens there."""
    address = urllib.parse.urlsplit(url)
    with closing(socket.socket()) as client:
        return client.connect_ex((address.hostname or "", address.port or 0)) == 0


def checks(run: Run, ident: str) -> list[str]:
    """What is wrong with a node."""
    return [finding["check"] for finding in nodes(run).get(ident, {"findings": []})["findings"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_trace(tmp_path: Path, number: signal.Signals):
    """Exit 0, no process, no traceback, nothing left in the temporary directory, ports given back."""
    with up(tmp_path, "--demo", "--listen", "127.0.0.1:0") as run:
        served = [run.url, *urls(run).values()]
        assert [is_open(url) for url in served] == [True] * 7
        assert list((tmp_path / "tmp").iterdir()) != []
        assert run.end(number) == 0
        assert "Traceback" not in run.logged
        assert "ECONNREFUSED" not in run.logged  # agents end before what they scrape and write to
        assert list((tmp_path / "tmp").iterdir()) == []
        assert [is_open(url) for url in served] == [False] * 7


def test_data_is_kept_where_it_is_asked_for(tmp_path: Path):
    with up(tmp_path, "--demo", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")) as run:
        assert run.end(signal.SIGINT) == 0
    assert list((tmp_path / "data").iterdir()) != []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = kpwatch("up", "--demo", "--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode == 1
    assert f"--listen 127.0.0.1:{port}" in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_machines_must_be_let_in_on_purpose(tmp_path: Path):
    done = kpwatch("up", "--listen", "0.0.0.0:0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--allow-anonymous" in done.stderr


def kpwatch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kpwatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, cwd=cwd, check=False)


@pytest.fixture
def kube_proxy_here() -> Iterator[FleetServer]:
    """Something like a kube-proxy for 127.0.0.1:10249, bound and not yet listening; one test at a time has it."""
    node = SimulatedNode(NodeSpec("here", "1.30.3-iptables-churn", time.time() - 600, faults=(Fault("sync-failing"),)))
    with (Path(tempfile.gettempdir()) / "kpwatch-test-10249.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            server: FleetServer | None = FleetServer([node], Place("127.0.0.1", 10249))
        except UsageError:
            server = None
        server = require(server, "the free ports 127.0.0.1:10249 and 10250")
        yield server
        server.stop()


def test_this_machines_kube_proxy_is_watched_from_when_it_answers(tmp_path: Path, kube_proxy_here: FleetServer):
    """Until then it says so, with the next step, and goes on."""
    here = socket.gethostname()
    with up(tmp_path, "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")) as run:
        assert "nothing answers on 127.0.0.1:10249" in run.printed
        assert "kpwatch up --demo" in run.printed
        soon(lambda: nodes(run)[here]["up"] == 0)
        kube_proxy_here.start()
        soon(lambda: nodes(run)[here]["failures"])
        assert run.end(signal.SIGTERM) == 0


def test_the_demo_watches_it_beside_the_simulated_ones(tmp_path: Path, kube_proxy_here: FleetServer):
    kube_proxy_here.start()
    with up(tmp_path, "--demo", "--listen", "127.0.0.1:0") as run:
        assert "the kube-proxy of this machine (127.0.0.1:10249, iptables)" in run.printed
        soon(lambda: nodes(run).get(socket.gethostname(), {}).get("failures"))
        assert run.end(signal.SIGINT) == 0


def test_a_demo_that_cannot_begin_ends_and_says_why():
    """A hub that nobody writes to is no demo: a bug on the thread that begins it ends all of it, with one line."""
    code = (
        "import sys; import kpwatch.up; kpwatch.up.frames = None; from kpwatch.__main__ import main;"
        "sys.exit(main(['up', '--demo', '--listen', '127.0.0.1:0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == 1
    assert "kpwatch: the demo's start failed: TypeError: " in done.stderr
    assert "Traceback" not in done.stderr
