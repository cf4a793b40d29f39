"""A hub before somebody else's server: Debian's Prometheus and VictoriaMetrics."""

from __future__ import annotations

import gzip
import http.client
import json
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pytest

from kpwatch.remote_write import v2
from kpwatch.remote_write.snappy import compress
from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.real.prometheus import running_prometheus
from tests.real.victoria_metrics import running_victoria_metrics, show_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hub_scene import Client

INSTANCE = "http://127.0.0.1:10249/metrics"
SILENT_MS = 600_000
"""How long ago one node was heard last."""


class Engine(NamedTuple):
    """A server and a hub before it."""

    name: str
    url: str
    hub: HubProcess
    at: float
    """When two of the nodes were heard last."""

    def asked_directly(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()


def rows(at_ms: int, nodes: tuple[str, ...]) -> bytes:
    """What Categraf would write: the node is called agent_hostname."""
    own = {"job": "kube-proxy", "instance": INSTANCE}
    parts = []
    for node in nodes:
        who = {"agent_hostname": node, **own}
        version = {"__name__": "kubernetes_build_info", "git_version": "v1.30.3", "major": "1", "minor": "30"}
        parts.append(series({"__name__": "up", **who}, (at_ms, 1.0)))
        parts.append(series({"__name__": "ticks_total", **who}, (at_ms, at_ms % 10**9 / 1000)))
        parts.append(series(version | who, (at_ms, 1.0)))
    return b"".join(parts)


def feed(client: Client, until_ms: int) -> None:
    for at_ms in range(until_ms - SILENT_MS - 300_000, until_ms + 1, 15_000):
        nodes = ("node-a", "node-b", "node-c") if at_ms <= until_ms - SILENT_MS else ("node-a", "node-b")
        answer = client.write(rows(at_ms, nodes))
        assert answer.status == 204, answer.body


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    if request.param == "prometheus":
        with running_prometheus(folder) as server:
            yield from with_hub(request.param, server.url)
    else:
        with running_victoria_metrics(folder) as url:
            yield from with_hub(request.param, url)


def with_hub(name: str, url: str) -> Iterator[Engine]:
    with HubProcess(None, "--engine", url, "--engine-write", f"{url}/api/v1/write") as hub:
        with hub.client() as client:
            until_ms = now_ms() // 15_000 * 15_000
            feed(client, until_ms)
        if name == "victoria-metrics":
            show_everything(url)
        yield Engine(name, url, hub, until_ms / 1000)


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.hub.client() as connected:
        yield connected


QUERIES = [
    "query?query=sum+by+(ident)+(rate(ticks_total[5m]))&time={at}",
    "query?query=%7Bident=~%22node-.*%22%7D&time={at}",
    "query_range?query=ticks_total&start={before}&end={at}&step=15",
    "series?match[]=up&start={before}&end={at}",
    "labels",
    "label/ident/values",
    "label/__name__/values?limit=2",
    "metadata",
    "status/buildinfo",
    "rules",
    "alerts",
]


@pytest.mark.real("prometheus, victoria-metrics")
@pytest.mark.parametrize("prefix", ["/api/v1", "/prometheus/api/v1"])
@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.partition("?")[0])
def test_answers_are_the_engines(prefix: str, path: str, engine: Engine, client: Client) -> None:
    """Document by document, but for what VictoriaMetrics says of the time it took."""
    path = path.format(at=engine.at, before=engine.at - 600)
    through, direct = client.get(f"{prefix}/{path}"), json.loads(engine.asked_directly(f"/api/v1/{path}"))
    assert through.status == 200
    document = through.json()
    for one in (document, direct):
        one.pop("stats", None)
        if isinstance(one["data"], dict) and "result" in one["data"]:
            one["data"]["result"].sort(key=str)
    assert document == direct


@pytest.mark.real("prometheus, victoria-metrics")
def test_forms_and_codings_are_passed_on(engine: Engine, client: Client) -> None:
    """POST stays POST; gzip comes as the engine made it."""
    found = client.form("/api/v1/query", query="count(up)", time=engine.at).json()["data"]["result"]
    assert [one["value"][1] for one in found] == ["2"]
    question = {"query": "ticks_total", "start": engine.at - 600, "end": engine.at, "step": 1}
    plain = client.get("/api/v1/query_range", **question)
    zipped = client.get("/api/v1/query_range", {"Accept-Encoding": "gzip"}, **question)
    if zipped.headers.get("content-encoding") == "gzip":
        assert len(zipped.body) < len(plain.body)
        assert json.loads(gzip.decompress(zipped.body))["data"]["resultType"] == "matrix"
    assert engine.name != "prometheus" or zipped.headers["content-encoding"] == "gzip"
    assert client.request("HEAD", "/api/v1/labels").status == 200


