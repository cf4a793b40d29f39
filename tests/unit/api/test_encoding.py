"""Which coding an answer has, and when it need not be sent again."""

from __future__ import annotations

import gzip

import cramjam
import pytest

from kpwatch.api.encoding import WORTH_IT_BYTES, accepted_coding, encoded, unless_known
from kpwatch.base.asgi import Answer, Request

BODY = b"0123456789" * 1000


def request(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"method": "GET", "path": "/", "query_string": b"", "headers": pairs}, None)


@pytest.mark.parametrize(
    ("offered", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.9", "gzip"),
        ("GZIP", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("gzip; q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("gzip;q=nonsense", ""),
        ("br", ""),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("zstd;q=0, *", "gzip"),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.2, gzip;q=0.5", "gzip"),
    ],
)
def test_negotiation(offered: str, coding: str) -> None:
    """The heaviest that is known; of equals, zstd."""
    assert accepted_coding(request(accept_encoding=offered)) == coding


def test_codings_hold_the_same_bytes() -> None:
    """Smaller, named, and told to caches."""
    answer = Answer(200, BODY)
    for coding, read in (("gzip", gzip.decompress), ("zstd", lambda body: bytes(cramjam.zstd.decompress(body)))):
        sent = encoded(answer, coding)
        assert read(sent.body) == BODY
        assert len(sent.body) * 10 < len(BODY)
        assert dict(sent.headers) == {"content-encoding": coding, "vary": "accept-encoding"}
    assert encoded(answer, "") is answer
    small = Answer(200, b"x" * (WORTH_IT_BYTES - 1))
    assert encoded(small, "gzip") is small


def test_who_has_the_document_is_told_so() -> None:
    """By its ETag, weak or strong, one of several, or `*`."""
    tag = dict(unless_known(request(), Answer(200, BODY)).headers)["etag"]
    for said in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        answer = unless_known(request(if_none_match=said), Answer(200, BODY))
        assert (answer.status, answer.body, dict(answer.headers)["etag"]) == (304, b"", tag)
    for said in ("", '"other"', "W/"):
        assert unless_known(request(if_none_match=said), Answer(200, BODY)).status == 200
