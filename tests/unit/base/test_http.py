"""HTTP/1.1 in bytes: URLs, requests, and answers read the same however they are cut into pieces."""

from __future__ import annotations

import gzip

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import (
    HEAD_LIMIT_BYTES,
    REASONS,
    Answer,
    Exchange,
    Failure,
    Url,
    excerpt,
    format_request,
    gunzip,
    parse_url,
    redact_url,
)

URLS = [
    # text, (scheme, host, port, target), Host header
    ("http://h/m", ("http", "h", 80, "/m"), "h"),
    ("http://h", ("http", "h", 80, "/"), "h"),
    ("HTTP://h:80/", ("http", "h", 80, "/"), "h"),
    ("http://h:443/", ("http", "h", 443, "/"), "h:443"),
    ("https://h/", ("https", "h", 443, "/"), "h"),
    ("https://h:443/x", ("https", "h", 443, "/x"), "h"),
    ("https://h:80/x", ("https", "h", 80, "/x"), "h:80"),
    ("http://127.0.0.1:10249/metrics", ("http", "127.0.0.1", 10249, "/metrics"), "127.0.0.1:10249"),
    ("http://[::1]:10249/metrics", ("http", "::1", 10249, "/metrics"), "[::1]:10249"),
    ("http://[::1]/", ("http", "::1", 80, "/"), "[::1]"),
    ("http://h:/m", ("http", "h", 80, "/m"), "h"),
    ("http://h?a=b", ("http", "h", 80, "/?a=b"), "h"),
    ("http://h/m?a=b/c#d?e", ("http", "h", 80, "/m?a=b/c"), "h"),
    ("http://h#x", ("http", "h", 80, "/"), "h"),
    ("http://u:p@h:1/m", ("http", "h", 1, "/m"), "h:1"),
    ("http://u:p@ss@h/m@n", ("http", "h", 80, "/m@n"), "h"),
    ("http://h/a b\tc", ("http", "h", 80, "/a%20b%09c"), "h"),
    ("http://h/指?标=%20", ("http", "h", 80, "/%E6%8C%87?%E6%A0%87=%20"), "h"),
]

BAD_URLS = [
    # text, words of the error
    ("", "expected http://"),
    ("h:80/m", "expected http://"),
    ("127.0.0.1:10249/metrics", "'127.0.0.1:10249/metrics': expected http://"),
    ("ftp://h/", "expected http://"),
    ("http:/h/", "expected http://"),
    ("http://", "names no host"),
    ("http:///m", "names no host"),
    ("http://:80/m", "names no host"),
    ("http://::1:80/m", "names no host"),
    ("http://[]/m", "names no host"),
    ("http://[::1/m", "bracket"),
    ("http://[::1]x/m", "port 'x'"),
    ("http://h:x/", "port 'x'"),
    ("http://h:0/", "port '0'"),
    ("http://h:65536/", "port '65536'"),
    ("http://h:-1/", "port '-1'"),
    ("http://h:١/", "port '١'"),
    ("http://h:1:2/", "port '1:2'"),
]

REDACTED = [
    ("http://h/m", "http://h/m"),
    ("http://u:secret@h:1/m?token=secret#secret", "http://h:1/m"),
    ("http://h?token=secret", "http://h"),
    ("secret", "(not a URL)"),
]


@pytest.mark.parametrize(("text", "parts", "host"), URLS)
def test_url(text: str, parts: tuple[str, str, int, str], host: str) -> None:
    """A URL taken apart as a request needs it."""
    url = parse_url(text)
    assert url == Url(*parts)
    assert url.authority == host


@pytest.mark.parametrize(("text", "words"), BAD_URLS)
def test_bad_url(text: str, words: str) -> None:
    """What is wrong with it is named."""
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        parse_url(text)


@pytest.mark.parametrize(
    "text", ["http://u:secret@:1/", "http://u:secret@h:x/?secret", "ftp://u:secret@h/", "u:secret@h/m", "h?secret"]
)
def test_an_error_keeps_secrets(text: str) -> None:
    """What is said about a URL leaves out its user, password and query."""
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("text", "shown"), REDACTED)
def test_redacted(text: str, shown: str) -> None:
    """A URL as it may be logged."""
    assert redact_url(text) == shown


URL = parse_url("http://h:1/m?x=y")

REQUESTS = [
    # method, headers, body, bytes
    ("GET", {}, b"", b"GET /m?x=y HTTP/1.1\r\nHost: h:1\r\n\r\n"),
    ("GET", {"A": "b"}, b"", b"GET /m?x=y HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n"),
    ("POST", {}, b"", b"POST /m?x=y HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"),
    ("POST", {}, b"\r\n", b"POST /m?x=y HTTP/1.1\r\nHost: h:1\r\nContent-Length: 2\r\n\r\n\r\n"),
    ("GET", {"host": "other"}, b"", b"GET /m?x=y HTTP/1.1\r\nhost: other\r\n\r\n"),
    ("GET", {"A": "1", "a": "2"}, b"", b"GET /m?x=y HTTP/1.1\r\nHost: h:1\r\na: 2\r\n\r\n"),
    ("POST", {"content-length": "99"}, b"x", b"POST /m?x=y HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\nx"),
    ("GET", {"A": "é"}, b"", b"GET /m?x=y HTTP/1.1\r\nHost: h:1\r\nA: \xc3\xa9\r\n\r\n"),
]


