"""`[http]` and `[kpwatch] http_*` -> where the agent answers about itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpwatch.base.looks import look_at
from kpwatch.base.server_options import ServerOptions
from kpwatch.config.build_parts import expand

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander

_RULE = 'expected HOST:PORT or :PORT, such as "127.0.0.1:9100"'


def endpoint_options(section: Section, limits: Section, expander: Expander) -> ServerOptions | None:
    """The endpoint, or None where none is asked for or its address is none."""
    enabled = section.flag("enable")
    ours = limits.text("http_address")
    if not enabled and not ours:
        return None
    if enabled and ours and section.text("address") not in ("", ours):
        limits.warn("http_address", "wins over [http] address")
    where, key = (limits, "http_address") if ours else (section, "address")
    address = _address(where, key, expander)
    certificate, key_file = (section.text(name) if enabled else "" for name in ("cert_file", "key_file"))
    for name in ("cert_file", "key_file") if enabled else ():
        if section.text(name) and not os.access(section.text(name), os.R_OK):
            section.warn(name, "the file cannot be read now")
    if key_file and not certificate:
        section.error("key_file", "expected cert_file beside it, or none of both")
    if address is None:
        return None
    default = ServerOptions("", 0)
    return ServerOptions(
        host=address[0],
        port=address[1],
        cert_file=certificate,
        key_file=key_file,
        read_seconds=_seconds(section, "read_timeout") or default.read_seconds,
        write_seconds=_seconds(section, "write_timeout") or default.write_seconds,
        idle_seconds=_seconds(section, "idle_timeout") or default.idle_seconds,
        max_connections=limits.whole("http_max_connections"),
        print_access=section.flag("print_access"),
        looks=tuple(look_at(path) for path in (certificate, key_file) if path),
    )


def _address(section: Section, key: str, expander: Expander) -> tuple[str, int] | None:
    text = expand(section, key, section.text(key), expander)
    host, colon, port = text.rpartition(":")
    if not text:
        section.error(key, f"missing: {_RULE}")
    elif not colon or not (port.isascii() and port.isdigit() and int(port) < 65536):
        section.error(key, f"{text!r}: {_RULE}")
    elif ":" in host and not (host.startswith("[") and host.endswith("]")):
        section.error(key, f"{text!r}: an IPv6 address stands in brackets, such as [::1]:9100")
    else:
        return host.strip("[]"), int(port)
    return None


def _seconds(section: Section, key: str) -> float:
    return max(float(section.whole(key)), 0.0)