@pytest.mark.real("prometheus, victoria-metrics")
def test_the_engines_refusals_are_passed_back(client: Client) -> None:
    """Its status and its words."""
    for query in ("up{", "sum("):
        answer = client.get("/api/v1/query", query=query)
        assert (answer.status in (400, 422), answer.json()["status"]) == (True, "error")


@pytest.mark.real("prometheus, victoria-metrics")
def test_nodes_have_their_names_in_the_engine(engine: Engine) -> None:
    """agent_hostname became ident on the way, and is gone."""
    assert json.loads(engine.asked_directly("/api/v1/label/ident/values"))["data"] == ["node-a", "node-b", "node-c"]
    assert "agent_hostname" not in json.loads(engine.asked_directly("/api/v1/labels"))["data"]


@pytest.mark.real("prometheus, victoria-metrics")
def test_the_fleet_table_works_on_it(engine: Engine, client: Client) -> None:
    """Two nodes speak, one is silent since ten minutes; columns come from the engine."""
    nodes = {row["ident"]: row for row in client.get("/api/kpwatch/v1/fleet").json()["nodes"]}
    assert {name: row["silent"] for name, row in nodes.items()} == {"node-a": False, "node-b": False, "node-c": True}
    assert (nodes["node-a"]["verdict"], nodes["node-c"]["verdict"]) == ("unknown", "critical")  # no kube-proxy's page
    assert (nodes["node-a"]["version"], nodes["node-a"]["up"]) == ("v1.30.3", 1.0)
    assert abs(nodes["node-a"]["last_seen"] - engine.at) < 1
    assert abs(nodes["node-c"]["last_seen"] - (engine.at - SILENT_MS / 1000)) < 1


@pytest.mark.real("prometheus, victoria-metrics")
def test_our_own_urls_work_on_it(engine: Engine, client: Client) -> None:
    """Targets, federation, formatting, the page, the dictionary, the list of URLs, flags without secrets."""
    found = client.get("/api/v1/targets").json()["data"]["activeTargets"]
    assert [(one["labels"]["ident"], one["health"]) for one in found] == [("node-a", "up"), ("node-b", "up")]
    text = client.get("/federate", **{"match[]": "up"}).body.decode()
    assert f'up{{ident="node-a",instance="{INSTANCE}",job="kube-proxy"}} 1 {round(1000 * engine.at)}\n' in text
    assert client.get("/api/v1/format_query", query="sum(up)by(x)").json()["data"] == "sum by (x) (up)"
    for path in ("/", "/api/kpwatch/v1/dictionary", "/api/kpwatch/v1/openapi.json", "/-/ready", "/metrics"):
        assert client.get(path).status == 200
    assert client.get("/api/v1/status/flags").json()["data"]["engine"].startswith("http://127.0.0.1:")
    assert client.request("POST", "/api/v1/admin/tsdb/delete_series?match[]=up").status == 503


@pytest.mark.real("prometheus, victoria-metrics")
def test_bad_writes_are_refused_by_the_engine_or_before_it(engine: Engine, client: Client) -> None:
    """What is no snappy is 400 here; a sample far too old is the engine's to judge."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    assert client.request("POST", "/api/v1/write", b"nonsense", headers).status == 400
    assert client.request("POST", "/api/v1/write", b"", {**headers, "Content-Encoding": "zstd"}).status == 400
    answer = client.write(series({"__name__": "up", "agent_hostname": "node-a"}, (1000, 1.0)))
    assert answer.status == (400 if engine.name == "prometheus" else 204)
    assert client.get("/api/v1/write").status == 405


@pytest.mark.real("prometheus, victoria-metrics")
def test_remote_write_2_is_renamed_too(engine: Engine, client: Client) -> None:
    """The engine's answer comes back with what it says was written; those two know only 1.0 and say so in their way."""
    table = v2.SymbolTable()
    block = v2.encode_labels((("__name__", "second"), ("agent_hostname", "node-a")), table)
    body = v2.encode_series(block, [(now_ms(), 1.0)]) + table.encode()
    headers = {"Content-Type": v2.CONTENT_TYPE, "Content-Encoding": "snappy"}
    answer = client.request("POST", "/api/v1/write", compress(body), headers)
    asked = urlsplit(engine.url)
    with closing(http.client.HTTPConnection(str(asked.hostname), asked.port, timeout=60)) as direct:
        direct.request("POST", "/api/v1/write", compress(body), headers)
        assert answer.status == direct.getresponse().status
