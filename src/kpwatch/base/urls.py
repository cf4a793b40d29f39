"""URLs as people write them: checked, taken apart, and never shown with a password. Pure.

`http.Url` is what a connection needs of a URL; this is what a label, a template or a configuration needs. A password in
a URL (`http://user:secret@host/`) is used as Basic auth, as Go's client does, and goes no further: it is in no label,
log line or error (Categraf writes it into `instance`). The parts are RFC 3986's.
"""

from __future__ import annotations

import re

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.base.resolve import is_address
from kpwatch.base.shown import shown_without

_PARTS = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[^]/?#]*\]|[^][:/?#]*)(?::(?P<port>[0-9]*))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"""(^|://|['"])[^/?#\s'"]*@""")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"]")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


class UrlParts(NamedTuple):
    """An http or https URL; `host` as written, with port and brackets."""

    scheme: str
    host: str
    path: str
    query: str
    fragment: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return shown_without(self, "username", "password")

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        return self.host.partition(":")[0]

    @property
    def port(self) -> str:
        """The port as written, or ""."""
        tail = self.host.rpartition("]")[2]
        return tail.partition(":")[2]

    @property
    def request(self) -> str:
        """What to ask for: without userinfo and fragment."""
        return f"{self.scheme}://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def label(self) -> str:
        """The value of `instance`: the whole URL, without userinfo."""
        return self.request + (f"#{self.fragment}" if self.fragment else "")


def redacted(text: str) -> str:
    """`text` with userinfo in URLs replaced by ***."""
    return _USERINFO.sub(r"\1***@", text)


def take_apart(text: str, *, default_path: str = "") -> UrlParts:
    """The parts of a URL; raises ConfigError with the rule, without the URL's password."""
    shown = repr(redacted(text))
    if _FORBIDDEN.search(text):
        raise ConfigError(f"{shown}: a URL has no blanks, quotes or control characters; percent-encode them")
    if not text.lower().startswith(("http://", "https://")):
        raise ConfigError(f"{shown}: expected a URL that begins with http:// or https://")
    parts = _PARTS.fullmatch(text)
    host, port = (parts["host"], parts["port"] or "") if parts else ("", "")
    if parts is None or host in ("", "[]") or (port and not 0 < int(port[:6]) < 65536):
        raise ConfigError(f"{shown}: expected a host and, if any, a port between 1 and 65535")
    if host.startswith("[") and not is_address(host[1:-1].partition("%")[0]):
        raise ConfigError(f"{shown}: expected an IPv6 address between the brackets")
    username, _, password = (parts["user"] or "").partition(":")
    return UrlParts(
        parts["scheme"].lower(),
        f"{host}:{port}" if port else host,
        parts["path"] or default_path,
        parts["query"] or "",
        parts["fragment"] or "",
        percent_decoded(username),
        percent_decoded(password),
    )


def percent_decoded(text: str) -> str:
    """`%41` and the like as the characters they stand for; bytes that are no UTF-8 become U+FFFD."""
    plain = _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return plain.decode(errors="replace")


def percent_encoded(text: str) -> str:
    """`text` as it may stand anywhere in a path or query."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