@pytest.mark.parametrize(("method", "headers", "body", "expected"), REQUESTS)
def test_request(method: str, headers: dict[str, str], body: bytes, expected: bytes) -> None:
    """Host and length are ours to add, each header goes out once."""
    assert format_request(method, URL, headers, body) == expected


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "b\r"}])
def test_no_line_break_is_smuggled(headers: dict[str, str]) -> None:
    """A value with a line break would be another header."""
    with pytest.raises(ConfigError, match="line break"):
        format_request("GET", URL, headers)


LIMIT_BYTES = 1000
ZIPPED = gzip.compress(b"m 1\n")
BOMB = gzip.compress(bytes(10_000_000))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def with_length(body: bytes, *headers: bytes) -> bytes:
    """A 200 with a length."""
    lines = [b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def zipped(body: bytes) -> bytes:
    """A 200 with a body said to be gzip."""
    return with_length(body, b"Content-Encoding: gzip")


FULL, OVERFULL = bytes(LIMIT_BYTES), bytes(LIMIT_BYTES + 1)
HEAD = b"HTTP/1.1 200 OK\r\n"
SECOND = b"HTTP/1.1 500 No\r\nX: y\r\nContent-Length: 3\r\n\r\nbad"
CHUNK = b"200\r\n" + bytes(512) + b"\r\n"
HEADERS_TOO_LARGE = f"headers exceed {HEAD_LIMIT_BYTES}"

ANSWERS = [
    # what, bytes, status and body, may the connection be kept
    ("a length", with_length(b"m 1\n"), (200, b"m 1\n"), True),
    ("no body", with_length(b""), (200, b""), True),
    ("close", with_length(b"x", b"Connection: close"), (200, b"x"), False),
    ("chunks", CHUNKED + b"1\r\nm\r\n3;ext=1\r\n 1\n\r\n0\r\nTrailer: x\r\n\r\n", (200, b"m 1\n"), True),
    ("204", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), True),
    ("304", b"HTTP/1.1 304 Not Modified\r\n\r\n", (304, b""), True),
    ("no reason", b"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx", (500, b"x"), True),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", (200, b"x"), False),
    ("1.0 kept", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", (200, b"x"), True),
    ("100", b"HTTP/1.1 100 Continue\r\n\r\n" + with_length(b"x"), (200, b"x"), True),
    ("103 twice", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2 + with_length(b"x"), (200, b"x"), True),
    ("gzip", zipped(ZIPPED), (200, b"m 1\n"), True),
    ("gzip with blanks", with_length(ZIPPED, b"Content-Encoding:  GZIP "), (200, b"m 1\n"), True),
    ("gzip of two members", zipped(ZIPPED * 2), (200, b"m 1\nm 1\n"), True),
    ("gzip without a body", zipped(b""), (200, b""), True),
    ("as much as allowed", with_length(FULL), (200, FULL), True),
    ("as much as allowed, zipped", zipped(gzip.compress(FULL)), (200, FULL), True),
    # whatever stands behind an answer is nobody's
    ("a second answer", with_length(b"ok") + SECOND, (200, b"ok"), False),
    ("garbage behind", with_length(b"ok") + b"garbage", (200, b"ok"), False),
    ("garbage behind close", with_length(b"ok", b"Connection: close") + b"garbage", (200, b"ok"), False),
    ("a body behind a 204", b"HTTP/1.1 204 No Content\r\n\r\nbody", (204, b""), False),
]

FAILURES = [
    # what, bytes, reason, words
    ("garbage", b"garbage", "bad_http", "not HTTP/1.1"),
    ("TLS", b"\x15\x03\x01\x00\x02\x02\x16", "bad_http", "not HTTP/1.1"),
    ("HTTP/2", b"HTTP/2 200\r\n\r\n", "bad_http", "not HTTP/1.1"),
    ("a bare page", b"<html>", "bad_http", "not HTTP/1.1"),
    ("101", b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "bad_http", "not HTTP/1.1"),
    ("two lengths", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad_http", "Content-Length"),
    ("a length and chunks", CHUNKED[:-2] + b"Content-Length: 1\r\n\r\n", "bad_http", "Content-Length"),
    ("a chunk of no size", CHUNKED + b"x\r\n", "bad_http", "chunk size"),
    ("over the limit", with_length(OVERFULL), "too_large", "body exceeds 1000 bytes"),
    ("chunks over the limit", CHUNKED + CHUNK * 2, "too_large", "body exceeds 1000 bytes"),
    ("no end of headers", HEAD + b"A: b\r\n" * 20_000, "too_large", HEADERS_TOO_LARGE),
    ("no end of a header", HEAD + b"A: " + b"b" * 100_000, "too_large", HEADERS_TOO_LARGE),
    ("gzip over the limit", zipped(gzip.compress(OVERFULL)), "too_large", "decompressed body exceeds 1000 bytes"),
    ("gzip that is none", zipped(b"m 1\n"), "bad_http", "not the gzip it claims"),
    ("gzip that ends early", zipped(ZIPPED[:-3]), "cut", "gzip body ends early"),
]


def exchange() -> Exchange:
    """A request of no interest."""
    return Exchange(b"", LIMIT_BYTES, lambda _: None)


def fed(data: bytes, piece_bytes: int) -> Exchange:
    """An exchange that got `data` in pieces, as far as it wanted any."""
    under_way = exchange()
    for begin in range(0, len(data), piece_bytes):
        assert not under_way.over or begin > 0
        if under_way.over:
            break
        under_way.feed(memoryview(data)[begin : begin + piece_bytes])
    return under_way


@pytest.mark.parametrize(("what", "data", "expected", "keep"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answer(what: str, data: bytes, expected: tuple[int, bytes], keep: bool) -> None:
    """An answer read at once: what it says, and whether the connection is good for another request."""
    under_way = fed(data, len(data))
    outcome = under_way.outcome()
    assert under_way.over, what
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body) == expected
    assert under_way.keep_alive is keep


@pytest.mark.parametrize(("what", "data", "expected", "keep"), ANSWERS, ids=[row[0] for row in ANSWERS])
@pytest.mark.parametrize("piece_bytes", [1, 7])
def test_answer_in_pieces(what: str, data: bytes, expected: tuple[int, bytes], keep: bool, piece_bytes: int) -> None:
    """The same answer however it arrives; what comes after it may not have been seen then."""
    del keep
    outcome = fed(data, piece_bytes).outcome()
    assert isinstance(outcome, Answer), what
    assert (outcome.status, outcome.body) == expected


@pytest.mark.parametrize(("what", "data", "reason", "words"), FAILURES, ids=[row[0] for row in FAILURES])
@pytest.mark.parametrize("piece_bytes", [7, 1 << 20])
def test_failure(what: str, data: bytes, reason: str, words: str, piece_bytes: int) -> None:
    """What is no answer is a failure with a reason from the closed list, and the connection is done."""
    under_way = fed(data, piece_bytes)
    assert under_way.over, what
    outcome = under_way.outcome()
    assert isinstance(outcome, Failure)
    assert outcome.reason == reason
    assert outcome.reason in REASONS
    assert words in outcome.detail


ENDS = [
    # bytes before the connection ends -> is that the answer's end?
    (b"", False),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n", False),
    (b"HTTP/1.1 200 OK\r\n\r\nbody", True),
    (b"HTTP/1.0 200 OK\r\n\r\n", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", False),
    (CHUNKED + b"4\r\nbody\r\n", False),
    (b"HTTP/1.1 100 Continue\r\n\r\n", False),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", False),
]


@pytest.mark.parametrize(("data", "expected"), ENDS)
def test_end_of_connection(data: bytes, expected: bool) -> None:
    """Only a body without a length ends with its connection."""
    under_way = exchange()
    if data:
        under_way.feed(memoryview(data))
    assert not under_way.over
    assert under_way.ends_with_connection() is expected


def test_a_header_list_by_lower_case_name() -> None:
    """Names in lower case, values without the blanks around them; of two of a name the last."""
    outcome = fed(with_length(b"", b"Retry-After:  5 ", b"X: 1", b"x: 2"), 1 << 20).outcome()
    assert isinstance(outcome, Answer)
    assert outcome.headers == {"retry-after": "5", "x": "2", "content-length": "0"}


def test_a_gzip_bomb_is_not_opened() -> None:
    """Ten megabytes from ten kilobytes stop at the limit."""
    outcome = gunzip(BOMB, LIMIT_BYTES)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "too_large"


def test_two_members_share_the_limit() -> None:
    """The limit is for the whole body."""
    assert gunzip(gzip.compress(bytes(500)) * 2, 1000) == bytes(1000)
    assert isinstance(gunzip(gzip.compress(bytes(501)) * 2, 1000), Failure)


EXCERPTS = [
    (b"", ""),
    (b" no\n\tmore  of it ", "no more of it"),
    (b"x" * 300, ""),
    (b"no: " + b"x" * 300, "no:"),
    (b"a " * 200, ("a " * 100).rstrip()),
    (b'{"why":"' + b"y" * 190 + b'","sent":"' + b"s" * 20 + b'"}', '{"why":"' + "y" * 190 + '",'),
    ("é".encode() * 100, "é" * 100),
]


@pytest.mark.parametrize(("body", "words"), EXCERPTS)
def test_excerpts(body: bytes, words: str) -> None:
    """One line, at most 200 characters, never half a token."""
    assert excerpt(body) == words
