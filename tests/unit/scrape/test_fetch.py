"""What a target is asked, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, parse_url
from kpwatch.scrape.fetch import ScrapeError, answered_format, judge, scrape_request, unusable
from kpwatch.scrape.options import TargetOptions

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "http://127.0.0.1:10249/metrics"


def headers_of(options: TargetOptions) -> dict[str, str]:
    """The headers of a target's request, by lower-case name."""
    head = scrape_request(options, parse_url(options.url)).decode().removesuffix("\r\n\r\n")
    first, *lines = head.split("\r\n")
    assert first == f"GET {parse_url(options.url).target} HTTP/1.1"
    pairs = [line.partition(": ")[::2] for line in lines]
    assert len(dict(pairs)) == len(pairs)
    return {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize(
    ("url", "encoding"),
    [
        (LOCAL, None),
        ("http://localhost:10249/metrics", None),
        ("http://[::1]:10249/metrics", None),
        ("http://10.206.0.7:10249/metrics", "gzip"),
        ("https://node-a:10250/metrics", "gzip"),
    ],
)
def test_text_is_asked_for_and_gzip_where_it_pays(url: str, encoding: str | None) -> None:
    """Text 0.0.4 first; compression only from other machines."""
    headers = headers_of(TargetOptions(url))
    assert headers["accept"].startswith("text/plain;version=0.0.4")
    assert headers["user-agent"].startswith("kpwatch/")
    assert headers.get("accept-encoding") == encoding


CREDENTIALS = [
    # options, Authorization
    ({}, None),
    ({"username": "u", "password": "päss"}, "Basic dTpww6Rzcw=="),
    ({"username": "u"}, None),
    ({"password": "p"}, None),
    ({"bearer_token": "t"}, "Bearer t"),
    ({"bearer_token": "t", "username": "u", "password": "p"}, "Bearer t"),
    ({"bearer_token_file": "token", "bearer_token": "t"}, "Bearer from-file"),
    ({"bearer_token_file": "empty", "username": "u", "password": "p"}, "Basic dTpw"),
    ({"bearer_token": "t", "headers": (("authorization", "own"),)}, "own"),
]


@pytest.mark.parametrize(("options", "expected"), CREDENTIALS)
def test_credentials(tmp_path: Path, options: dict, expected: str | None) -> None:
    """The token's file is stronger than the token, a token than user and password, a header of one's own than all."""
    (tmp_path / "token").write_text(" from-file\n")
    (tmp_path / "empty").write_text("\n")
    filled = {key: str(tmp_path / value) if key == "bearer_token_file" else value for key, value in options.items()}
    assert headers_of(TargetOptions(LOCAL, **filled)).get("authorization") == expected


def test_headers_of_ones_own_replace_ours() -> None:
    """Whatever their case."""
    headers = headers_of(TargetOptions(LOCAL, headers=(("ACCEPT", "*/*"), ("X-Team", "net"))))
    assert (headers["accept"], headers["x-team"]) == ("*/*", "net")


def test_what_cannot_be_sent_is_an_error(tmp_path: Path) -> None:
    """A token of two lines would be another header; a file that is not there has no token."""
    (tmp_path / "token").write_text("two\nlines")
    with pytest.raises(ConfigError, match="line break"):
        headers_of(TargetOptions(LOCAL, bearer_token_file=str(tmp_path / "token")))
    with pytest.raises(OSError, match="No such file"):
        headers_of(TargetOptions(LOCAL, bearer_token_file=str(tmp_path / "none")))


JUDGED = [
    # outcome, body or reason
    (Answer(200, {}, b"m 1\n"), b"m 1\n"),
    (Answer(200, {"content-type": "text/plain; version=0.0.4"}, b"m 1\n"), b"m 1\n"),
    (Answer(200, {"content-type": "application/octet-stream"}, b"m 1\n"), b"m 1\n"),
    (Answer(200, {}, b""), b""),
    (Answer(200, {"content-type": "Text/HTML; charset=utf-8"}, b"m 1\n"), "not_metrics"),
    (Answer(200, {"content-type": "application/openmetrics-text; version=1.0.0"}, b"# EOF\n"), b"# EOF\n"),
    (Answer(200, {"content-type": "application/vnd.google.protobuf;encoding=delimited"}, b"\x0a"), "not_metrics"),
    (Answer(204, {}, b""), "http_204"),
    (Answer(302, {"location": "/"}, b""), "http_302"),
    (Answer(401, {}, b"m 1\n"), "http_401"),
    (Answer(503, {}, b"m 1\n"), "http_503"),
    (Failure("timeout", "no complete answer within 3 s"), "timeout"),
]


@pytest.mark.parametrize(("outcome", "expected"), JUDGED)
def test_judged(outcome: Answer | Failure, expected: bytes | str) -> None:
    """Only a 200 that is no HTML page has a body for us."""
    judged = judge(outcome)
    assert (judged.reason if isinstance(judged, ScrapeError) else judged) == expected


@pytest.mark.parametrize(
    ("samples", "limit", "reason"),
    [(0, 0, "not_metrics"), (1, 0, None), (5, 5, None), (6, 5, "sample_limit"), (0, 5, "not_metrics")],
)
def test_unusable(samples: int, limit: int, reason: str | None) -> None:
    """A body without a sample, or with too many, is no scrape; OpenMetrics may have none."""
    error = unusable(TargetOptions(LOCAL, sample_limit=limit), samples, 1000)
    assert (error and error.reason) == reason
    error = unusable(TargetOptions(LOCAL, sample_limit=limit), samples, 1000, "openmetrics")
    assert (error and error.reason) == (None if reason == "not_metrics" else reason)


FORMATS = [
    ("", "text"),
    ("text/plain; version=0.0.4; charset=utf-8", "text"),
    ("text/plain;version=1.0.0;escaping=allow-utf-8", "text"),
    ("application/octet-stream", "text"),
    ("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores", "openmetrics"),
    ("application/openmetrics-text;version=0.0.1", "openmetrics"),
    (" Application/OpenMetrics-Text", "openmetrics"),
    ("application/openmetrics-texts", "text"),
]


@pytest.mark.parametrize(("content_type", "expected"), FORMATS)
def test_format_by_content_type(content_type: str, expected: str) -> None:
    """OpenMetrics by its media type, of whatever version; everything else is text."""
    assert answered_format(Answer(200, {"content-type": content_type}, b"")) == expected
    assert answered_format(Answer(200, {}, b"")) == answered_format(Failure("cut", "")) == "text"


def test_secrets_stay_out_of_repr() -> None:
    """Neither in the URL nor beside it."""
    options = TargetOptions("http://u:secret@h/m?token=secret", password="secret", bearer_token="secret")
    assert "secret" not in repr(options)
