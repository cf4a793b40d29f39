"""What a server is told to do; apart from the server, which not every agent has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from kpwatch.base.looks import Look


class ServerOptions(NamedTuple):
    """Where to listen and how much to bear."""

    host: str
    """"" is every address of this machine, IPv4 and IPv6."""
    port: int
    cert_file: str = ""
    """PEM file; "" is plain HTTP."""
    key_file: str = ""
    read_seconds: float = 10.0
    """From the first byte of a request (of a connection: from its accept) to the end of its head."""
    write_seconds: float = 10.0
    idle_seconds: float = 60.0
    max_connections: int = 64
    print_access: bool = False
    looks: tuple[Look | None, ...] = ()
    """How certificate and key looked when this was read."""
