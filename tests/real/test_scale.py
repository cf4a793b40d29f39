"""What docs/howto/scale.md says was run is run: its commands, with other ports and directories."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.hub_scene import DEADLINE_SECONDS, KPWATCH, Client, now_ms, series
from tests.parts import program
from tests.real.victoria_metrics import show_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "scale.md"
RUN = dict(re.findall(r"<!-- run: ([\w-]+) -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
READY = ("/-/ready", "/health")


def here(text: str, folder: Path) -> tuple[list[list[str]], dict[str, int]]:
    """The commands with ports that are free and directories of the test's, and which port became which."""
    ports = {}
    for port in dict.fromkeys(re.findall(r"127\.0\.0\.1:(\d+)", text)):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[port] = free.getsockname()[1]
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", text)
    text = re.sub(r"/(?:var/lib|etc)/", f"{folder}/", text)
    return [shlex.split(line) for line in text.splitlines() if line], ports


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A process that answers on `port`; ended afterwards."""
    name, *arguments = command
    path = KPWATCH if name == "kpwatch" else program(name)
    with log.open("wb") as said, subprocess.Popen([path, *arguments], stdout=said, stderr=said) as process:
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)  # a poll with a deadline: who is ready says so only when asked
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


def answers(port: int) -> bool:
    for path in READY:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            continue
    return False


def test_the_page_says_what_is_run() -> None:
    """These three; the others are marked as not run."""
    assert RUN.keys() == {"hub", "victoria-metrics", "prometheus"}
    assert "**Not run here**" in PAGE.read_text()


@pytest.mark.real("prometheus, victoria-metrics")
@pytest.mark.parametrize("name", ["hub", "victoria-metrics", "prometheus"])
def test_it_runs(name: str, tmp_path: Path) -> None:
    """What is written to the hub, as Categraf writes it, is in its answers and in its fleet table."""
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "prometheus.yml").write_text("{}\n")
    commands, ports = here(RUN[name], tmp_path)
    with ExitStack() as stack:
        for number, command in enumerate(commands):
            port = next(
                ports_here for ports_here in ports.values() if any(f":{ports_here}" in word for word in command[1:4])
            )
            stack.enter_context(running(command, port, tmp_path / f"log{number}"))
        client = stack.enter_context(Client(ports["19000"]))
        at_ms = now_ms() - 45_000  # VictoriaMetrics shows what is half a minute old
        labels = {"__name__": "up", "agent_hostname": "node-a", "job": "kube-proxy"}
        assert client.write(series(labels, (at_ms, 1.0))).status == 204
        if name == "victoria-metrics":
            show_everything(f"http://127.0.0.1:{ports['8428']}")
        found = client.values('up{ident="node-a"}', at_ms / 1000 + 1)
        assert [value for _, value in found] == ["1"]
        rows = client.get("/api/kpwatch/v1/fleet").json()["nodes"]
        assert [row["ident"] for row in rows] == ["node-a"]
