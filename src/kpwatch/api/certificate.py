"""The hub's certificate and key: read at start, and again when the files change.

A changed pair is first loaded into a context of its own; only where that works is it loaded into the one the server
has, and the next handshakes show it. So a certificate is renewed without a restart, and half of a renewal (the key is
there, its certificate not yet) leaves the old pair where it is and says so.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.looks import look_at

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.base.logs import Logger
    from kpwatch.base.looks import Look


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate with its chain, and its key without a passphrase (may be in the same file)."""

    cert: Path
    key: Path


class LiveCertificate:
    """A server's TLS context that follows its files."""

    def __init__(self, files: TlsFiles, log: Logger) -> None:
        """Raises ConfigError where the files cannot be used."""
        self._files = files
        self._log = log
        self._seen = self._looks()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._load(self.context)

    def look(self) -> None:
        """Read the files again if they have changed; what cannot be used is a warning, and the old pair stays."""
        seen = self._looks()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except ConfigError as error:
            self._log.warning(f"{error}; the certificate that was loaded before stays in use")
        else:
            self._log.info(f"the certificate of {self._files.cert} was read again")

    def _looks(self) -> tuple[Look | None, Look | None]:
        return look_at(str(self._files.cert)), look_at(str(self._files.key))

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            # A key with a passphrase would otherwise be asked for on the terminal.
            context.load_cert_chain(self._files.cert, self._files.key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"--tls-cert {self._files.cert}, --tls-key {self._files.key}: {error}; expected PEM files, the key"
                " without a passphrase and belonging to the certificate"
            ) from error
