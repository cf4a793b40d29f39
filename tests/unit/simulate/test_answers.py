"""The two ports answer as a kube-proxy's do, for every version in its form."""

from __future__ import annotations

import gzip

import pytest

from kpwatch.base.errors import BadInput
from kpwatch.simulate.answers import (
    Answer,
    Request,
    answer_health_port,
    answer_metrics_port,
    frame,
    parse_request,
)
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.node import NodeSpec, SimulatedNode

NOW = 1_795_003_600.25
OLD = SimulatedNode(NodeSpec("n", "1.20.2-iptables-churn", NOW - 3600))
NEW = SimulatedNode(NodeSpec("n", "1.36.3-nftables-churn", NOW - 3600))


def get(path: str, **headers: str) -> Request:
    return Request("GET", path, "HTTP/1.1", {name.replace("_", "-"): value for name, value in headers.items()})


METRICS_PORT = (
    # path, status, content type, how the body begins
    ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", b"# HELP "),
    ("/healthz", 200, "text/plain; charset=utf-8", b"ok"),
    ("/proxyMode", 200, "text/plain; charset=utf-8", b"nftables"),
    ("/livez", 404, "text/plain; charset=utf-8", b"404 page not found\n"),
    ("/", 404, "text/plain; charset=utf-8", b"404 page not found\n"),
)


@pytest.mark.parametrize(("path", "status", "content_type", "begin"), METRICS_PORT)
def test_the_metrics_port(path: str, status: int, content_type: str, begin: bytes):
    answer = answer_metrics_port(NEW, get(path), NOW)
    assert (answer.status, answer.content_type) == (status, content_type)
    assert answer.body.startswith(begin)


HEALTH_PORT = (
    # node, path, status, how the body begins
    (NEW, "/healthz", 200, b'{"lastUpdated":"2026-'),
    (NEW, "/livez", 200, b'{"lastUpdated":"2026-'),
    (NEW, "/metrics", 404, b"404 page not found\n"),
    (OLD, "/healthz", 200, b'{"lastUpdated": "2026-'),
    (OLD, "/livez", 404, b"404 page not found\n"),
)


@pytest.mark.parametrize(("node", "path", "status", "begin"), HEALTH_PORT)
def test_the_health_port(node: SimulatedNode, path: str, status: int, begin: bytes):
    answer = answer_health_port(node, get(path), NOW)
    assert answer.status == status
    assert answer.body.startswith(begin)


def test_old_versions_name_no_escaping_and_no_start():
    answer = answer_metrics_port(OLD, get("/metrics"), NOW)
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers == ()


def test_newer_ones_say_when_the_process_started():
    assert ("Process-Start-Time-Unix", "1795000000") in answer_metrics_port(NEW, get("/metrics"), NOW).headers


def test_another_component_has_no_proxy_mode():
    spec = NodeSpec("n", "1.36.3-nftables-churn", NOW - 3600, faults=(Fault("not-kube-proxy"),))
    other = SimulatedNode(spec)
    assert answer_metrics_port(other, get("/proxyMode"), NOW).status == 404
    answer = answer_metrics_port(other, get("/metrics"), NOW)
    assert b"kubeproxy_" not in answer.body
    assert answer.headers == ()


def test_metrics_are_compressed_when_asked():
    plain = answer_metrics_port(NEW, get("/metrics"), NOW)
    packed = answer_metrics_port(NEW, get("/metrics", accept_encoding="gzip, deflate"), NOW)
    assert ("Content-Encoding", "gzip") in packed.headers
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 5


ANSWER = Answer(200, "text/plain", b"x" * 40_000, (), chunked=True)


def test_a_long_body_goes_out_in_chunks():
    head, _, body = frame(ANSWER, get("/"), NOW).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body.startswith(b"8000\r\nxxx")
    assert body.endswith(b"\r\n0\r\n\r\n")
    assert body.count(b"x") == 40_000


def test_a_client_of_http_1_0_gets_a_length_and_the_end():
    head, _, body = frame(ANSWER, Request("GET", "/", "HTTP/1.0", {}), NOW).partition(b"\r\n\r\n")
    assert b"Content-Length: 40000" in head
    assert b"Connection: close" in head
    assert body == ANSWER.body


def test_head_gets_no_body_and_everybody_the_date():
    framed = frame(ANSWER, Request("HEAD", "/", "HTTP/1.1", {}), NOW)
    assert framed.endswith(b"\r\n\r\n")
    assert b"Date: Wed, 18 Nov 2026 " in framed


KEEP_ALIVE = (
    # version, headers, whether the connection stays open
    ("HTTP/1.1", {}, True),
    ("HTTP/1.1", {"connection": "close"}, False),
    ("HTTP/1.1", {"content-length": "5"}, False),
    ("HTTP/1.1", {"content-length": "0"}, True),
    ("HTTP/1.0", {}, False),
    ("HTTP/1.0", {"connection": "Keep-Alive"}, True),
)


@pytest.mark.parametrize(("version", "headers", "stays"), KEEP_ALIVE)
def test_when_the_connection_stays_open(version: str, headers: dict[str, str], stays: bool):
    assert Request("GET", "/", version, headers).keep_alive == stays


def test_a_request_is_read_without_its_query():
    request = parse_request(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a:1\r\nAccept-Encoding:gzip ")
    assert request == Request("GET", "/metrics", "HTTP/1.1", {"host": "a:1", "accept-encoding": "gzip"})


NO_REQUESTS = (b"GET /metrics", b"GET / HTTP/2.0", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nno colon here")


@pytest.mark.parametrize("head", NO_REQUESTS)
def test_what_is_no_request_is_refused(head: bytes):
    with pytest.raises(BadInput):
        parse_request(head)
