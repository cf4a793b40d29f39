"""A head that comes again is recognised in nothing but requests the parser would have read the same."""

from __future__ import annotations

import pytest

from kpwatch.api.repeated import RepeatedHead
from kpwatch.base.asgi import Head

FIRST = b"POST /w HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"
HEAD = Head("POST", "/w", b"", {b"host": b"x", b"content-length": b"3", b"x": b"y"})


@pytest.mark.parametrize(
    "request_",
    [FIRST, FIRST.replace(b"3", b"0003"), FIRST.replace(b"3", b"14") + b"defghijklmn", FIRST[:-3].replace(b"3", b"0")],
)
def test_known(request_: bytes) -> None:
    """Another length and another body; the headers are this request's."""
    known = RepeatedHead.of(FIRST, HEAD)
    assert known is not None
    found = known.split(request_)
    assert found is not None
    head, body = found
    raw, _, expected = request_.partition(b"\r\n\r\n")
    length = raw.partition(b"Length: ")[2].partition(b"\r\n")[0]
    assert (head.method, head.path, head.query) == ("POST", "/w", b"")
    assert (head.headers, body) == ({**HEAD.headers, b"content-length": length}, expected)


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        FIRST[:-1],
        FIRST + b"d",
        FIRST + FIRST,
        b"\r\n" + FIRST,
        FIRST.replace(b"POST", b"PUT"),
        FIRST.replace(b"y", b"z"),
        FIRST.replace(b": 3", b": +3"),
        FIRST.replace(b": 3", b": 3 "),
        FIRST.replace(b": 3", b": "),
        FIRST.replace(b": 3", b": 0x3"),
        FIRST.replace(b": 3", b": 0000000003"),
        FIRST.replace(b": 3", b": \xb3"),
        FIRST.replace(b"X: y\r\n", b"X: y\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_left_to_the_parser(request_: bytes) -> None:
    """More, less or other bytes."""
    known = RepeatedHead.of(FIRST, HEAD)
    assert known is not None
    assert known.split(request_) is None


@pytest.mark.parametrize(
    "request_",
    [
        FIRST[:-1],
        FIRST + FIRST,
        FIRST.replace(b"Content-Length: 3\r\n", b""),
        FIRST.replace(b"X: y", b"content-length: 3"),
        FIRST.replace(b"X: y", b"X: content-length: 4"),
        FIRST.replace(b"X: y", b"X: " + b"y" * 4096),
    ],
)
def test_not_learned(request_: bytes) -> None:
    """What is not one whole request with one length, or has a long head."""
    assert RepeatedHead.of(request_, HEAD) is None


def test_a_question_without_a_body_is_not_learned() -> None:
    """There is nothing in it that could be another."""
    assert (
        RepeatedHead.of(b"GET /q?a=1 HTTP/1.1\r\nHost: x\r\n\r\n", Head("GET", "/q", b"a=1", {b"host": b"x"})) is None
    )
