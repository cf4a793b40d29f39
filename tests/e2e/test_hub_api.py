"""Every URL of a real hub: shapes, methods, parameters, limits, who may ask."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from kpwatch.hub import QueryOptions
from tests.e2e.hub_scene import HubProcess, now_ms, series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.hub_scene import Client

AT_MS = now_ms() // 60_000 * 60_000
AT = AT_MS // 1000
PREFIXES = ("/api/v1", "/prometheus/api/v1")
NODES = ("node-a", "node-b")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        with process.client() as client:
            for back in range(20):
                body = b"".join(
                    series({"__name__": name, "ident": node, "job": "kube-proxy"}, (AT_MS - back * 15_000, value))
                    for node in NODES
                    for name, value in (("up", 1.0), ("ticks_total", 1000.0 - back))
                )
                assert client.write(body).status == 204
        yield process


def data_of(answer: Any) -> Any:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["status"] == "success"
    return document["data"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["get", "form"])
def test_query(prefix: str, method: str, client: Client) -> None:
    """Scalar, vector, string and range selector, by GET and by form."""
    ask = getattr(client, method)
    assert data_of(ask(f"{prefix}/query", query="1+1", time=4)) == {"resultType": "scalar", "result": [4, "2"]}
    assert data_of(ask(f"{prefix}/query", query='"a"', time=4)) == {"resultType": "string", "result": [4, "a"]}
    vector = data_of(ask(f"{prefix}/query", query='up{ident="node-a"}', time=AT))
    labels = {"__name__": "up", "ident": "node-a", "job": "kube-proxy"}
    assert vector == {"resultType": "vector", "result": [{"metric": labels, "value": [AT, "1"]}]}
    matrix = data_of(ask(f"{prefix}/query", query='up{ident="node-a"}[31s]', time=AT))
    values = [[AT - 30, "1"], [AT - 15, "1"], [AT, "1"]]
    assert matrix == {"resultType": "matrix", "result": [{"metric": labels, "values": values}]}


def test_query_now(client: Client) -> None:
    """Without a time it is now."""
    scalar, _ = data_of(client.get("/api/v1/query", query="time()"))["result"]
    assert abs(scalar - now_ms() / 1000) < 60


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["get", "form"])
def test_query_range(prefix: str, method: str, client: Client) -> None:
    """Seconds or RFC 3339, seconds or a duration."""
    answer = getattr(client, method)(
        f"{prefix}/query_range", query="sum(rate(ticks_total[1m]))", start=AT - 60, end=AT, step="30s"
    )
    result = data_of(answer)
    assert result["resultType"] == "matrix"
    assert [timestamp for timestamp, _ in result["result"][0]["values"]] == [AT - 60, AT - 30, AT]
    assert [round(float(value), 6) for _, value in result["result"][0]["values"]] == [round(2 / 15, 6)] * 3


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "says"),
    [
        ("query", {}, 400, "bad_data", 'invalid parameter "query": '),
        ("query", {"query": "up{"}, 400, "bad_data", 'invalid parameter "query": '),
        (
            "query",
            {"query": "up", "time": "soon"},
            400,
            "bad_data",
            'invalid parameter "time": invalid time value for ',
        ),
        ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit"'),
        ("query", {"query": "(" * 500 + "1" + ")" * 500}, 400, "bad_data", 'invalid parameter "query"'),
        ("query_range", {"query": "up", "end": 1, "step": 1}, 400, "bad_data", 'invalid parameter "start"'),
        ("query_range", {"query": "up", "start": 1, "step": 1}, 400, "bad_data", 'invalid parameter "end"'),
        (
            "query_range",
            {"query": "up", "start": 2, "end": 1, "step": 1},
            400,
            "bad_data",
            "end timestamp must not be b",
        ),
        (
            "query_range",
            {"query": "up", "start": 1, "end": 2},
            400,
            "bad_data",
            'invalid parameter "step": cannot parse',
        ),
        (
            "query_range",
            {"query": "up", "start": 1, "end": 2, "step": 0},
            400,
            "bad_data",
            "zero or negative query resol",
        ),
        (
            "query_range",
            {"query": "up", "start": 0, "end": 11001, "step": 1},
            400,
            "bad_data",
            "maximum resolution of 11",
        ),
        (
            "query_range",
            {"query": "up[1m]", "start": 0, "end": 1, "step": 1},
            400,
            "bad_data",
            "invalid expression type",
        ),
        ("query", {"query": "up * on() group_left up", "time": AT}, 422, "execution", ""),
        ("query", {"query": "1", "timeout": 0}, 400, "bad_data", "timeout must be positive, got 0s"),
        ("query", {"query": "1", "timeout": -1}, 400, "bad_data", "timeout must be positive, got -1s"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match[]": "up{"}, 400, "bad_data", 'invalid parameter "match[]": '),
        ("series", {"match[]": "sum(up)"}, 400, "bad_data", "1:4: parse error: unexpected"),
        ("series", {"match[]": "up offset 5m"}, 400, "bad_data", "1:4: parse error: unexpected <offset>"),
        ("nothing", {}, 404, "not_found", "nothing at"),
        ("label//values", {}, 404, "not_found", "nothing at"),
    ],
)
def test_errors(path: str, parameters: dict, status: int, kind: str, says: str, client: Client) -> None:
    """Status, errorType and the beginning of Prometheus' sentence."""
    answer = client.get(f"/api/v1/{path}", **parameters)
    document = answer.json()
    assert (answer.status, document["status"], document["errorType"]) == (status, "error", kind)
    assert says in document["error"]


