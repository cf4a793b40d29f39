"""TLS as options, turned into a context when the first https URL needs one.

`ssl` costs 6 MB of memory, so this module imports it only inside `make_context`. Certificates and keys are given as
paths or as PEM text; text reaches OpenSSL through a file that exists in memory only, because that is how it takes keys.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.base.shown import shown_without

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from kpwatch.base.looks import Look

PEM_MARK = "-----BEGIN"
"""What holds this is PEM text, what does not is a path."""

VERSIONS = {"1.0": "TLSv1", "1.1": "TLSv1_1", "1.2": "TLSv1_2", "1.3": "TLSv1_3"}
"""Versions as configured -> as `ssl.TLSVersion` names them."""

_OLD_VERSIONS = ("1.0", "1.1")

CIPHER_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "ECDHE-ECDSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "ECDHE-RSA-RC4-SHA",
    "TLS_RSA_WITH_RC4_128_SHA": "RC4-SHA",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}
"""Cipher suites by Go's names (crypto/tls) -> OpenSSL's; "" for those of TLS 1.3: always offered, as in Go."""


class TlsOptions(NamedTuple):
    """How to check the other side and how to show who we are; "" = not given. Secrets are not in `repr`."""

    ca_file: str = ""
    """Path or PEM text, as the next two."""
    cert_file: str = ""
    key_file: str = ""
    key_password: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    """One of VERSIONS; "" is 1.2."""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    """Of CIPHER_SUITES; () are the library's own."""
    looks: tuple[Look | None, ...] = ()
    """How the files looked when this was read: with a renewed certificate it is another configuration."""

    def __repr__(self) -> str:
        return shown_without(self, "key_file", "key_password", "looks")


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A client context; raises ConfigError naming the file or the name that cannot be used."""
    import ssl  # noqa: PLC0415 - see the module's docstring

    try:
        options.server_name.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"tls_server_name {options.server_name!r}: no host name ({error})") from error
    ca = options.ca_file
    try:
        given = {"cadata": ca} if PEM_MARK in ca else {"cafile": ca or None}
        context = ssl.create_default_context(**given)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_ca {_shown(ca)}: {error}; expected a PEM file with CA certificates") from error
    if options.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _limit_versions(context, options)
    _choose_ciphers(context, options)
    if options.cert_file:
        _load_own_certificate(context, options)
    return context


def _load_own_certificate(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Without a password OpenSSL would ask the terminal for an encrypted key's, and wait: so one is always given."""
    try:
        with _as_file(options.cert_file) as cert, _as_file(options.key_file) as key:
            context.load_cert_chain(cert, key or None, password=options.key_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: too long a password
        raise ConfigError(
            f"tls_cert {_shown(options.cert_file)}, tls_key {_shown(options.key_file)}: {error}"
        ) from error


def _limit_versions(context: ssl.SSLContext, options: TlsOptions) -> None:
    import ssl  # noqa: PLC0415 - loaded already

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # whoever asks for TLS 1.0 has a reason
        if options.min_version:
            context.minimum_version = ssl.TLSVersion[VERSIONS[options.min_version]]
        if options.max_version:
            context.maximum_version = ssl.TLSVersion[VERSIONS[options.max_version]]


def _choose_ciphers(context: ssl.SSLContext, options: TlsOptions) -> None:
    """The suites asked for. OpenSSL speaks TLS 1.0 and 1.1 only on its lowest level of security."""
    names = [CIPHER_SUITES[suite] for suite in options.cipher_suites if CIPHER_SUITES[suite]]
    if options.cipher_suites and not names:
        import ssl  # noqa: PLC0415 - loaded already

        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    old = {options.min_version, options.max_version} & set(_OLD_VERSIONS)
    if not names and not old:
        return
    try:
        context.set_ciphers(":".join(names or ["DEFAULT"]) + (":@SECLEVEL=0" if old else ""))
    except OSError as error:
        raise ConfigError(
            f"tls_cipher_suites {', '.join(options.cipher_suites)}: this OpenSSL has none of them"
        ) from error


@contextmanager
def _as_file(path_or_pem: str) -> Iterator[str]:
    """A path under which OpenSSL can read what was given."""
    if PEM_MARK not in path_or_pem:
        yield path_or_pem
        return
    with open(os.memfd_create("pem"), "wb") as file:
        file.write(path_or_pem.encode())
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _shown(path_or_pem: str) -> str:
    return "(PEM text)" if PEM_MARK in path_or_pem else repr(path_or_pem)
