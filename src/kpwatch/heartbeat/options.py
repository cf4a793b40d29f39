"""What the heartbeat is told to do: `[heartbeat]`, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.http import redact_url
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions

Pairs = tuple[tuple[str, str], ...]

MIN_INTERVAL_SECONDS = 4.0


class HeartbeatOptions(NamedTuple):
    """One Nightingale to tell. Secrets are here in clear: `repr` hides them, nothing else may print them."""

    url: str
    hostname: str
    """Under this name Nightingale lists the machine; the same as `agent_hostname`."""
    host_ip: str = ""
    interval_seconds: float = MIN_INTERVAL_SECONDS
    global_labels: Pairs = ()
    """`[global.labels]`: Nightingale makes them tags of the machine and writes them into its series."""
    basic_auth_user: str = ""
    basic_auth_pass: str = ""
    """Basic auth is sent if this is not empty."""
    headers: Pairs = ()
    timeout_seconds: float = 30.0
    dial_timeout_seconds: float = 10.0
    tls: TlsOptions | None = None
    proxy_url: str = ""
    """With the proxy's credentials, if any."""
    proc_dir: str = "/proc"
    sys_dir: str = "/sys"

    def __repr__(self) -> str:
        return f"HeartbeatOptions(url={redact_url(self.url)!r}, hostname={self.hostname!r})"
