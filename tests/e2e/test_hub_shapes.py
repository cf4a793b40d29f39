"""The hub's answers beside what Prometheus 3 says its API is, and what clients do first when they are pointed at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.remote_write import v2
from kpwatch.remote_write.snappy import compress
from tests.e2e.api_shapes import PATHS, SCHEMAS, misfits
from tests.e2e.hub_scene import HubProcess, now_ms, series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hub_scene import Client

AT_MS = now_ms() // 60_000 * 60_000
AT = AT_MS / 1000
OURS_TOO = frozenset(
    ("application", "applicationVersion", "pythonVersion", "seriesCountByTarget", "memoryBytes", "store")
)
"""Keys that say more than Prometheus does: /status/buildinfo and /status/tsdb."""
INSTANCE = "http://127.0.0.1:10249/metrics"
GIVEN = {"query": "up", "start": str(AT - 60), "end": str(AT), "step": "15", "match[]": "up", "stats": "all"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        with hub.client() as client:
            for at_ms in range(AT_MS - 300_000, now_ms(), 15_000):  # what is asked of now must find them young
                rows = []
                for node, is_up in (("node-a", 1.0), ("node-b", 0.0)):
                    own = {"ident": node, "job": "kube-proxy", "instance": INSTANCE}
                    rows += [series({"__name__": "up", **own}, (at_ms, is_up))]
                    rows += [series({"__name__": "scrape_duration_seconds", **own}, (at_ms, 0.25))]
                rows += [series({"__name__": "scrape_error_info", "reason": "refused", **own}, (at_ms, 1.0))]
                rows += [series({"__name__": "plain"}, (at_ms, 1.5))]
                assert client.write(b"".join(rows)).status == 204
        yield hub


def ask(client: Client, path: str, method: str, parameters: dict[str, str]) -> Any:
    url = "/api/v1" + path.replace("{name}", "job")
    return client.form(url, **parameters) if method == "post" else client.get(url, **parameters)


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, known in PATHS.items() for method in known["methods"]]
)
def test_shapes(path: str, method: str, client: Client) -> None:
    """Every URL of Prometheus 3 that the hub has: by every method, with every parameter, in the shape it has there."""
    known = {name for name, _ in PATHS[path]["parameters"]}
    answer = ask(client, path, method, {name: value for name, value in GIVEN.items() if name in known})
    assert answer.status == 200, answer.body
    assert misfits(answer.json(), SCHEMAS[PATHS[path]["answer"]], more=OURS_TOO) == []


@pytest.mark.parametrize(
    "path", [path for path, known in PATHS.items() if any(must for _, must in known["parameters"])]
)
def test_shapes_of_failures(path: str, client: Client) -> None:
    """What lacks a parameter it needs is 400 in Prometheus' shape."""
    answer = ask(client, path, "get", {})
    assert answer.status == 400
    assert answer.json()["errorType"] == "bad_data"
    assert misfits(answer.json(), SCHEMAS["Error"]) == []