def test_eleven_thousand_points_are_allowed(client: Client) -> None:
    """The limit itself is no error."""
    result = data_of(client.get("/api/v1/query_range", query="vector(1)", start=0, end=11_000, step=1))["result"]
    assert len(result[0]["values"]) == 11_001


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names(prefix: str, client: Client) -> None:
    """Series, labels, values, with and without selectors, limits and times."""
    assert data_of(client.get(f"{prefix}/labels")) == ["__name__", "ident", "job"]
    assert data_of(client.form(f"{prefix}/labels", **{"match[]": 'up{ident="node-a"}'})) == ["__name__", "ident", "job"]
    assert data_of(client.get(f"{prefix}/label/__name__/values")) == ["ticks_total", "up"]
    assert data_of(client.get(f"{prefix}/label/ident/values", **{"match[]": ["up", "absent"]})) == list(NODES)
    assert data_of(client.get(f"{prefix}/label/U__ident/values")) == list(NODES)
    assert data_of(client.get(f"{prefix}/label/nosuch/values")) == []
    assert data_of(client.get(f"{prefix}/label/ident/values", start=0, end=1000)) == []
    wanted = [{"__name__": "up", "ident": node, "job": "kube-proxy"} for node in NODES]
    assert data_of(client.get(f"{prefix}/series", **{"match[]": "up"})) == wanted
    assert data_of(client.form(f"{prefix}/series", **{"match[]": ["up", '{ident="node-a",__name__="up"}']})) == wanted
    assert data_of(client.get(f"{prefix}/series", **{"match[]": "up", "start": AT - 10, "end": AT})) == wanted


def test_a_limit_is_said(client: Client) -> None:
    """Cut answers carry a warning, whole ones none."""
    for path, parameters in (
        ("series", {"match[]": "up"}),
        ("labels", {}),
        ("label/ident/values", {}),
        ("query", {"query": "up", "time": AT}),
    ):
        cut = client.get(f"/api/v1/{path}", limit=1, **parameters).json()
        assert cut["warnings"] == ["results truncated due to limit"], path
        assert "warnings" not in client.get(f"/api/v1/{path}", limit=100, **parameters).json()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_status_and_what_the_hub_has_not(prefix: str, client: Client) -> None:
    """The keys that clients look for."""
    assert {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"} <= data_of(
        client.get(f"{prefix}/status/buildinfo")
    ).keys()
    assert {"startTime", "storageRetention", "serverTime"} <= data_of(client.get(f"{prefix}/status/runtimeinfo")).keys()
    assert data_of(client.get(f"{prefix}/status/flags"))["retention"] == "1296000s"
    tsdb = data_of(client.get(f"{prefix}/status/tsdb"))
    assert tsdb["headStats"]["numSeries"] == 4
    assert tsdb["headStats"]["maxTime"] == AT_MS
    assert sum(row["value"] for row in tsdb["seriesCountByMetricName"]) == 4
    assert sum(row["value"] for row in tsdb["seriesCountByTarget"]) == 4
    assert tsdb["memoryBytes"] > 1 << 20
    assert tsdb["store"]["quarantine"] == {"count": 0, "latest": [], "files": []}
    for name in (
        "seriesCountByMetricName", "labelValueCountByLabelName", "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair", "seriesCountByTarget",
    ):  # fmt: skip
        rows = tsdb[name]
        assert rows == sorted(rows, key=lambda row: (-row["value"], row["name"])), name
        assert data_of(client.get(f"{prefix}/status/tsdb", limit=1))[name] == rows[:1]
    assert client.get(f"{prefix}/status/tsdb", limit=0).status == 400
    assert data_of(client.get(f"{prefix}/targets")).keys() == {"activeTargets", "droppedTargets", "droppedTargetCounts"}
    assert data_of(client.get(f"{prefix}/rules")) == {"groups": []}
    assert data_of(client.get(f"{prefix}/alerts")) == {"alerts": []}
    metadata = data_of(client.get(f"{prefix}/metadata", metric="go_goroutines"))
    assert metadata == {"go_goroutines": [{"type": "gauge", "help": metadata["go_goroutines"][0]["help"], "unit": ""}]}
    assert len(data_of(client.get(f"{prefix}/metadata", limit=3))) == 3


