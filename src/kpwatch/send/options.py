"""What a writer is told to do: one `[[writers]]` table, checked; and the queue they share the rules of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kpwatch.base.http import redact_url
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions
    from kpwatch.relabel.rules import RelabelRule

IdentMode = Literal["auto", "add", "rename", "off"]
"""What a writer does about `ident`.

off: `agent_hostname` goes out as it is. rename: it goes out as `ident` where the series has none. add: both go out.
auto: off where the URL has Nightingale's path (`/prometheus/v1/write`; the receiver renames), else rename.
"""

ProtocolWish = Literal["auto", "1.0", "2.0"]
"""Version of Remote Write; auto: what the receiver's answers show (`protocol`)."""

RestampsWish = Literal["auto", "yes", "no"]
"""Whether a receiver writes its own clock's time over the samples' (`restamped`).

auto: where the URL has Nightingale's path and the receiver speaks 1.0. Nightingale does so unless its
`ForceUseServerTS` is off, and speaks no 2.0.
"""

FIXED_HEADERS = frozenset(
    ("content-encoding", "content-type", "user-agent", "x-prometheus-remote-write-version", "transfer-encoding")
)
"""Names in lower case that `headers` cannot set."""

NIGHTINGALE_WRITE_PATH = "/prometheus/v1/write"

RESTAMPED_MAX_AGE_SECONDS = 60.0
"""How old samples may be where their time is written over, unless `max_backfill_age` says otherwise.

A sample that is a minute late stands a minute too late in the history; that moves no window of five minutes by much,
and a receiver that restarts or a request that fails once costs nothing. More would pile a whole outage onto the moment
it ends.
"""


class WriterOptions(NamedTuple):
    """One Remote Write receiver. Secrets are here in clear: `repr` hides them, nothing else may print them."""

    url: str
    basic_auth_user: str = ""
    basic_auth_pass: str = ""
    basic_auth_pass_file: str = ""
    """Read again before every request, as the next but one; wins over `basic_auth_pass`."""
    bearer_token: str = ""
    bearer_token_file: str = ""
    """Wins over `bearer_token`, and both over Basic auth."""
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = 30.0
    """From the end of the request to the end of the answer's headers."""
    dial_timeout_seconds: float = 10.0
    tls: TlsOptions | None = None
    proxy_url: str = ""
    """With the proxy's credentials, if any."""
    ident: IdentMode = "auto"
    protocol: ProtocolWish = "auto"
    relabel: tuple[RelabelRule, ...] = ()
    """After everything else, for this receiver alone."""
    hold: bool = True
    """Whether samples wait while the receiver answers 401, 403, 404 or with a redirect; else they are dropped."""
    restamps: RestampsWish = "auto"
    max_backfill_age_seconds: float = 0.0
    """Older samples are dropped; 0: none, but RESTAMPED_MAX_AGE_SECONDS where the receiver restamps."""
    retry_min_seconds: float = 0.5
    retry_max_seconds: float = 30.0

    def __repr__(self) -> str:
        return f"WriterOptions(url={redact_url(self.url)!r}, ident={self.ident!r})"

    @property
    def has_nightingales_path(self) -> bool:
        """Whether the URL is where Nightingale receives."""
        return self.url.partition("?")[0].rstrip("/").endswith(NIGHTINGALE_WRITE_PATH)


class QueueOptions(NamedTuple):
    """`[writer_opt]`: how much goes in one request and how much may wait per writer."""

    batch_samples: int = 1000
    queue_samples: int = 1_000_000
    queue_bytes: int = 64 << 20
    """Bound of the compressed scrapes that wait for one writer; the oldest go first, counted."""
