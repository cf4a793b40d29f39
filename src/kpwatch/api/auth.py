"""Who may ask: `--auth-file`, Basic and Bearer.

The file has one `user:secret` a line; `#` begins a comment line. Basic auth sends user and secret, `Authorization:
Bearer secret` any user's secret. Secrets are kept as digests and compared in constant time, and every line is
compared whatever the first ones say.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from typing import TYPE_CHECKING

from kpwatch.base.asgi import Answer
from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.base.asgi import Request
    from kpwatch.base.telemetry import Registry

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""Probes carry no secrets."""

_CHALLENGE = (("www-authenticate", 'Basic realm="kpwatch", charset="UTF-8"'),)
_REFUSAL = Answer(401, b"authentication required: Basic, or Authorization: Bearer\n", headers=_CHALLENGE)


class Gate:
    """Lets requests pass that carry one of the file's secrets."""

    def __init__(self, users: dict[str, str], telemetry: Registry) -> None:
        self._basic = [_digest(f"{user}:{secret}".encode()) for user, secret in users.items()]
        self._bearer = [_digest(secret.encode()) for secret in users.values()]
        self._users = users
        self._refused = telemetry.counter(
            "kpwatch_hub_unauthenticated_requests_total", "Requests refused for want of a valid user and secret."
        )

    def refusal(self, request: Request) -> Answer | None:
        """None where the request may pass."""
        if request.path in OPEN_PATHS or _is_valid(request.header(b"authorization"), self._basic, self._bearer):
            return None
        self._refused.add()
        return _REFUSAL

    def is_user(self, request: Request, user: str) -> bool:
        """Whether a request carries the secret of this user."""
        if user not in self._users:
            return False
        secret = self._users[user]
        return _is_valid(
            request.header(b"authorization"), [_digest(f"{user}:{secret}".encode())], [_digest(secret.encode())]
        )


def _is_valid(authorization: str, basic: list[bytes], bearer: list[bytes]) -> bool:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return _is_one_of(credentials.strip().encode("latin-1"), bearer)
        case "basic":
            try:
                return _is_one_of(b64decode(credentials.strip(), validate=True), basic)
            except (binascii.Error, ValueError):
                return False  # counted as refused
    return False


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _is_one_of(secret: bytes, digests: list[bytes]) -> bool:
    given = _digest(secret)
    return sum(hmac.compare_digest(given, digest) for digest in digests) > 0


def read_auth_file(path: Path) -> dict[str, str]:
    """User -> secret; raises ConfigError with file, line and rule."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--auth-file {path}: cannot be read: {error}") from error
    users: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # nothing stands there
        user, colon, secret = line.strip().partition(":")
        if not (user and colon and secret):
            raise ConfigError(f"--auth-file {path}:{number}: expected user:secret")
        if secret.startswith("$argon2"):
            raise ConfigError(
                f"--auth-file {path}:{number}: argon2 hashes are not supported yet; write the secret as it is "
                "and let only the hub's user read the file (chmod 600)"
            )
        if user in users:
            raise ConfigError(f"--auth-file {path}:{number}: user {user!r} comes twice")
        users[user] = secret
    if not users:
        raise ConfigError(f"--auth-file {path}: no user:secret line; nobody could use the hub")
    return users
