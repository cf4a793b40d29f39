"""What targets and writers have in common: expanded values, headers, TLS."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.looks import look_at
from kpwatch.base.tls import CIPHER_SUITES, PEM_MARK, VERSIONS, TlsOptions
from kpwatch.config.checker import nearest
from kpwatch.config.sight import tls_files

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PEM_KEYS = ("tls_ca", "tls_cert", "tls_key")
_TLS_KEYS = (
    *_PEM_KEYS, "tls_key_pwd", "tls_server_name", "insecure_skip_verify", "tls_min_version", "tls_max_version",
    "tls_cipher_suites",
)  # fmt: skip


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


def tls_options(section: Section, *, always: bool) -> TlsOptions:
    """TLS for https URLs. `always`: the keys count even without use_tls."""
    if not always and not section.flag("use_tls"):
        warn_of_tls_keys(section, "has no effect without use_tls = true, as in the original")
        return TlsOptions()
    for name in _PEM_KEYS:
        _check_readable(section, name)
    if bool(section.text("tls_cert")) != bool(section.text("tls_key")):
        lonely = "tls_cert" if section.text("tls_cert") else "tls_key"
        section.error(lonely, "expected both tls_cert and tls_key, or none")
    oldest, newest = _version(section, "tls_min_version"), _version(section, "tls_max_version")
    if oldest and newest and oldest > newest:
        section.error("tls_min_version", f"{oldest!r} is newer than tls_max_version, {newest!r}")
    options = TlsOptions(
        ca_file=section.text("tls_ca"),
        cert_file=section.text("tls_cert"),
        key_file=section.text("tls_key"),
        key_password=section.text("tls_key_pwd"),
        server_name=section.text("tls_server_name"),
        insecure_skip_verify=section.flag("insecure_skip_verify"),
        min_version=oldest,
        max_version=newest,
        cipher_suites=_cipher_suites(section),
    )
    return options._replace(looks=tuple(look_at(path) for path in tls_files(options)))


def warn_of_tls_keys(section: Section, why: str) -> None:
    """Every TLS key that is given has no effect."""
    for name in _TLS_KEYS:
        if section.values[name]:
            section.warn(name, why)


def _check_readable(section: Section, name: str) -> None:
    value = section.text(name)
    if value and PEM_MARK not in value and not os.access(value, os.R_OK):
        section.warn(name, "the file cannot be read now")


def _version(section: Section, name: str) -> str:
    version = section.text(name)
    if version and version not in VERSIONS:
        section.warn(name, f"{version!r} has no effect, as in the original; expected one of {', '.join(VERSIONS)}")
        return ""
    return version


def _cipher_suites(section: Section) -> tuple[str, ...]:
    suites = section.texts("tls_cipher_suites")
    for index, suite in enumerate(suites):
        if suite not in CIPHER_SUITES:
            near = nearest(suite, [*CIPHER_SUITES])
            hint = (
                f", did you mean {near!r}?" if near else "; expected Go's names, such as " + next(iter(CIPHER_SUITES))
            )
            section.error("tls_cipher_suites", f"{suite!r} is no cipher suite{hint}", index)
    return tuple(suite for suite in suites if suite in CIPHER_SUITES)
