"""A hub before an engine that misbehaves, or that wants to know who asks: a server that does what the test says."""

from __future__ import annotations

import http.client
import json
import math
import subprocess
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.telemetry import Registry
from kpwatch.model.labels import make_labels
from kpwatch.model.matchers import Matcher
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Matrix
from kpwatch.promql.engine import Engine
from kpwatch.upstream.client import Upstream
from kpwatch.upstream.evaluate import UpstreamSource
from kpwatch.upstream.options import UpstreamOptions
from tests.e2e.hub_scene import DEADLINE_SECONDS, KPWATCH, HubProcess, series
from tests.pki import make_pki
from tests.servers import Server, closes, hangs, refused_port, replies, response, serves
from tests.unit.store.samples import told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Peer, Request

DOCUMENT = b'{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}'
GOOD = response(DOCUMENT, Content_Type="application/json")
REFUSAL = response(b'{"status":"error","errorType":"bad_data","error":"e"}', 400, Content_Type="application/json")
BODY = series({"__name__": "up", "agent_hostname": "a"}, (1000, 1.0))


def hub_before(server: Server, *options: str) -> HubProcess:
    return HubProcess(None, "--engine", server.url(""), "--engine-write", server.url("/push"), *options)


def page(text: bytes, status: int, **headers: str) -> bytes:
    return response(text, status, Content_Type="text/html", **headers)


