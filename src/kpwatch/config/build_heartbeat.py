"""`[heartbeat]` -> whom to tell that this machine lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.config.build_parts import checked_headers, tls_options, warn_of_tls_keys
from kpwatch.config.proxies import proxy_url
from kpwatch.heartbeat.options import MIN_INTERVAL_SECONDS, HeartbeatOptions

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs


def heartbeat_options(
    section: Section, expander: Expander, hostname: str, global_labels: Pairs
) -> HeartbeatOptions | None:
    """The heartbeat, or None where it is off or its URL cannot be used."""
    if not section.flag("enable"):
        return None
    try:
        url = take_apart(section.text("url"), default_path="/")
    except ConfigError as error:
        section.error("url", f"{error}, such as http://HOST:17000/v1/n9e/heartbeat")
        return None
    if url.scheme != "https":
        warn_of_tls_keys(section, "has no effect: the URL is not https")
    default = HeartbeatOptions(url="", hostname="")
    password = section.text("basic_auth_pass")
    return HeartbeatOptions(
        url=url.request,
        hostname=hostname,
        host_ip=_host_ip(section, expander),
        interval_seconds=max(float(section.whole("interval")), MIN_INTERVAL_SECONDS),
        global_labels=global_labels,
        basic_auth_user=section.text("basic_auth_user") if password else url.username,
        basic_auth_pass=password or url.password,
        headers=tuple(("Host" if name.lower() == "host" else name, value) for name, value in checked_headers(section)),
        timeout_seconds=section.seconds("timeout") or default.timeout_seconds,
        dial_timeout_seconds=section.seconds("dial_timeout") or default.dial_timeout_seconds,
        tls=tls_options(section, always=False) if url.scheme == "https" else None,
        proxy_url=proxy_url(section, url, expander.variable),
        proc_dir=expander.variable("HOST_PROC") or default.proc_dir,
        sys_dir=expander.variable("HOST_SYS") or default.sys_dir,
    )


def _host_ip(section: Section, expander: Expander) -> str:
    try:
        return expander.expand("$ip")
    except ConfigError as error:
        section.warn("enable", f"host_ip stays empty: {error}")
        return ""
