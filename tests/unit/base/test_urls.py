"""URLs of targets and writers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import percent_decoded, percent_encoded, redacted, take_apart

REQUESTS = [
    ("http://localhost:10249/metrics", "http://localhost:10249/metrics"),
    ("http://localhost:10249", "http://localhost:10249/metrics"),
    ("http://localhost:10249?a=1", "http://localhost:10249/metrics?a=1"),
    ("HTTPS://Node-A/x#part", "https://Node-A/x"),
    ("http://[::1]:10249/metrics", "http://[::1]:10249/metrics"),
    ("http://[fe80::1%25eth0]/x", "http://[fe80::1%25eth0]/x"),
    ("http://a@b@node-a/x@y?z@1", "http://node-a/x@y?z@1"),
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
    "http://[::g]/x",
    "http://[]/x",
    "http://node-a]/x",
    "http://node-a:1:2/x",
    "http://user:s3cret@:99999/",
    "http://user:s3cret@node a/",
]


@pytest.mark.parametrize(("text", "request_url"), REQUESTS)
def test_what_is_asked_for(text: str, request_url: str) -> None:
    """Without a path /metrics; user, password and fragment stay behind."""
    assert take_apart(text, default_path="/metrics").request == request_url


@pytest.mark.parametrize("text", BAD)
def test_bad_urls(text: str) -> None:
    """The error says what is expected and holds no password."""
    with pytest.raises(ConfigError) as caught:
        take_apart(text)
    assert "s3cret" not in str(caught.value)
    assert any(word in str(caught.value) for word in ("expected", "percent-encode"))


def test_user_and_password_are_decoded_and_not_shown() -> None:
    """They become Basic auth; the label and the repr are without them."""
    url = take_apart("http://me:s3%40cret@node-a:1/x#f")
    assert (url.username, url.password) == ("me", "s3@cret")
    assert url.label == "http://node-a:1/x#f"
    assert "s3" not in repr(url)


@given(st.text(alphabet="htp:/@[]?#a1.%\\ \"'", max_size=20), st.sampled_from(["", "http://", "https://"]))
def test_any_text_is_a_url_or_an_error(text: str, start: str) -> None:
    """No other exception leaves; a good URL has a host."""
    try:
        url = take_apart(start + text)
    except ConfigError:
        return
    assert url.hostname
    assert "@" not in url.host


def test_redaction() -> None:
    """In any text, as often as it comes."""
    assert redacted("['http://a:b@c/', 'https://d@e/']") == "['http://***@c/', 'https://***@e/']"
    assert redacted("http://c/a@b") == "http://c/a@b"


@given(st.text())
def test_percents(text: str) -> None:
    """What was encoded is decoded; nothing but harmless ASCII stands in it."""
    encoded = percent_encoded(text)
    assert percent_decoded(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set("/?#&= ")


def test_broken_percents() -> None:
    """What is no encoding stays, what is no UTF-8 is replaced."""
    assert percent_decoded("%4x%ff%41") == "%4x\ufffdA"
