"""`--auth-file`: one `user:secret` a line, `#` begins a comment line; read at start, and again when it changes.

A secret is plain or an argon2 hash (`$argon2id$…`). A changed file that breaks a rule admits and shuts out nobody: the
users that were read before stay, and the log says what is wrong. Whoever has left the file is refused within seconds,
also on a connection that is open already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.api.auth import HASH_MARK, Gate
from kpwatch.base.errors import ConfigError, UsageError
from kpwatch.base.looks import look_at

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.base.logs import Logger
    from kpwatch.base.looks import Look
    from kpwatch.base.telemetry import Registry


class FileGate(Gate):
    """A gate for the users of a file. Event loop only, once requests come."""

    def __init__(self, path: Path, admin_user: str, telemetry: Registry, log: Logger) -> None:
        """`admin_user` must be in the file, unless it is ""; raises ConfigError, UsageError."""
        self._path = path
        self._admin_user = admin_user
        self._log = log
        self._seen: Look | None = look_at(str(path))
        super().__init__(self._read(), telemetry)
        self._not_taken = telemetry.counter(
            "kpwatch_hub_auth_file_refused_total", "Changed auth files that were not taken up because of an error."
        )

    def look(self) -> None:
        """Read the file again if it has changed; what cannot be used is a warning, and the users of before stay."""
        seen = look_at(str(self._path))
        if seen == self._seen:
            return
        self._seen = seen
        try:
            users = self._read()
        except (ConfigError, UsageError) as error:
            self._not_taken.add()
            self._log.warning(f"{error}; the users that were read before stay")
        else:
            self.admit(users)
            self._log.info(f"--auth-file {self._path} was read again: {len(users)} users")

    def _read(self) -> dict[str, str]:
        users = read_auth_file(self._path)
        if self._admin_user and self._admin_user not in users:
            raise UsageError(
                f"--enable-admin-api: --auth-file {self._path} has no user {self._admin_user!r}: add the line"
                f" {self._admin_user}:SECRET, or name another user by --admin-user"
            )
        return users


def read_auth_file(path: Path) -> dict[str, str]:
    """User -> secret or hash; raises ConfigError with file, line and rule."""
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
        if secret.startswith(HASH_MARK):
            try:
                _check_hash(secret)
            except ValueError as error:
                raise ConfigError(f"--auth-file {path}:{number}: {error}") from error
        if user in users:
            raise ConfigError(f"--auth-file {path}:{number}: user {user!r} comes twice")
        users[user] = secret
    if not users:
        raise ConfigError(f"--auth-file {path}: no user:secret line; nobody could use the hub")
    return users


def _check_hash(encoded: str) -> None:
    """Raises ValueError for what is no argon2 hash."""
    from argon2 import PasswordHasher, exceptions  # noqa: PLC0415 - as above

    try:
        PasswordHasher().check_needs_rehash(encoded)
    except exceptions.InvalidHashError as error:
        raise ValueError("expected an argon2 hash as `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`") from error
