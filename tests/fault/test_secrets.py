"""A secret in every key that holds one, and servers that repeat whatever they are sent: nothing shows it."""

from __future__ import annotations

import http.client
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpwatch.config.input_keys import INPUT_TABLES
from kpwatch.config.root_keys import ROOT_TABLES
from tests.agent_process import KPWATCH, AgentProcess
from tests.servers import WAIT_SECONDS, Peer, Server, refused_port, response

if TYPE_CHECKING:
    from kpwatch.config.keys import Table

MARK = "sw0rdfish"
"""In every secret."""


def secret_lines(table: Table, proxy: int, *, wrong: bool = False) -> str:
    """A line for every secret key of a table; `wrong`: of a kind the key does not have."""
    lines = []
    for key in table.keys:
        if key.secret:
            secret = f"{MARK}-{key.name}"
            pairs = f'["X-Secret", "{secret}-1", "Authorization", "Bearer {secret}-2"]'
            text = f"http://me:{secret}@127.0.0.1:{proxy}" if key.name == "http_proxy" else secret
            is_list = (key.kind == "pairs") != wrong
            lines.append(f"{key.name} = {pairs}" if is_list else f'{key.name} = "{text}"')
    return "\n".join(lines)


def tables(names: set[str]) -> dict[str, Table]:
    return {table.path: table for table in (*ROOT_TABLES, *INPUT_TABLES) if table.path in names}


SECRET_TABLES = {table.path for table in (*ROOT_TABLES, *INPUT_TABLES) if any(key.secret for key in table.keys)}


def repeats(peer: Peer) -> None:
    """Answer with an error page that repeats the request, as some proxies do."""
    while True:
        request = peer.request()
        words = " ".join(f"{name}: {value}" for name, value in request.headers.items())
        peer.send(response(f"no: {request.target} {words}".encode(), 400))


def write(directory: Path, server: Server, port: int, *, wrong: bool = False) -> None:
    """A configuration with all of them."""
    known = tables(SECRET_TABLES)
    assert known.keys() == {"writers", "heartbeat", "http_provider", "instances", "kpwatch.kubernetes"}, "a new table"
    with_user = server.url("/x?token=" + MARK).replace("://", f"://me:{MARK}-url@")
    down = f"http://me:{MARK}-down@127.0.0.1:{refused_port()}/m?token={MARK}"
    (directory / "input.prometheus").mkdir(parents=True, exist_ok=True)
    (directory / "config.toml").write_text(
        f'[global]\nhostname = "node-a"\n[[writers]]\nurl = "{with_user}"\n'
        f'[[writers]]\nurl = "{server.url("/f")}"\nbasic_auth_user = "me"\n'
        f'basic_auth_pass_file = "{directory / "token"}"\n'
        f'[[writers]]\nurl = "{server.url("/w")}"\nbasic_auth_user = "me"\n'
        f"{secret_lines(known['writers'], server.port, wrong=wrong)}\n"
        f'[heartbeat]\nenable = true\nurl = "{server.url("/h")}"\nbasic_auth_user = "me"\n'
        f"{secret_lines(known['heartbeat'], server.port)}\n"
        f"[http_provider]\n{secret_lines(known['http_provider'], server.port)}\n"
        f'[kpwatch]\nhttp_address = "127.0.0.1:{port}"\nspool_dir = "{directory / "spool"}"\nself_metrics = false\n'
        f'[kpwatch.kubernetes]\nenable = true\napi_server = "{server.url("")}"\n'
        f"{secret_lines(known['kpwatch.kubernetes'], server.port)}\n"
    )
    (directory / "token").write_text(f"{MARK}-file")
    (directory / "input.prometheus/p.toml").write_text(
        f'interval = "100ms"\n[[instances]]\nurls = ["{with_user}", "{down}"]\nusername = "me"\n'
        f"{secret_lines(known['instances'], server.port)}\n"
        f'[[instances]]\nurls = ["{server.url("/t")}"]\nbearer_token_file = "{directory / "token"}"\n'
    )


def shown(port: int) -> str:
    """All documents of the endpoint."""
    texts = []
    for path in ("/targets", "/readyz", "/metrics", "/healthz", f"/{MARK[:0]}nothing"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
        connection.request("GET", path)
        texts.append(connection.getresponse().read().decode())
        connection.close()
    return "\n".join(texts)


def assert_nothing_in(text: str) -> None:
    """The mark in no shape in which it travels."""
    for line in text.splitlines():
        assert MARK not in line
        for before in ("me:", "e:", ":"):
            assert b64encode(before.encode() + MARK.encode()).decode()[:10] not in line, line


@pytest.mark.parametrize("form", ["categraf", "json"])
def test_secrets_are_shown_nowhere(form: str, tmp_path: Path) -> None:
    """In log lines (of a start, of errors, of a refused configuration), documents, the process list, on stdout."""
    port = refused_port()
    with Server(repeats) as server:
        write(tmp_path, server, port)
        with AgentProcess(tmp_path, "-debug", "--log-format", form) as agent:
            for path in ("/x?", "/w", "/h", "/t", "/f", "/api/v1/nodes"):
                server.wait_for(lambda path=path: any(path in request.target for request in server.requests), path)
            assert any(MARK in "".join(request.headers.values()) for request in server.requests), "they are used"
            agent.wait_for_line("post to ", 3)
            agent.wait_for_line("heartbeat to ")
            agent.wait_for_line("failed to query url: ", 2)
            documents = shown(port)
            process = Path(f"/proc/{agent.process.pid}/cmdline").read_text()
            write(tmp_path, server, port, wrong=True)
            agent.hang_up()
            agent.wait_for_line("is refused")
        assert_nothing_in("\n".join(agent.lines) + documents + process)
        checked = subprocess.run(
            [KPWATCH, "check", "config", tmp_path], capture_output=True, text=True, timeout=60, check=False
        )
        assert checked.returncode == 1
        assert_nothing_in(checked.stdout + checked.stderr)