def test_every_parameter_is_known(client: Client) -> None:
    """OpenAPI of the hub names every parameter Prometheus 3 has, but for those of /rules."""
    paths = client.get("/api/kpwatch/v1/openapi.json").json()["paths"]
    for path, known in PATHS.items():
        if path == "/rules":
            continue
        operation = paths["/api/v1" + path]["get"]
        ours = {one["name"]: one["required"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        assert dict(known["parameters"]).items() <= ours.items(), path
        assert set(known["methods"]) == set(paths["/api/v1" + path]), path


def test_openapi_answers(client: Client) -> None:
    """Every URL is described; those with GET and nothing to fill in answer."""
    document = client.get("/api/kpwatch/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            needs = [one for one in operation.get("parameters", ()) if one["required"]]
            if method == "get" and not needs:
                assert client.get(path).status == (302 if path == "/graph" else 200), path


def test_targets_are_what_agents_report(client: Client) -> None:
    """One target for each `up`; health, times, the reason of a failure, and a URL that others can use."""
    found = client.get("/api/v1/targets").json()["data"]["activeTargets"]
    well, ill = found
    assert [one["labels"]["ident"] for one in found] == ["node-a", "node-b"]
    assert well["scrapePool"] == well["discoveredLabels"]["job"] == "kube-proxy"
    assert (well["scrapeUrl"], well["globalUrl"]) == (INSTANCE, "http://node-a:10249/metrics")
    assert (well["health"], well["lastError"], ill["health"], ill["lastError"]) == ("up", "", "down", "refused")
    assert (well["scrapeInterval"], well["lastScrapeDuration"]) == ("15s", 0.25)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d[05]\.000Z", well["lastScrape"])
    assert client.get("/api/v1/targets", state="dropped").json()["data"]["activeTargets"] == []
    assert client.get("/api/v1/targets", scrapePool="other").json()["data"]["activeTargets"] == []
    assert client.get("/api/v1/scrape_pools").json()["data"] == {"scrapePools": ["kube-proxy"]}


UP = {"type": "gauge", "unit": "", "help": "Written after every scrape by who scrapes: 1 it succeeded, 0 it failed."}
TOOK = {"type": "gauge", "unit": "seconds", "help": "Time of one scrape, from the request until the answer was read."}
NODE_A = {"ident": "node-a", "instance": INSTANCE, "job": "kube-proxy"}


@pytest.mark.parametrize(
    ("path", "parameters", "data"),
    [
        ("notifications", {}, []),
        ("status/tsdb/blocks", {}, {"blocks": []}),
        ("targets/metadata", {"metric": "up", "limit": "1"}, [{"target": NODE_A, **UP}]),
        (
            "targets/metadata",
            {"match_target": '{ident="node-a"}', "limit": "-1"},
            [{"target": NODE_A, "metric": "scrape_duration_seconds", **TOOK}, {"target": NODE_A, "metric": "up", **UP}],
        ),
        ("targets/metadata", {"metric": "plain"}, []),
        ("rules", {"match[]": '{team="a"}'}, {"groups": []}),
    ],
)
def test_what_newer_clients_ask(path: str, parameters: dict, data: Any, client: Client) -> None:
    """As Prometheus 3 answers where there is as little to tell."""
    answer = client.get(f"/api/v1/{path}", **parameters).json()
    assert answer["data"] == data


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("targets/relabel_steps", {}, "no scrapePool parameter provided"),
        ("targets/relabel_steps", {"scrapePool": "a"}, "no labels parameter provided"),
        ("targets/relabel_steps", {"scrapePool": "a", "labels": "{"}, "error parsing labels: "),
        ("scrape_pools/config", {"scrapePool": "a"}, 'error retrieving scrape config: scrape pool "a" not found'),
        ("targets/metadata", {"limit": "x"}, "limit must be a number"),
        ("targets/metadata", {"match_target": "{"}, 'invalid parameter "match_target": '),
        ("metadata", {"limit_per_metric": "1.5"}, "limit_per_metric must be a number"),
        ("status/tsdb", {"limit": "0"}, "limit must be a positive number"),
        ("status/tsdb", {"limit": "10001"}, "limit must not exceed 10000"),
        ("status/self_metrics", {"metric_name_pattern": "("}, "invalid metric_name_pattern: "),
        ("label/%FF/values", {}, 'invalid label name: "'),
        ("series", {"match[]": "{}"}, '"match[]": match[] must contain at least one non-empty matcher'),
        ("labels", {"match[]": "{}"}, "match[] must contain at least one non-empty matcher"),
        ("rules", {"match[]": "{}"}, "match[] must contain at least one non-empty matcher"),
        ("rules", {"group_limit": "0"}, 'invalid parameter "group_limit": group_limit needs to be greater than 0'),
        ("rules", {"group_next_token": "x"}, 'invalid parameter "group_next_token": group_limit needs to be present'),
        ("query", {"query": "up", "lookback_delta": "x"}, 'error parsing lookback delta duration: cannot parse "x"'),
        ("query", {"query": "up", "limit": "x"}, '"limit": strconv.Atoi: parsing "x": invalid syntax'),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "300y"}, "to a valid duration"),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "0.0001"}, "exceeded maximum resolution"),
    ],
)  # fmt: skip
def test_sentences_of_failures(path: str, parameters: dict, says: str, client: Client) -> None:
    """Prometheus 3's own."""
    answer = client.get(f"/api/v1/{path}", **parameters)
    assert (answer.status, answer.json()["errorType"]) == (400, "bad_data")
    assert answer.json()["error"].startswith(says) or says in answer.json()["error"]