@pytest.mark.parametrize(
    ("script", "status", "kind", "says"),
    [
        (replies(GOOD), 200, "", ""),
        (closes, 502, "unavailable", "cannot be reached"),
        (replies(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), 502, "unavailable", "cannot be reached"),
        (hangs, 504, "timeout", "did not answer within 1 s"),
        (replies(page(b"<h1>Bad Gateway</h1>", 502)), 502, "unavailable", "<h1>Bad Gateway</h1>"),
        (replies(page(b"starting", 503)), 502, "unavailable", "answers 503: starting"),
        (replies(page(b"no such tenant", 404)), 404, "not_found", "no such tenant"),
        (replies(page(b"slow down", 429, Retry_After="7")), 429, "unavailable", "slow down"),
        (replies(page(b"who are you", 401)), 502, "unavailable", "refuses the hub's credentials (401)"),
        (replies(response(b"{}", 403, Content_Type="application/json")), 502, "unavailable", "credentials (403)"),
        (replies(response(b"", 302, Location="https://u:p@b.example/login")), 502, "unavailable", "b.example/login"),
        (replies(REFUSAL), 400, "bad_data", "e"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str | int) else "",
)  # fmt: skip
def test_what_the_engine_does_is_told(script: Callable[[Peer], None], status: int, kind: str, says: str) -> None:
    """In Prometheus' JSON, whatever it was; the hub lives on."""
    timeout = "1s" if script is hangs else "60s"
    with (
        Server(*[script] * 3) as server,
        hub_before(server, "--engine-timeout", timeout) as hub,
        hub.client() as client,
    ):
        answer = client.get("/api/v1/query", query="1+1", time=4)
        assert answer.status == status, answer.body
        document = answer.json()
        assert document.get("errorType", "") == kind
        assert says in document.get("error", "")
        assert ":p@" not in document.get("error", "")
        if status == 429:
            assert answer.headers["retry-after"] == "7"
        assert client.get("/-/ready").status == 200
        own = client.get("/api/kpwatch/v1/fleet")
        assert own.json()["status"] == "error"


def test_our_own_engine_over_its_samples(tmp_path: Path) -> None:
    """It is a source like the store and like two scrapes in memory: the same samples and names, the same answers."""
    now_ms = SYSTEM_CLOCK.unix_ms()
    samples = {
        make_labels({"__name__": name, "ident": ident, "job": 'a "b"'}): [
            (now_ms - 60_000 + 15_000 * step, value + step) for step in range(first, 5)
        ]
        for name, ident, first, value in (("a", "x", 0, 1.5), ("a", "y", 0, math.inf), ("b", "x", 2, -0.0))
    }
    memory = MemorySource()
    for labels, values in samples.items():
        memory.add(labels, *zip(*values, strict=True))
    everything, of_a = (), (Matcher("__name__", "=~", "a|c"), Matcher("job", "=", 'a "b"'))
    with (
        HubProcess(tmp_path) as hub,
        hub.client() as client,
        closing(Upstream(UpstreamOptions(hub.url), Registry(), SYSTEM_CLOCK)) as upstream,
    ):
        for labels, values in samples.items():
            assert client.write(series(dict(labels), *values)).status == 204
        source = UpstreamSource(upstream, DEADLINE_SECONDS)
        for matchers in (everything, of_a):
            for start_ms, end_ms in ((now_ms - 60_000, now_ms), (now_ms - 45_000, now_ms - 15_000)):
                asked = (matchers, start_ms, end_ms)
                assert told(source.select(*asked)) == told(memory.select(*asked))
                assert source.series(*asked) == memory.series(*asked)
                assert source.label_names(*asked) == memory.label_names(*asked)
                assert source.label_values("ident", *asked) == memory.label_values("ident", *asked)
        query = "sum by (ident) (rate(a[1m])) or b"
        ours, theirs = (Engine(one).range(query, now_ms - 30_000, now_ms, 15_000).value for one in (memory, source))
        assert str(ours) == str(theirs)
        assert isinstance(ours, Matrix)
        assert len(ours.series) == 3


def test_an_engine_that_is_not_there() -> None:
    """502 to readers, 502 with Retry-After to writers: both come again."""
    url = f"http://127.0.0.1:{refused_port()}"
    with HubProcess(None, "--engine", url, "--engine-write", url + "/w") as hub, hub.client() as client:
        answer = client.get("/api/v1/labels")
        assert (answer.status, answer.json()["errorType"]) == (502, "unavailable")
        written = client.write(BODY)
        assert (written.status, written.headers["retry-after"]) == (502, "5")
        assert b"cannot be reached" in written.body
        metrics = client.get("/metrics").body.decode()
        assert 'kpwatch_hub_engine_requests_total{kind="query",status="down"} 1' in metrics
        assert 'kpwatch_hub_engine_requests_total{kind="write",status="down"} 1' in metrics


@pytest.mark.parametrize(
    ("answered", "status", "headers"),
    [
        (response(b"", 204), 204, {}),
        (response(b"slow down", 429, Retry_After="30"), 429, {"retry-after": "30"}),
        (response(b"out of bounds", 400), 400, {}),
        (response(b"", 204, X_Prometheus_Remote_Write_Samples_Written="1"), 204,
         {"x-prometheus-remote-write-samples-written": "1"}),
        (response(b"full", 503, Retry_After="9"), 503, {"retry-after": "9"}),
        (response(b"who", 401), 502, {"retry-after": "5"}),
        (response(b"", 307, Location="http://other.example/"), 502, {"retry-after": "5"}),
    ],
)  # fmt: skip
def test_answers_to_writes_are_passed_back(answered: bytes, status: int, headers: dict[str, str]) -> None:
    """Status, Retry-After, what was written."""
    with Server(replies(answered)) as server, hub_before(server) as hub, hub.client() as client:
        answer = client.write(BODY)
        assert answer.status == status
        assert headers.items() <= answer.headers.items()


def test_without_a_write_url_writes_are_404(tmp_path: Path) -> None:
    """As a Prometheus without its receiver; the sentence names the option."""
    with Server(replies(GOOD)) as server, HubProcess(None, "--engine", server.url("")) as hub, hub.client() as client:
        answer = client.write(BODY)
        assert (answer.status, b"--engine-write" in answer.body) == (404, True)
    assert list(tmp_path.iterdir()) == []


def test_what_the_engine_is_told(tmp_path: Path) -> None:
    """Credentials, tenant and headers of ours, read again when the file changes; none of the client's."""
    token = tmp_path / "token"
    token.write_text("first\n")
    options = (
        "--engine-bearer-token-file", str(token), "--engine-tenant", "team-a", "--engine-header", "X-Who: hub",
        "--engine-header", "X-Why: because",
    )  # fmt: skip
    with Server(serves(lambda _: GOOD)) as server, hub_before(server, *options) as hub, hub.client() as client:
        theirs = {"Authorization": "Bearer theirs", "Cookie": "a=b", "X-Dashboard-Uid": "d", "X-Scope-OrgID": "other"}
        client.get("/api/v1/query", theirs, query="up", time=4)
        (token.parent / "new").write_text("second and longer\n")
        (token.parent / "new").replace(token)
        client.write(BODY)
        client.get("/api/kpwatch/v1/fleet")
        query, write, own = server.requests[:3]
    for request, secret in ((query, "first"), (write, "second and longer"), (own, "second and longer")):
        sent = request.headers
        assert sent["authorization"] == f"Bearer {secret}"
        assert (sent["x-scope-orgid"], sent["x-who"], sent["x-why"]) == ("team-a", "hub", "because")
        assert sent["user-agent"].startswith("kpwatch-hub/")
        assert not {"cookie", "x-dashboard-uid"} & sent.keys()
    assert (query.method, query.target) == ("GET", "/api/v1/query?query=up&time=4")
    assert (write.method, write.target, write.headers["content-encoding"]) == ("POST", "/push", "snappy")


def test_basic_auth_and_paths(tmp_path: Path) -> None:
    """A URL may have a path, and end in /api/v1; names in URLs keep their escapes."""
    secret = tmp_path / "secret"
    secret.write_text("ann:s:e:c\n")
    with Server(serves(lambda _: GOOD)) as server:
        url = server.url("/select/0/prometheus/api/v1/")
        with HubProcess(None, "--engine", url, "--engine-basic-auth-file", str(secret)) as hub, hub.client() as client:
            client.get("/prometheus/api/v1/label/U__a%20b/values")
            flags = client.get("/api/v1/status/flags").json()["data"]
        (request,) = server.requests
    assert request.target == "/select/0/prometheus/api/v1/label/U__a%20b/values"
    assert request.headers["authorization"] == "Basic YW5uOnM6ZTpj"
    assert "s:e:c" not in json.dumps(flags)


def test_tls_and_client_certificates(tmp_path: Path) -> None:
    """A CA of one's own, a certificate to show; without them 502; --engine-tls-skip-verify takes any."""
    pki = make_pki(tmp_path)
    theirs = ("--engine-tls-ca", pki.ca_file, "--engine-tls-cert", pki.cert_file, "--engine-tls-key", pki.key_file)
    cases = (
        (False, (), 502),
        (False, theirs[:2], 200),
        (False, ("--engine-tls-skip-verify",), 200),
        (True, theirs, 200),
        (True, theirs[:2], 502),
    )
    for client_certs, options, status in cases:
        context = pki.server("127.0.0.1", client_certs=client_certs)
        server = Server(serves(lambda _: GOOD), tls=context)
        try:
            with HubProcess(None, "--engine", server.url(""), *options) as hub, hub.client() as client:
                answer = client.get("/api/v1/query", query="1+1")
                assert answer.status == status, (options, answer.body)
        finally:
            try:
                server.close()
            except (OSError, AssertionError):
                assert status != 200  # a handshake that failed, as it should


def test_a_long_answer_is_streamed_and_bounded() -> None:
    """What is longer than allowed is cut, and the connection with it; nobody can take it for whole."""
    long = response(b'{"status":"success","data":["' + b"x" * 3_000_000 + b'"]}', Content_Type="application/json")
    with Server(serves(lambda _: long)) as server:
        with hub_before(server) as hub, hub.client() as client:
            before = hub.memory_bytes()
            for _ in range(5):
                assert len(client.get("/api/v1/labels").body) == len(long.partition(b"\r\n\r\n")[2])
            assert hub.memory_bytes() - before < 60 << 20
        with hub_before(server, "--engine-max-answer", "1MB") as hub:
            with hub.client() as client, pytest.raises((OSError, http.client.HTTPException)):
                client.get("/api/v1/labels")
            with hub.client() as client:
                assert b"kpwatch_hub_answers_cut_total 1" in client.get("/metrics").body


def test_no_more_at_once_than_allowed() -> None:
    """The engine never sees more than --engine-concurrency; the others wait their turn and are answered."""
    running, most, lock = 0, 0, threading.Lock()

    def answer(_: Request) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.05)
        with lock:
            running -= 1
        return GOOD

    with Server(serves(answer)) as server, hub_before(server, "--engine-concurrency", "2") as hub:

        def ask() -> None:
            with hub.client() as client:
                assert client.get("/api/v1/query", query="1+1").body == DOCUMENT

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
    assert most == 2


