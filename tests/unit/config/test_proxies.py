"""The proxy of a writer: its key, else the environment, by Go's rules."""

from __future__ import annotations

import pytest

from kpwatch.base.urls import take_apart
from kpwatch.config.proxies import proxy_url

HTTP, HTTPS = "http://n9e.example/write", "https://n9e.example:8443/write"
PROXY = {"HTTP_PROXY": "http://p:1"}

CASES = [
    # the URL, the environment, the proxy
    (HTTP, {}, ""),
    (HTTP, PROXY, "http://p:1"),
    (HTTP, {"http_proxy": "http://q:2"}, "http://q:2"),
    (HTTP, {"http_proxy": "http://q:2", **PROXY}, "http://p:1"),
    (HTTP, {"HTTP_PROXY": "p:1"}, "http://p:1"),
    (HTTP, {"HTTPS_PROXY": "http://p:1"}, ""),
    (HTTPS, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
    (HTTPS, PROXY, ""),
    ("http://localhost:1/w", PROXY, ""),
    ("http://127.0.3.4:1/w", PROXY, ""),
    ("http://[::1]:1/w", PROXY, ""),
    ("http://10.1.2.3/w", PROXY, "http://p:1"),
    (HTTP, {**PROXY, "NO_PROXY": "*"}, ""),
    (HTTP, {**PROXY, "NO_PROXY": "a, N9E.example"}, ""),
    (HTTP, {**PROXY, "no_proxy": "example"}, ""),
    (HTTP, {**PROXY, "NO_PROXY": ".example"}, ""),
    (HTTP, {**PROXY, "NO_PROXY": "*.example"}, ""),
    (HTTP, {**PROXY, "NO_PROXY": ".n9e.example"}, "http://p:1"),
    (HTTP, {**PROXY, "NO_PROXY": "ample"}, "http://p:1"),
    (HTTP, {**PROXY, "NO_PROXY": "n9e.example:80"}, ""),
    (HTTP, {**PROXY, "NO_PROXY": "n9e.example:81"}, "http://p:1"),
    ("http://10.1.2.3/w", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, ""),
    ("http://10.1.2.3/w", {**PROXY, "NO_PROXY": "11.0.0.0/8,10.1.2.0/nonsense"}, "http://p:1"),
    ("http://10.1.2.3/w", {**PROXY, "NO_PROXY": "10.1.2.3"}, ""),
    ("http://[fd00::1]/w", {**PROXY, "NO_PROXY": "fd00::/16"}, ""),
    (HTTP, {"HTTP_PROXY": "socks5://p:1"}, ""),
]


class Section:
    """A table of a configuration with one key."""

    def __init__(self, http_proxy: str = "") -> None:
        self.http_proxy = http_proxy
        self.said: list[str] = []

    def text(self, _name: str) -> str:
        """The key's value."""
        return self.http_proxy

    def warn(self, name: str, what: str) -> None:
        """Keep it."""
        self.said.append(f"{name}: {what}")

    error = warn


@pytest.mark.parametrize(("url", "environment", "proxy"), CASES)
def test_by_the_environment(url: str, environment: dict[str, str], proxy: str) -> None:
    """Scheme, case, loopback, NO_PROXY."""
    assert proxy_url(Section(), take_apart(url), lambda name: environment.get(name, "")) == proxy


def test_what_cannot_be_used_is_said() -> None:
    """A proxy of another kind in the environment is a warning, in the key an error; no password is shown."""
    section, environment = Section(), {"HTTP_PROXY": "socks5://u:pw@p:1"}
    assert proxy_url(section, take_apart(HTTP), lambda name: environment.get(name, "")) == ""
    given = Section("https://u:pw@p:1")
    assert proxy_url(given, take_apart(HTTP), lambda _: "http://unused:1") == ""
    assert ["HTTP_PROXY is not used" in line for line in section.said] == [True]
    assert ["expected http://HOST:PORT" in line for line in given.said] == [True]
    assert "pw" not in str(section.said + given.said)


def test_the_key_goes_before_the_environment() -> None:
    """Whatever NO_PROXY says."""
    environment = {**PROXY, "NO_PROXY": "*"}
    assert proxy_url(Section("http://k:3"), take_apart(HTTP), lambda name: environment.get(name, "")) == "http://k:3"