def test_features_are_told_truly(client: Client) -> None:
    """A function that is called there is evaluated, one that is not is refused."""
    found = client.get("/api/v1/features").json()["data"]
    calls = {"time": "time()", "histogram_sum": "histogram_sum(up)", "info": "info(up)", "pi": "pi()"}
    for name, query in calls.items():
        assert found["promql_functions"][name] is (client.get("/api/v1/query", query=query).status == 200), name
    assert found["promql"]["smoothed"]
    assert client.get("/api/v1/query", query="up smoothed").status == 200


def test_own_metrics_as_json(client: Client) -> None:
    """Chosen by their whole names."""
    (found,) = client.get("/api/v1/status/self_metrics", metric_name_pattern="kpwatch_hub_http_requests.*").json()[
        "data"
    ]
    assert (found["name"], found["type"]) == ("kpwatch_hub_http_requests_total", "COUNTER")
    assert {one["name"] for one in found["metric"][0]["label"]} == {"path", "status"}


def test_nightingale_can_be_pointed_at_it(client: Client) -> None:
    """Saving a data source asks `1+1` under its URL; afterwards POST forms, GET for what has no form."""
    for prefix in ("", "/prometheus"):
        assert client.get(f"{prefix}/api/v1/query?query=1%2B1").json()["data"]["result"][1] == "2"
        assert client.form(f"{prefix}/api/v1/query", query="up", time=AT).status == 200
        found = client.get(
            f"{prefix}/api/v1/series", **{"match[]": 'up{job="kube-proxy"}', "start": AT - 60, "end": AT}
        )
        assert [one["ident"] for one in found.json()["data"]] == ["node-a", "node-b"]
        assert client.get(f"{prefix}/api/v1/label/__name__/values").status == 200
        assert client.get(f"{prefix}/api/v1/status/buildinfo").status == 200


