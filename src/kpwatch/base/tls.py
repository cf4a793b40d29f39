"""TLS as options, turned into a context when the first https URL needs one.

`ssl` costs 6 MB of memory, so this module imports it only inside `make_context`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to check the other side and how to show who we are. Paths of PEM files; "" = not given."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A client context; raises ConfigError naming the file or the name that cannot be used."""
    import ssl  # noqa: PLC0415 - see the module's docstring

    try:
        options.server_name.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"tls_server_name {options.server_name!r}: no host name ({error})") from error
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_ca {options.ca_file!r}: {error}; expected a PEM file with CA certificates") from error
    if options.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.cert_file:
        try:
            # Without a password OpenSSL would ask the terminal for an encrypted key's, and wait.
            context.load_cert_chain(options.cert_file, options.key_file or None, password="")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls_cert {options.cert_file!r}, tls_key {options.key_file!r}: {error}") from error
    return context