def test_own_urls(client: Client) -> None:
    """The fleet, the dictionary, what boards show, the hub's metrics and probes."""
    fleet = client.get("/api/kpwatch/v1/fleet").json()
    assert abs(fleet["time"] - now_ms() / 1000) < 60
    assert [row["ident"] for row in fleet["nodes"]] == list(NODES)
    row_keys = {"ident", "version", "mode", "last_sync", "sync_p99_seconds", "pending_changes", "failures", "up"}
    assert row_keys | {"last_seen", "silent", "silence", "verdict", "findings"} == fleet["nodes"][0].keys()
    metrics = client.get("/api/kpwatch/v1/dictionary").json()["metrics"]
    assert {"name", "type", "unit", "since", "labels", "meaning"} <= metrics[0].keys()
    assert {"zh", "en"} == metrics[0]["meaning"].keys() == metrics[0]["bad"].keys()
    boards = client.get("/api/kpwatch/v1/panels", lang="zh").json()["boards"]
    assert [board["id"] for board in boards] == ["overview", "node", "slo"]
    assert {"id", "section", "kind", "title", "queries", "thresholds"} <= boards[0]["panels"][0].keys()
    assert client.get("/api/kpwatch/v1/panels", lang="fr").status == 400
    exposition = client.get("/metrics")
    assert exposition.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE kpwatch_hub_http_requests_total counter" in exposition.body
    assert client.get("/-/healthy").status == client.get("/-/ready").status == 200
    assert client.get("/").headers["content-type"].startswith("text/html")


def test_methods(client: Client) -> None:
    """HEAD where GET is; POST only where Prometheus takes forms."""
    for path in ("/api/v1/query?query=1", "/-/ready", "/metrics", "/"):
        answer = client.request("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    for path in ("/api/v1/label/job/values", "/api/v1/targets", "/api/v1/metadata", "/metrics", "/"):
        assert client.form(path).status == 405
    assert client.request("DELETE", "/api/v1/series").headers["allow"] == "GET, HEAD, POST"


def test_large_answers_are_gzipped_for_who_takes_it(client: Client) -> None:
    """Same bytes, smaller; only when asked, only when worth it."""
    parameters = {"query": "vector(1)", "start": 0, "end": 10_000, "step": 1}
    plain = client.get("/api/v1/query_range", **parameters)
    zipped = client.get("/api/v1/query_range", {"Accept-Encoding": "deflate, gzip;q=0.5"}, **parameters)
    assert "content-encoding" not in plain.headers
    assert (zipped.headers["content-encoding"], zipped.headers["vary"]) == ("gzip", "accept-encoding")
    assert gzip.decompress(zipped.body) == plain.body
    assert len(zipped.body) * 3 < len(plain.body)
    for refused in ({"Accept-Encoding": "gzip;q=0"}, {"Accept-Encoding": "br"}):
        assert "content-encoding" not in client.get("/api/v1/query_range", refused, **parameters).headers
    assert "content-encoding" not in client.get("/api/v1/labels", {"Accept-Encoding": "gzip"}).headers


def test_a_form_over_the_limit_is_413(client: Client) -> None:
    """A form holds a query, not a data set."""
    assert client.form("/api/v1/query", query="1" * (1 << 20)).status == 413


def test_many_queries_at_once_all_answer(hub: HubProcess) -> None:
    """More clients than threads: they wait their turn, and every one gets its own answer."""
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        with hub.client() as client:
            for _ in range(5):
                found[number] = data_of(client.get("/api/v1/query", query=f"sum(up) * {number}", time=AT))["result"][0][
                    "value"
                ][1]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: str(2 * number) for number in range(16)}


ENDLESS = {"query": "quantile_over_time(0.5, vector(time())[1d:1s])", "start": 0, "end": 50_000, "step": 10}
"""Few cells at a time, and minutes of work."""


