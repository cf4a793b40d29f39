"""`WAIT_HOSTS`: start only when others accept connections, as Categraf does in a pod whose neighbours come up later.

    WAIT_HOSTS="hub:19000, 10.0.0.1:17000"        separated by commas or blanks

Each is tried every second until a TCP connection is made; there is no end but a signal. What is not HOST:PORT is an
error: it would be waited for in vain. Progress is logged, where the original prints it between the samples of --test.
"""

from __future__ import annotations

import re
import socket
import threading
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from kpwatch.base.logs import Logger

PAUSE_SECONDS = 1.0
DIAL_SECONDS = 1.0

_HOST = re.compile(r"(?P<host>\[[^]]+\]|[^:]+):(?P<port>[0-9]{1,5})")


def parse_hosts(text: str) -> list[tuple[str, int]]:
    """(host, port) of every entry; raises ConfigError for one that is neither."""
    hosts = []
    for entry in re.split(r"[,\s]+", text.strip(", \t\n")):
        match = _HOST.fullmatch(entry)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ConfigError(f"WAIT_HOSTS: {entry!r}: expected HOST:PORT")
        hosts.append((match["host"].strip("[]"), int(match["port"])))
    return hosts


def wait_for_hosts(text: str, log: Logger) -> None:
    """Return when all of them accept connections; raises ConfigError."""
    for host, port in parse_hosts(text):
        while (reason := _refusal(host, port)) is not None:
            log.info(f"waiting for {host}:{port}: {reason}", about=f"{host}:{port}")
            threading.Event().wait(PAUSE_SECONDS)
        log.info(f"{host}:{port} accepts connections")


def _refusal(host: str, port: int) -> str | None:
    """Why there is no connection, or None where there is one."""
    try:
        socket.create_connection((host, port), timeout=DIAL_SECONDS).close()
    except OSError as error:
        return str(error)
    return None
