"""URLs of targets and writers: checked, taken apart, and never shown with a password. Pure.

A password in a URL (`http://user:secret@host/`) is used as Basic auth, as Go's client does, and goes no further: it is
in no label, log line or error (the original writes it into `instance`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kpwatch.base.errors import ConfigError

KUBE_PROXY_METRICS_PORT = 10249
KUBE_PROXY_HEALTH_PORT = 10256

_USERINFO = re.compile(r"""(^|://|['"])[^/?#\s'"]*@""")
_PLACEHOLDER = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"]")


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL; `host` as written, with port and brackets."""

    scheme: str
    host: str
    path: str
    query: str
    fragment: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Url({self.label})"

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


def parse_url(text: str, *, default_path: str = "") -> Url:
    """Take a URL apart; raises ConfigError with the rule, without the URL's password."""
    shown = repr(redacted(text))
    if _FORBIDDEN.search(text):
        raise ConfigError(f"{shown}: a URL has no blanks, quotes or control characters; percent-encode them")
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port != 0
    except ValueError as error:
        raise ConfigError(f"{shown}: not a URL ({redacted(str(error))})") from None
    if parts.scheme not in ("http", "https") or not text.lower().startswith(f"{parts.scheme}://"):
        raise ConfigError(f"{shown}: expected a URL that begins with http:// or https://")
    if not parts.hostname or not port_is_fine:
        raise ConfigError(f"{shown}: expected a host and, if any, a port between 1 and 65535")
    host = parts.netloc.rpartition("@")[2].removesuffix(":")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Url(parts.scheme, host, parts.path or default_path, parts.query, parts.fragment, username, password)


def health_url(url: Url) -> str:
    """Base URL of the health port of the kube-proxy whose metrics these are, or "" where that cannot be known.

    Known only for `http(s)://HOST:10249/metrics`; the health port speaks plain HTTP whatever the metrics port speaks.
    """
    if url.port != str(KUBE_PROXY_METRICS_PORT) or url.path != "/metrics" or url.query:
        return ""
    host = url.host.removesuffix(f":{KUBE_PROXY_METRICS_PORT}")
    return f"http://{host}:{KUBE_PROXY_HEALTH_PORT}"


def render(template: str, url: Url) -> str:
    """A `url_label_value`: a Go template whose only actions are fields of the URL; raises ConfigError for others."""
    fields = {
        ".Scheme": url.scheme,
        ".Host": url.host,
        ".Hostname": url.hostname,
        ".Port": url.port,
        ".Path": unquote(url.path),
        ".Query": url.query,
        ".Fragment": url.fragment,
    }

    def fill(match: re.Match[str]) -> str:
        field = match[1]
        if re.fullmatch(r"\.\w+", field) is None:
            raise ConfigError(f"template {template!r}: expected only fields of the URL: {' '.join(fields)}")
        return fields.get(field, "<no value>")

    text = _PLACEHOLDER.sub(fill, template)
    if "{{" in _PLACEHOLDER.sub("", template):
        raise ConfigError(f"template {template!r}: {{{{ without }}}}")
    return text