def test_limits_of_queries_are_options(tmp_path: Path) -> None:
    """Too many samples is 422, too much time and no room in the queue 503; each says why, and the hub lives on."""
    with (
        HubProcess(tmp_path, "--query-max-samples", "200000", "--query-concurrency", "1") as hub,
        hub.client() as client,
        ExitStack() as stack,
    ):

        def is_refused(one: Client, path: str, **form: object) -> tuple[int, str, str]:
            answer = one.get(f"/api/v1/{path}", **form)
            return answer.status, answer.json()["errorType"], answer.json()["error"]

        def until_shown(line: str) -> None:
            while line not in client.get("/metrics").body.decode():
                pass

        for _ in range(2):  # the second time it is known as one that needs no thread
            assert data_of(client.get("/api/v1/query", query="1 + 1", time=4))["result"] == [4, "2"]
        *error, text = is_refused(client, "query", query="sum_over_time(vector(time())[4d:1s])", time=0)
        assert (error, "more than 200000 (--query-max-samples)" in text) == ([422, "execution"], True)
        *error, text = is_refused(client, "query_range", timeout="100ms", **ENDLESS)
        assert (error, "timed out" in text) == ([503, "timeout"], True)
        waiting = QueryOptions().waiting
        until_shown("kpwatch_hub_queries_running 0\n")
        for _ in range(1 + waiting):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", hub.port)))
            connection.sendall(f"GET /api/v1/query_range?{urlencode(ENDLESS)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until_shown(f"kpwatch_hub_queries_waiting {waiting}\n")
        *error, text = is_refused(client, "query_range", **ENDLESS)
        assert (error, "are waiting already" in text) == ([503, "unavailable"], True)
        assert data_of(client.get("/api/v1/query", query="1 + 1", time=4))["result"] == [4, "2"]


def test_asking_again_and_again(tmp_path: Path) -> None:
    """The loop answers what it knows as small: what came meanwhile is seen, too much is still refused."""
    with HubProcess(tmp_path, "--query-max-samples", "60") as hub, hub.client() as client:

        def ask(query: str) -> tuple[int, Any]:
            answer = client.get("/api/v1/query", query=query, time=AT_MS / 1000)
            return answer.status, answer.json().get("data", {}).get("result")

        for count in range(1, 25):
            body = series({"__name__": "metric", "job": "kube-proxy", "code": str(count)}, (AT_MS, 1.0))
            assert client.write(body).status == 204
            assert ask("count(metric)") == (200, [{"metric": {}, "value": [AT_MS / 1000, str(count)]}])
            assert ask("1 +") == (400, None)
        for count in range(60):
            client.write(series({"__name__": "metric", "job": "kube-proxy", "le": str(count)}, (AT_MS, 1.0)))
        assert [ask("count(metric)")[0] for _ in range(3)] == [422, 422, 422]


def test_the_length_of_an_answer_is_an_option(tmp_path: Path) -> None:
    """What is longer is a 422 that names the option, wherever an answer grows with what is stored."""
    with HubProcess(tmp_path, "--query-max-answer", "1KB") as hub, hub.client() as client:
        names = [f"metric_{number}" for number in range(40)]
        bodies = [series({"__name__": name, "job": "kube-proxy"}, (AT_MS, 1.0)) for name in names]
        assert all(client.write(body).status == 204 for body in bodies)
        at = AT_MS / 1000
        for path, parameters in (
            ("query", {"query": '{job="kube-proxy"}', "time": at}),
            ("query_range", {"query": "vector(1)", "start": at, "end": at + 100, "step": 1}),
            ("series", {"match[]": '{job="kube-proxy"}'}),
        ):
            answer = client.get(f"/api/v1/{path}", **parameters)
            assert (answer.status, answer.json()["errorType"]) == (422, "execution"), path
            assert "--query-max-answer" in answer.json()["error"]
        answer = client.get("/api/v1/query", query='{job="kube-proxy"}', time=at, limit=5)
        assert (answer.status, len(data_of(answer)["result"])) == (200, 5)


def test_who_may_ask(tmp_path: Path) -> None:
    """With an auth file everything but the probes needs a secret: writing, reading, pages."""
    users = tmp_path / "users"
    users.write_text("ann:secret\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users)) as hub, hub.client() as client:
        body = series({"__name__": "up"}, (AT_MS, 1.0))
        for path in ("/", "/api/v1/query?query=1", "/metrics", "/api/kpwatch/v1/fleet", "/nothing"):
            assert client.get(path).status == 401, path
        assert client.write(body).status == 401
        assert client.write(body, Authorization="Bearer secret").status == 204
        assert client.get("/api/v1/query?query=1", {"Authorization": "Basic YW5uOnNlY3JldA=="}).status == 200
        assert client.get("/-/ready").status == client.get("/-/healthy").status == 200
        flags = client.get("/api/v1/status/flags", {"Authorization": "Bearer secret"}).json()["data"]
        assert "secret" not in json.dumps(flags)
