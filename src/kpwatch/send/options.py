"""What a writer is told to do: one `[[writers]]` table, checked; and the queue they share the rules of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kpwatch.base.http import redact_url

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions

IdentMode = Literal["auto", "add", "rename", "off"]
"""What a writer does about `ident`.

off: `agent_hostname` goes out as it is. rename: it goes out as `ident` where the series has none. add: both go out.
auto: off where the URL has Nightingale's path (`/prometheus/v1/write`; the receiver renames), else rename.
"""

NIGHTINGALE_WRITE_PATH = "/prometheus/v1/write"


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """One Remote Write receiver. Secrets are here in clear: `repr` hides them, nothing else may print them."""

    url: str
    basic_auth_user: str = ""
    basic_auth_pass: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = 30.0
    """From the end of the request to the end of the answer's headers."""
    dial_timeout_seconds: float = 10.0
    tls: TlsOptions | None = None
    ident: IdentMode = "auto"
    retry_min_seconds: float = 0.5
    retry_max_seconds: float = 30.0

    def __repr__(self) -> str:
        return f"WriterOptions(url={redact_url(self.url)!r}, ident={self.ident!r})"


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`[writer_opt]`: how much goes in one request and how much may wait per writer."""

    batch_samples: int = 1000
    queue_samples: int = 1_000_000
    queue_bytes: int = 64 << 20
    """Bound of the compressed scrapes that wait for one writer; the oldest go first, counted."""
