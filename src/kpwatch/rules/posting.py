"""HTTP requests of notifiers: one at a time for each, small answers, errors as sentences without secrets.

httpx2 is loaded on the notifier's own thread with its first message. Files of secrets are read anew for every message,
so a changed token needs no restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.base.errors import ConfigError, KpwatchError
from kpwatch.base.http import basic_auth

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.telemetry import Registry

ANSWER_BYTES = 64 << 10
_SHOWN_CHARACTERS = 200


class NotTaken(KpwatchError):
    """A message was not taken: by whom and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go, and who we are there. Nothing of it is shown but `shown`."""

    shown: str
    """For logs and pages: no path of a webhook, which is a secret."""
    url: str = field(default="", repr=False)
    url_file: str = ""
    """One line, instead of `url`."""
    basic_auth_file: str = ""
    """One line user:password."""
    bearer_token_file: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls_ca: str = ""
    tls_skip_verify: bool = False
    timeout_seconds: float = 10.0


def secret_of(path: str) -> str:
    """What a file of a secret says; raises ConfigError."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


class Deliveries:
    """What became of the alerts of one notifier, for `/metrics`."""

    def __init__(self, telemetry: Registry, to: str, count_waiting: Callable[[], float]) -> None:
        self.sent = telemetry.counter(
            "kpwatch_hub_notifications_sent_total", "Alerts that an Alertmanager or webhook has taken.", to=to
        )
        self.failed = telemetry.counter(
            "kpwatch_hub_notifications_failed_total", "Messages that were not taken; they are sent again.", to=to
        )
        self.dropped = telemetry.counter(
            "kpwatch_hub_notifications_dropped_total", "Alerts that were not told: too old, or too many.", to=to
        )
        telemetry.gauge("kpwatch_hub_notifications_waiting", "Alerts that wait to be told.", count_waiting, to=to)


class Poster:
    """Sends to one address; belongs to one thread."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: Any = None
        self._is_tls = False

    def post(self, body: bytes, *, path: str = "", query: str = "", content_type: str = "application/json") -> bytes:
        """The answer's body; raises NotTaken where it is no 2xx or there is none, ConfigError for a secret's file."""
        import httpx2  # noqa: PLC0415 - see the module

        address = self._address
        url = (secret_of(address.url_file) if address.url_file else address.url) + path
        if query:
            url += ("&" if "?" in url else "?") + query
        headers = {"user-agent": f"kpwatch-hub/{__version__}", "content-type": content_type, **dict(address.headers)}
        if address.bearer_token_file:
            headers["authorization"] = f"Bearer {secret_of(address.bearer_token_file)}"
        elif address.basic_auth_file:
            headers["authorization"] = basic_auth(secret_of(address.basic_auth_file))
        is_tls = url.lower().startswith("https:")
        if self._client is None or self._is_tls is not is_tls:
            self.close()
            self._is_tls = is_tls
            self._client = httpx2.Client(
                verify=is_tls and self._verify(),
                timeout=address.timeout_seconds,
                trust_env=False,
                follow_redirects=False,
            )
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as response:
                answer = b""
                for part in response.iter_bytes():
                    answer = (answer + part)[:ANSWER_BYTES]
                    if len(answer) >= ANSWER_BYTES:
                        break
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            what = self.without_secrets(str(error) or type(error).__name__, url)
            raise NotTaken(f"{address.shown} cannot be reached: {what}") from None
        if not 200 <= response.status_code < 300:
            said = self.without_secrets(answer[:_SHOWN_CHARACTERS].decode("utf-8", "replace"), url)
            raise NotTaken(f"{address.shown} answers {response.status_code}: {said}")
        return answer

    def without_secrets(self, text: str, url: str) -> str:
        """`text` as it may be shown."""
        for secret in (url, url.partition("?")[2], *(value for _, value in self._address.headers)):
            if len(secret) > 3:
                text = text.replace(secret, "***")
        return text[:_SHOWN_CHARACTERS]

    def _verify(self) -> Any:
        if self._address.tls_skip_verify:
            return False
        if not self._address.tls_ca:
            return True
        import ssl  # noqa: PLC0415 - for who needs it

        try:
            return ssl.create_default_context(cafile=self._address.tls_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls_ca {self._address.tls_ca}: {error}; expected a PEM file") from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
