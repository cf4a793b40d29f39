"""WAIT_HOSTS: who is waited for, and that the wait ends when they are there."""

from __future__ import annotations

import socket
import threading

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.logs import Logger
from kpwatch.cli import wait_hosts
from kpwatch.cli.wait_hosts import parse_hosts, wait_for_hosts
from tests.servers import WAIT_SECONDS, refused_port

HOSTS = [
    ("a:1", [("a", 1)]),
    ("a:1,b:2", [("a", 1), ("b", 2)]),
    (" a:1, b:2  c:3,", [("a", 1), ("b", 2), ("c", 3)]),
    ("[::1]:80", [("::1", 80)]),
]


@pytest.mark.parametrize(("text", "hosts"), HOSTS)
def test_who_is_waited_for(text: str, hosts: list[tuple[str, int]]) -> None:
    """Commas or blanks between."""
    assert parse_hosts(text) == hosts


@pytest.mark.parametrize("text", ["a", "a:0", "a:65536", "a:b", ":1", "a:1;b:2", "::1:80"])
def test_who_would_be_waited_for_in_vain(text: str) -> None:
    """Is an error."""
    with pytest.raises(ConfigError, match=r"WAIT_HOSTS: '.*': expected HOST:PORT"):
        parse_hosts(text)


def test_it_waits_until_all_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, saying for whom."""
    monkeypatch.setattr(wait_hosts, "PAUSE_SECONDS", 0.01)
    port = refused_port()
    lines: list[str] = []
    refused = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        refused.set()

    waiting = threading.Thread(target=wait_for_hosts, args=(f"127.0.0.1:{port}", Logger(say)))
    waiting.start()
    assert refused.wait(WAIT_SECONDS)
    with socket.create_server(("127.0.0.1", port)):
        waiting.join(WAIT_SECONDS)
        assert not waiting.is_alive()
    assert f"waiting for 127.0.0.1:{port}: " in lines[0]
    assert lines[-1].endswith(f"127.0.0.1:{port} accepts connections\n")