def test_grafana_can_be_pointed_at_it(client: Client) -> None:
    """Its health check, what it asks to fill its lists, a panel's query with the headers it sends."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Dashboard-Uid": "kube-proxy",
        "X-Panel-Id": "2",
        "X-Grafana-From-Expr": "false",
        "Accept-Encoding": "gzip",
        "User-Agent": "Grafana/12.1.0",
    }
    health = client.request("POST", "/api/v1/query", "query=1%2B1&time=4", headers)
    assert health.json()["data"] == {"resultType": "scalar", "result": [4, "2"]}
    build = client.get("/api/v1/status/buildinfo").json()["data"]
    assert build["version"].startswith("3.")
    assert "features" not in build  # that would make it a Mimir
    names = client.get("/api/v1/label/__name__/values", limit=40000, start=AT - 3600, end=AT).json()["data"]
    assert names == ["plain", "scrape_duration_seconds", "scrape_error_info", "up"]
    of_up = {"match[]": '{__name__="up"}', "start": AT - 3600, "end": AT}
    assert client.form("/api/v1/labels", **of_up).json()["data"] == ["__name__", "ident", "instance", "job"]
    assert client.get("/api/v1/label/ident/values", **of_up).json()["data"] == ["node-a", "node-b"]
    assert client.form("/api/v1/label/ident/values").status == 405  # whereupon it asks by GET
    everything = client.form("/api/v1/series", **of_up | {"match[]": '{__name__!=""}'})
    assert len(everything.json()["data"]) == 6
    body = f"query=sum+by+%28ident%29+%28up%29&start={AT - 900}&end={AT}&step=15"
    assert client.request("POST", "/api/v1/query_range", body, headers).status == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("query", "query"), ("query_range", "query"), ("query_exemplars", "query"), ("format_query", "query"),
        ("parse_query", "query"), ("series", "match[]"), ("labels", "match[]"), ("label/job/values", "match[]"),
        ("/federate", "match[]"), ("/prometheus/federate", "match[]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "hostile",
    ["(" * 5000 + "up" + ")" * 5000, "-" * 15_000 + "1", "a" * 20_000, "+".join(["a"] * 4000), "sum(" * 4000,
     '{a=~"(((((((((a+)+)+)+)+)+)+)+)+$"', "{" * 9000, "up[5m:" * 2000],
    ids=lambda text: f"{text[:8]}x{len(text)}",
)  # fmt: skip
def test_hostile_queries_are_refused_wherever_a_query_is_taken(
    path: str, name: str, hostile: str, client: Client
) -> None:
    """Depth, length, runs: 400 before the parser is called, by every URL that parses."""
    url = path if path.startswith("/") else f"/api/v1/{path}"
    answer = client.get(url, **{"start": 0, "end": 1, "step": 1, name: hostile})
    assert answer.status == 400, answer.body[:200]


def test_other_origins(client: Client) -> None:
    """A page elsewhere may read Prometheus' API, as Prometheus lets it; nothing else."""
    origin = {"Origin": "https://grafana.example"}
    assert client.get("/api/v1/query", origin, query="1").headers["access-control-allow-origin"] == "*"
    assert client.request("OPTIONS", "/api/v1/query", headers=origin).status == 204
    for url in ("/api/kpwatch/v1/fleet", "/metrics", "/", "/api/v1/admin/tsdb/delete_series", "/api/v1/write"):
        assert "access-control-allow-origin" not in client.get(url, origin).headers
        assert client.request("OPTIONS", url, headers=origin).status == 405
    assert "access-control-allow-origin" not in client.get("/api/v1/query", query="1").headers


def test_documents_that_stay_are_asked_for_once(client: Client) -> None:
    """Dictionary, panels, metadata and the list of URLs have an ETag; who has the document gets 304 and no body."""
    for url in (
        "/api/kpwatch/v1/dictionary",
        "/api/kpwatch/v1/panels",
        "/api/v1/metadata",
        "/api/kpwatch/v1/openapi.json",
    ):
        first = client.get(url, {"Accept-Encoding": "gzip"})
        again = client.get(url, {"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert client.get(url, {"If-None-Match": '"other"'}).status == 200


def test_metadata_is_what_senders_say_else_what_the_dictionary_says(hub: HubProcess) -> None:
    """Remote Write 2.0 says it with every series."""
    table = v2.SymbolTable()
    block = v2.encode_labels((("__name__", "go_goroutines"), ("ident", "node-a")), table)
    block += v2.encode_metadata("gauge", "As the sender says.", "routines", table)
    body = compress(v2.encode_series(block, [(AT_MS, 1.0)]) + table.encode())
    with hub.client() as client:
        before = client.get("/api/v1/metadata").json()["data"]
        headers = {"Content-Type": v2.CONTENT_TYPE, "Content-Encoding": "snappy"}
        assert client.request("POST", "/api/v1/write", body, headers).status == 204
        after = client.get("/api/v1/metadata").json()["data"]
        assert after["go_goroutines"] == [{"type": "gauge", "unit": "routines", "help": "As the sender says."}]
        assert before.keys() == after.keys()
        assert before["go_goroutines"] != after["go_goroutines"]
        assert list(client.get("/api/v1/metadata", limit=2).json()["data"]) == sorted(after)[:2]
        assert client.get("/api/v1/metadata", metric="nothing").json()["data"] == {}
