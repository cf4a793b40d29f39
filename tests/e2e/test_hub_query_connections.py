"""Queries as bytes on a connection: an ordinary one takes a short way, and nobody can tell which way it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from kpwatch.api.forms import FORM_LIMIT_BYTES
from tests.e2e.hub_scene import HubProcess
from tests.e2e.test_hub_connections import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Way = Callable[..., bytes]

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
SUM = {"query": "1 + 1", "time": "4"}
RANGE = {"query": "time()", "start": "0", "end": "2", "step": "1"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("data")) as running:
        yield running


def get(path: str, form: dict[str, str], more: bytes = b"") -> bytes:
    """A whole request."""
    return f"GET {path}?{urlencode(form)} HTTP/1.1\r\nHost: x\r\n".encode() + more + b"\r\n"


def post(path: str, form: dict[str, str], more: bytes = b"") -> bytes:
    """The same as a form."""
    body = urlencode(form).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode()
    return head + FORM + more + b"\r\n" + body


def chunked(path: str, form: dict[str, str], more: bytes = b"") -> bytes:
    """The same in one chunk, which goes the long way."""
    body = urlencode(form).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n".encode()
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + FORM + more + b"\r\n" + chunk + b"0\r\n\r\n"


def encoded_path(path: str, form: dict[str, str], more: bytes = b"") -> bytes:
    """A GET that nobody writes so, which goes the long way too."""
    return get(path.replace("query", "%71uery"), form, more)


WAYS = [get, post, chunked, encoded_path]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "form", "status", "expected"),
    [
        ("/api/v1/query", SUM, 200, [4, "2"]),
        ("/prometheus/api/v1/query", SUM, 200, [4, "2"]),
        ("/api/v1/query_range", RANGE, 200, [{"metric": {}, "values": [[0, "0"], [1, "1"], [2, "2"]]}]),
        ("/api/v1/query", {"query": "sum("}, 400, "bad_data"),
        ("/api/v1/query", {}, 400, "bad_data"),
        ("/api/v1/query", {**SUM, "time": "noon"}, 400, "bad_data"),
        ("/api/v1/query", {**SUM, "timeout": "-1s"}, 400, "bad_data"),
        ("/api/v1/query_range", SUM, 400, "bad_data"),
    ],
)
def test_a_connection_serves_again_after_every_answer(
    way: Way, path: str, form: dict[str, str], status: int, expected: object, hub: HubProcess
) -> None:
    """What is said does not depend on how it was asked."""
    with wire(hub) as one:
        one.send(way(path, form))
        code, headers, body = one.answer()
        one.send(way("/api/v1/query", SUM))
        again = one.answer()
    said = json.loads(body)
    assert (code, said["data"]["result"] if code == 200 else said["errorType"]) == (status, expected)
    assert headers[b"content-type"] == b"application/json"
    assert again[0] == 200


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_pipelined_queries_are_answered_in_their_order(first: Way, second: Way, hub: HubProcess) -> None:
    """Sent at once, whatever comes after what."""
    queries = {str(number): way for number, way in enumerate([first, second, second, first])}
    with wire(hub) as one:
        one.send(b"".join(way("/api/v1/query", {"query": text, "time": "4"}) for text, way in queries.items()))
        answers = [json.loads(one.answer()[2]) for _ in queries]
    assert [answer["data"]["result"][1] for answer in answers] == list(queries)


@pytest.mark.parametrize("way", WAYS)
def test_headers_count_on_every_way(way: Way, hub: HubProcess) -> None:
    """A page of another origin may read it, a large one comes compressed, and who wants no more says so."""
    with wire(hub) as one:
        one.send(way("/api/v1/query_range", {**RANGE, "end": "2000"}, b"Origin: http://x\r\nAccept-Encoding: gzip\r\n"))
        _, headers, _ = one.answer()
        assert headers[b"access-control-allow-origin"] == b"*"
        assert headers[b"content-encoding"] == b"gzip"
        one.send(way("/api/v1/query", SUM, b"Connection: close\r\n"))
        assert one.answer()[0] == 200
        assert one.is_closed()


def test_a_head_has_the_headers_of_a_get(hub: HubProcess) -> None:
    """And no body."""
    with wire(hub) as one:
        one.send(get("/api/v1/query", SUM).replace(b"GET", b"HEAD"))
        one.send(get("/-/ready", {}))
        status, headers, rest = one.answer()
    assert status == 200
    assert int(headers[b"content-length"]) > 0
    assert rest.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("way", [post, chunked])
def test_a_form_has_an_end(way: Way, hub: HubProcess) -> None:
    """One byte more than the limit is refused with the rule."""
    too_long = "1" * (FORM_LIMIT_BYTES + 1 - len("query="))
    with wire(hub) as one:
        one.send(way("/api/v1/query", {"query": too_long}))
        status, _, body = one.answer()
    assert status == 413
    assert str(FORM_LIMIT_BYTES) in json.loads(body)["error"]