def test_who_goes_away_frees_the_engine() -> None:
    """The request to the engine ends with the client's."""
    with Server(hangs, replies(GOOD)) as server, hub_before(server, "--engine-concurrency", "1") as hub:
        client = hub.client()
        client._connection.request("GET", "/api/v1/query?query=1")
        server.wait_for_requests(1)
        client._connection.close()
        with hub.client() as other:
            assert other.get("/api/v1/query", query="1").body == DOCUMENT


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--engine", "prometheus:9090"), 2, "expected a URL such as"),
        (("--engine", "http://u:p@host/"), 2, "--engine-basic-auth-file"),
        (("--engine-write", "http://host/"), 2, "--engine-write needs --engine"),
        (("--engine", "http://h", "--engine-header", "nonsense"), 2, "expected NAME: VALUE"),
        (("--engine", "http://h", "--enable-admin-api"), 2, "nothing is kept here"),
        (("--engine", "http://h", "--engine-tls-key", "k"), 2, "--engine-tls-cert"),
        (("--engine", "http://h", "--engine-bearer-token-file", "nowhere"), 1, "cannot be read"),
        (("--engine", "https://h", "--engine-tls-ca", "nowhere"), 1, "PEM files"),
        (("--engine", "http://h", "--listen", "0.0.0.0:0"), 2, "--allow-anonymous"),
    ],
)
def test_options_that_cannot_be(options: tuple[str, ...], code: int, says: str) -> None:
    """Said at start, with the option's name."""
    command = [KPWATCH, "hub", "--listen", "127.0.0.1:0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert ":p@" not in done.stderr
