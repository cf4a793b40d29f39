"""The edge: what this machine says of itself, for `$ip` and `$sn`.

`$ip` is `HOSTIP` where that is set (Kubernetes: status.hostIP), else the address from which a packet to a writer would
leave; nothing is sent to find it out. `$sn` is the serial number the kernel tells (the original runs dmidecode).
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SERIAL_FILE = Path("/sys/class/dmi/id/product_serial")
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PROBE = ("223.5.5.5", 80)
"""Asked for a route only, as in the original."""


def address_provider(environment: Mapping[str, str], writer_hosts: tuple[tuple[str, int], ...]) -> Callable[[], str]:
    """A function that finds `$ip` once; it raises ConfigError if there is no address to be found."""
    found: list[str] = []

    def address() -> str:
        if not found:
            found.append(environment.get("HOSTIP") or _outbound(writer_hosts))
        return found[0]

    return address


def _outbound(writer_hosts: tuple[tuple[str, int], ...]) -> str:
    probes = [probe for probe in writer_hosts if probe[0] not in _LOCAL_HOSTS] or [_DEFAULT_PROBE]
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(*probes[0], type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ConfigError(f"$ip cannot be found (no route to {probes[0][0]}: {error}); set HOSTIP") from error


def serial_number() -> str:
    """`$sn`, or "" where the kernel does not tell it (only root may read it)."""
    try:
        return _SERIAL_FILE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
