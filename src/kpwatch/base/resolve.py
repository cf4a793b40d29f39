"""Host names -> addresses, without letting a slow name server hold up anybody.

An address needs no lookup and `localhost` only a look at a file; any other name is looked up on a thread of its own,
because getaddrinfo blocks, and the answer comes back through the loop.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop

Address = tuple[int, Any]
"""(address family, what `connect` takes)."""


def resolve(loop: Loop, host: str, port: int, found: Callable[[list[Address] | str], None]) -> None:
    """Call `found` with addresses to try in turn, or with the reason why there are none."""
    if is_address(host) or host == "localhost":
        found(_look_up(host, port))
        return

    import threading  # noqa: PLC0415 - an agent that scrapes loopback addresses has one thread

    def on_thread() -> None:
        answer = _look_up(host, port)
        loop.call_from_thread(lambda: found(answer))

    threading.Thread(target=on_thread, name=f"resolve {host}", daemon=True).start()


def is_address(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address in text."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue  # the other family decides
        return True
    return False


def _look_up(host: str, port: int) -> list[Address] | str:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"cannot resolve {host!r}: {error.strerror or error}"
    except UnicodeError as error:
        return f"cannot resolve {host!r}: no host name ({error})"
    return [(family, address) for family, _, _, _, address in rows]
