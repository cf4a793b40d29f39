"""Which proxy a writer or the heartbeat uses: the key `http_proxy`, else the environment, as the original has it.

The environment's rules are Go's (golang.org/x/net/http/httpproxy): HTTP_PROXY and HTTPS_PROXY by the URL's scheme,
upper case before lower case; loopback addresses and what NO_PROXY names are asked directly. An entry of NO_PROXY is
`*`, an address, a network (10.0.0.0/8) or a domain, which stands for its subdomains too; `:PORT` behind it limits it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import parse_proxy
from kpwatch.base.resolve import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.urls import UrlParts
    from kpwatch.config.checker import Section


def proxy_url(section: Section, url: UrlParts, variable: Callable[[str], str]) -> str:
    """URL of the proxy for `url`, or ""; what is wrong goes to the section's report."""
    given = section.text("http_proxy")
    if given:
        try:
            parse_proxy(given)
        except ConfigError as error:
            section.error("http_proxy", str(error))
            return ""
        return given
    name = f"{url.scheme}_proxy"
    found = next((upper for upper in (name.upper(), name) if variable(upper)), "")
    if not found or _asked_directly(url, variable("NO_PROXY") or variable("no_proxy")):
        return ""
    text = variable(found)
    text = text if "://" in text else f"http://{text}"
    try:
        parse_proxy(text)
    except ConfigError as error:
        section.warn("url", f"the proxy of the environment variable {found} is not used: {error}")
        return ""
    return text


def _asked_directly(url: UrlParts, no_proxy: str) -> bool:
    host = url.hostname.lower().rstrip(".")
    if host == "localhost" or (is_address(host) and _in_network(host, ("127.0.0.0/8", "::1/128"))):
        return True
    port = url.port or {"http": "80", "https": "443"}[url.scheme]
    return any(_named_by(entry.strip().lower(), host, port) for entry in no_proxy.split(","))


def _named_by(entry: str, host: str, port: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return is_address(host) and _in_network(host, (entry,))
    name, _, entry_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if not name or (entry_port and entry_port != port):
        return False
    name = name.strip("[]").removeprefix("*").rstrip(".")
    return (host == name.removeprefix(".") and not name.startswith(".")) or host.endswith("." + name.removeprefix("."))


def _in_network(host: str, networks: tuple[str, ...]) -> bool:
    import ipaddress  # noqa: PLC0415 - few have a proxy

    address = ipaddress.ip_address(host)
    for network in networks:
        try:
            if address in ipaddress.ip_network(network, strict=False):
                return True
        except ValueError:
            continue  # no network: it names nobody
    return False
