"""URLs of targets and writers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.config.urls import health_url, parse_url, redacted, render

REQUESTS = [
    ("http://localhost:10249/metrics", "http://localhost:10249/metrics"),
    ("http://localhost:10249", "http://localhost:10249/metrics"),
    ("http://localhost:10249?a=1", "http://localhost:10249/metrics?a=1"),
    ("HTTPS://Node-A/x#part", "https://Node-A/x"),
    ("http://[::1]:10249/metrics", "http://[::1]:10249/metrics"),
    ("http://user:s3cret@node-a:1/x", "http://node-a:1/x"),
    ("http://node-a:/x", "http://node-a/x"),
]

BAD = [
    "",
    "localhost:10249/metrics",
    "10.0.0.1:10249/metrics",
    "ftp://node-a/x",
    "http:///metrics",
    "http://:10249/metrics",
    "http://node-a:0/x",
    "http://node-a:65536/x",
    "http://node-a:port/x",
    "http://node a/x",
    "http://node-a/x\r\nHost: evil",
    "http://[::1/x",
    "http://user:s3cret@:99999/",
    "http://user:s3cret@node a/",
]

HEALTH = [
    ("http://localhost:10249/metrics", "http://localhost:10256"),
    ("https://10.0.0.1:10249/metrics", "http://10.0.0.1:10256"),
    ("http://[::1]:10249/metrics", "http://[::1]:10256"),
    ("http://localhost:9100/metrics", ""),
    ("http://localhost:10249/other", ""),
    ("http://localhost:10249/metrics?x=1", ""),
]

TEMPLATES = [
    ("{{.Host}}", "Node-A:10249"),
    ("{{ .Hostname }}-{{.Port}}", "Node-A-10249"),
    ("{{.Scheme}}{{- .Path -}}", "https/m x"),
    ("{{.Query}}#{{.Fragment}}", "q=1#f"),
    ("{{.Nothing}}", "<no value>"),
    ("plain || =", "plain || ="),
]

BAD_TEMPLATES = ["{{.Host", "{{Host}}", "{{if .Host}}a{{end}}", "{{.Host | printf}}", "{{}}"]


@pytest.mark.parametrize(("text", "request_url"), REQUESTS)
def test_what_is_asked_for(text: str, request_url: str) -> None:
    """Without a path /metrics; user, password and fragment stay behind."""
    assert parse_url(text, default_path="/metrics").request == request_url


@pytest.mark.parametrize("text", BAD)
def test_bad_urls(text: str) -> None:
    """The error says what is expected and holds no password."""
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert "s3cret" not in str(caught.value)
    assert any(word in str(caught.value) for word in ("expected", "percent-encode", "not a URL"))


def test_user_and_password_are_decoded_and_not_shown() -> None:
    """They become Basic auth; the label and the repr are without them."""
    url = parse_url("http://me:s3%40cret@node-a:1/x#f")
    assert (url.username, url.password) == ("me", "s3@cret")
    assert url.label == "http://node-a:1/x#f"
    assert "s3" not in repr(url)


@pytest.mark.parametrize(("text", "base"), HEALTH)
def test_the_health_port_is_known_only_beside_10249(text: str, base: str) -> None:
    """Exactly http(s)://HOST:10249/metrics."""
    assert health_url(parse_url(text)) == base


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_templates(template: str, text: str) -> None:
    """Fields of the URL, as Go's text/template prints them."""
    assert render(template, parse_url("https://Node-A:10249/m%20x?q=1#f")) == text


@pytest.mark.parametrize("template", BAD_TEMPLATES)
def test_bad_templates(template: str) -> None:
    """What is not a field is an error that names the template."""
    with pytest.raises(ConfigError, match="template"):
        render(template, parse_url("http://node-a/"))


@given(st.text(alphabet="htp:/@[]?#a1.%\\ \"'", max_size=20), st.sampled_from(["", "http://", "https://"]))
def test_any_text_is_a_url_or_an_error(text: str, start: str) -> None:
    """No other exception leaves; a good URL has a host."""
    try:
        url = parse_url(start + text)
    except ConfigError:
        return
    assert url.hostname
    assert "@" not in url.host


def test_redaction() -> None:
    """In any text, as often as it comes."""
    assert redacted("['http://a:b@c/', 'https://d@e/']") == "['http://***@c/', 'https://***@e/']"
    assert redacted("http://c/a@b") == "http://c/a@b"
