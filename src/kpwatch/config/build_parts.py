"""What targets and writers have in common: expanded values, headers, TLS."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.tls import TlsOptions

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs
    from kpwatch.config.urls import Url

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FILE_KEYS = ("tls_ca", "tls_cert", "tls_key")
_TLS_KEYS = (*_FILE_KEYS, "tls_server_name", "insecure_skip_verify")


def expand(section: Section, name: str, text: str, expander: Expander, *inside: str | int) -> str:
    """`text`, a value of key `name`, expanded; a variable that is not set is a warning, an unknown `$ip` an error."""
    for variable in expander.unset(text):
        section.warn(name, f"the environment variable {variable!r} is not set; it expands to nothing", *inside)
    try:
        return expander.expand(text)
    except ConfigError as error:
        section.error(name, str(error), *inside)
        return ""


def checked_headers(section: Section) -> Pairs:
    """`headers`; names must be tokens and values one line (RFC 9110, 5.1 and 5.5). Values are never shown."""
    for index, (name, value) in enumerate(section.pairs("headers")):
        if _HEADER_NAME.fullmatch(name) is None:
            section.error("headers", f"{name!r} is no header name: expected letters, digits and -", 2 * index)
        elif any(char in value for char in "\r\n\0") or not value.isascii():
            section.error("headers", f"the value of {name!r} must be one line of ASCII", 2 * index + 1)
    return section.pairs("headers")


def tls_options(section: Section, url: Url, *, always: bool) -> TlsOptions | None:
    """TLS for an https URL, None for http. `always`: the keys count even without use_tls."""
    if url.scheme != "https":
        return None
    if not always and not section.flag("use_tls"):
        for name in _TLS_KEYS:
            if section.values[name]:
                section.warn(name, "has no effect without use_tls = true, as in the original")
        return TlsOptions()
    paths = {name: _pem_path(section, name) for name in _FILE_KEYS}
    if bool(paths["tls_cert"]) != bool(paths["tls_key"]):
        section.error("tls_cert" if paths["tls_cert"] else "tls_key", "expected both tls_cert and tls_key, or none")
    return TlsOptions(
        ca_file=paths["tls_ca"],
        cert_file=paths["tls_cert"],
        key_file=paths["tls_key"],
        server_name=section.text("tls_server_name"),
        insecure_skip_verify=section.flag("insecure_skip_verify"),
    )


def _pem_path(section: Section, name: str) -> str:
    value = section.text(name)
    if "-----BEGIN" in value:
        section.error(name, "PEM text cannot stand here in this version; write it to a file and give its path")
        return ""
    if value and not os.access(value, os.R_OK):
        section.warn(name, "the file cannot be read now")
    return value
