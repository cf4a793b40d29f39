"""Host names -> addresses, without letting a slow name server hold up anybody.

An address needs no lookup and `localhost` only a look at a file; any other name is looked up on a thread of its own,
because getaddrinfo blocks, and the answer comes back through the loop. Whoever asks for a name that is being looked up
waits for that answer, because a name server that is silent holds a thread for longer than a scrape may take.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop

Address = tuple[int, Any]
"""(address family, what `connect` takes)."""

MAX_LOOKUPS = 512
"""Under way at a time, a thread each; who asks for one more name is refused."""

_waiting: WeakKeyDictionary[Loop, dict[tuple[str, int], list[Callable[[list[Address] | str], None]]]]
_waiting = WeakKeyDictionary()
"""For each loop the names that are being looked up, and who waits for them."""


def resolve(loop: Loop, host: str, port: int, found: Callable[[list[Address] | str], None]) -> None:
    """Call `found` with addresses to try in turn, or with the reason why there are none."""
    if is_address(host) or host == "localhost":
        found(_look_up(host, port))
        return

    import threading  # noqa: PLC0415 - an agent that scrapes loopback addresses has one thread

    lookups = _waiting.setdefault(loop, {})
    if (host, port) in lookups:
        lookups[host, port].append(found)
        return
    if len(lookups) >= MAX_LOOKUPS:
        found(f"cannot resolve {host!r}: {MAX_LOOKUPS} other names are being looked up; is the name server silent?")
        return
    lookups[host, port] = [found]

    def on_thread() -> None:
        answer = _look_up(host, port)
        loop.call_from_thread(lambda: finish(answer))

    def finish(answer: list[Address] | str) -> None:
        for waits in lookups.pop((host, port)):
            loop.call_later(0.0, partial(waits, answer))

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
    name = host.encode("ascii") if host.isascii() else host  # bytes need no tables of Unicode, which are 0.2 MB
    try:
        rows = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"cannot resolve {host!r}: {error.strerror or error}"
    except UnicodeError as error:
        return f"cannot resolve {host!r}: no host name ({error})"
    return [(family, address) for family, _, _, _, address in rows]
