"""The hub's HTTP API beside Debian's real Prometheus on the same samples: same status, same JSON.

Prometheus is 2.42: sentences that 3.x says otherwise are compared by errorType, and no time lies on a window's edge.
"""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.remote_write import v1
from tests.e2e.hub_scene import DEADLINE_SECONDS, Client, HubProcess, now_ms
from tests.parts import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 60


class Moment:
    """When the samples of the run end: set when they are sent, since what is asked of now must find them young."""

    at_ms = 0


class At(float):
    """A time so many seconds after the run's own, which is three seconds after a sample: on no edge.

    A case says it as an offset, so that its name is the same in every process.
    """

    def __repr__(self) -> str:
        return f"T{self:+g}"

    @staticmethod
    def told(parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters with times as a client sends them."""
        return {
            name: Moment.at_ms / 1000 + 3 + value if isinstance(value, At) else value
            for name, value in parameters.items()
        }


class Prometheus:
    """A real one, on a free port."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = data / "prometheus.yml"
        config.write_text("{}\n")
        command = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "prometheus ended"
            try:
                with Client(self.port) as client:
                    if client.get("/-/ready").status == 200:
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("prometheus is not ready")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE_SECONDS)


def bodies() -> Iterator[bytes]:
    """A quarter of an hour of two nodes, oldest first (Prometheus takes no other order)."""
    for back in range(ROUNDS, -1, -1):
        at_ms = Moment.at_ms - back * 15_000
        parts = []
        for place, node in enumerate(("10.206.0.7", "node b")):
            own = {"ident": node, "job": "kube-proxy", "instance": "http://127.0.0.1:10249/metrics"}
            rows = [
                ("up", {}, 1.0),
                ("ticks_total", {}, (ROUNDS - back) * 1.5 + place),
                ("tiny", {}, 1.25e-9 * (back + 1)),
                ("huge", {}, 1e21 + back * 1e18),
                ("negative", {"quote": 'a"\\\n节'}, -0.1 * back),
                ("never", {}, float("nan")),
                ("endless", {}, float("inf")),
                *(
                    ("b_bucket", {"le": le}, back % 7 + count)
                    for le, count in (("0.1", 1.0), ("1", 5.0), ("+Inf", 9.0))
                ),
            ]
            for name, labels, value in rows:
                pairs = sorted({"__name__": name, **own, **labels}.items())
                parts.append(v1.encode_series(v1.encode_labels(pairs), [(at_ms, value)]))
        yield b"".join(parts)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """(Prometheus, hub), with the same samples."""
    Moment.at_ms = now_ms() // 60_000 * 60_000
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        with (
            HubProcess(tmp_path_factory.mktemp("hub")) as hub,
            Client(prometheus.port) as theirs,
            hub.client() as ours,
        ):
            for body in bodies():
                assert theirs.write(body).status == 204
                assert ours.write(body).status == 204
            yield theirs, ours
    finally:
        prometheus.close()


def _sorted(document: Any) -> Any:
    """Series in one order: Prometheus' vectors have none."""
    data = document.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        data["result"].sort(key=lambda one: sorted(one["metric"].items()))
    return document


FORMATTED = (
    "up",
    "sum(rate(x_total[5m]))by(job,instance)",
    "sum without(a)(x) /on(b)group_left(c)y",
    "topk(3,up)>bool 1",
    "-a^2 + (b % 3e3)",
    "x[90m:30s] @ 5.5 offset 1d",
    "x offset -1h @ end()",
    'count_values("x", up{a=~"b|c",d!~"e",f!="g\\n"})',
    "a and b or c unless d",
    "x[1d12h]",
    "histogram_quantile(0.99, sum by (ident, le) (rate(a_rather_long_name_of_a_histogram_seconds_bucket[5m]))) > 1",
    "sum(rate(a_rather_long_name_of_a_counter_total{job='a job'}[5m])) by (ident) / on(ident) (sum(another_one) + 1)",
    'label_replace(a_rather_long_name_of_a_metric{job="a job"}, "target", "$1-and-something", "source", "(.*):.*")',
    "-sum(a_rather_long_name_of_a_metric + another_rather_long_name_of_a_metric_which_is_longer_still_than_that)",
)
SAME = [
    ("query", {"query": "1+1", "time": 4}),
    ("query", {"query": '"text"', "time": 4.5}),
    ("query", {"query": "up", "time": At(0)}),
    ("query", {"query": "up", "time": At(0.25)}),
    ("query", {"query": '{__name__=~".+"}', "time": At(0)}),
    ("query", {"query": "ticks_total[40s]", "time": At(0)}),
    ("query", {"query": "rate(ticks_total[5m])", "time": At(0)}),
    ("query", {"query": "histogram_quantile(0.9, sum by (le) (rate(b_bucket[5m])))", "time": At(0)}),
    ("query", {"query": "sum by (ident) (up) / 0", "time": At(0)}),
    ("query", {"query": "absent(nothing)", "time": At(0)}),
    ("query", {"query": "nothing", "time": At(0)}),
    ("query", {"query": "vector(0) == 1", "time": "2015-07-01T20:10:30.781Z"}),
    ("query_range", {"query": "up", "start": At(-60), "end": At(0), "step": 15}),
    ("query_range", {"query": "tiny", "start": At(-60), "end": At(0), "step": "15s"}),
    ("query_range", {"query": "1", "start": 0, "end": 1, "step": "0.25"}),
    ("query_range", {"query": "time()", "start": "1970-01-01T00:00:10Z", "end": 20, "step": "5s"}),
    ("query_range", {"query": "nothing", "start": 0, "end": 60, "step": 15}),
    ("query_range", {"query": "negative > -3", "start": At(-900), "end": At(0), "step": "1m"}),
    ("series", {"match[]": ["up", "ticks_total"]}),
    ("series", {"match[]": "nothing"}),
    ("series", {"match[]": '{ident=~"node.*",__name__!="up"}', "start": At(-600), "end": At(0)}),
    ("series", {"match[]": "up", "start": 5, "end": 4}),
    ("labels", {"start": 5, "end": 4}),
    ("labels", {"end": -1}),
    ("label/ident/values", {"start": 5, "end": 4}),
    ("labels", {}),
    ("labels", {"match[]": "b_bucket"}),
    ("label/__name__/values", {}),
    ("label/ident/values", {"match[]": "up"}),
    ("label/le/values", {}),
    ("label/nothing/values", {}),
    ("alerts", {}),
    ("rules", {}),
    ("alertmanagers", {}),
    ("status/walreplay", {}),
    ("query_exemplars", {"query": "up"}),
    ("query_exemplars", {"query": "up", "start": At(-60), "end": At(0)}),
    *(("format_query", {"query": query}) for query in FORMATTED),
]
SAME_FAILURE = [
    ("query_exemplars", {"query": "up", "start": 2, "end": 1}),
    ("query_exemplars", {"query": "up", "start": "x"}),
    ("query_exemplars", {}),
    ("format_query", {}),
    ("format_query", {"query": "up{"}),
    ("query", {}),
    ("query", {"query": "up{"}),
    ("query", {"query": "rate(up)"}),
    ("query", {"query": "up", "time": "x"}),
    ("query", {"query": "up", "timeout": "x"}),
    ("query", {"query": "up + on(job) up", "time": At(0)}),
    ("query_range", {"query": "up"}),
    ("query_range", {"query": "up", "start": 2, "end": 1, "step": 1}),
    ("query_range", {"query": "up", "start": 1, "end": 2, "step": 0}),
    ("query_range", {"query": "up", "start": 1, "end": 2, "step": "-1s"}),
    ("query_range", {"query": "up", "start": 0, "end": 11001, "step": 1}),
    ("query_range", {"query": "up[5m]", "start": 0, "end": 1, "step": 1}),
    ("series", {}),
    ("series", {"match[]": "{"}),
    ("series", {"match[]": "{}"}),
    ("series", {"match[]": "(up)"}),
    ("labels", {"match[]": "# c\n (up)"}),
    ("series", {"match[]": "up", "start": "x"}),
    ("labels", {"match[]": "sum(up)"}),
]
SAME_SENTENCE = ("start", "end", "time", "step", "no match", "maximum resolution")


@pytest.mark.real("prometheus")
@pytest.mark.parametrize("method", ["get", "form"])
@pytest.mark.parametrize(("path", "parameters"), SAME, ids=[f"{path} {parameters}" for path, parameters in SAME])
def test_the_same_answer(method: str, path: str, parameters: dict, both: tuple[Client, Client]) -> None:
    """Document by document, numbers as text."""
    theirs, ours = (getattr(client, method)(f"/api/v1/{path}", **At.told(parameters)) for client in both)
    if theirs.status == 405:
        assert ours.status == 405
        return
    assert (ours.status, theirs.status) == (200, 200)
    assert _sorted(ours.json()) == _sorted(theirs.json())
    assert ours.headers["content-type"] == theirs.headers["content-type"]


@pytest.mark.real("prometheus")
@pytest.mark.parametrize(
    ("path", "parameters"), SAME_FAILURE, ids=[f"{path} {parameters}" for path, parameters in SAME_FAILURE]
)
def test_the_same_failure(path: str, parameters: dict, both: tuple[Client, Client]) -> None:
    """Status and errorType; for parameters the sentence too."""
    theirs, ours = (client.get(f"/api/v1/{path}", **At.told(parameters)) for client in both)
    theirs_said, ours_said = theirs.json(), ours.json()
    assert (ours.status, ours_said["status"], ours_said["errorType"]) == (
        theirs.status, theirs_said["status"], theirs_said["errorType"],
    ), (theirs_said, ours_said)  # fmt: skip
    if "parse error" not in theirs_said["error"] and any(word in theirs_said["error"] for word in SAME_SENTENCE):
        assert ours_said["error"].casefold() == theirs_said["error"].casefold()  # version 3 has fewer capitals


@pytest.mark.real("prometheus")
@pytest.mark.parametrize(
    "selectors",
    [[], ["up"], ['{ident="node b"}', "up"], ["nothing"], ['{__name__=~".+"}'],
     ["{}"], ["{}", "up"], [' { code = "", } '], ['{__name__=~".*"} # all']],
)  # fmt: skip
def test_federation(selectors: list[str], both: tuple[Client, Client]) -> None:
    """The same lines of text, but for Prometheus' order of series of one name."""
    theirs, ours = (client.get("/federate", **{"match[]": selectors}) for client in both)
    assert (ours.status, ours.headers["content-type"]) == (theirs.status, theirs.headers["content-type"])
    assert sorted(ours.body.splitlines()) == sorted(theirs.body.splitlines())
    assert (b"# TYPE" in ours.body) is (selectors not in ([], ["nothing"], ["{}"]))


@pytest.mark.real("prometheus")
def test_federating_what_is_no_selector(both: tuple[Client, Client]) -> None:
    """400 in text."""
    for wrong in ("up{", "sum(up)", "{}[5m]", "sum({})", "{} or {}", '{job=""} offset 5m', "{,}"):
        theirs, ours = (client.get("/federate", **{"match[]": wrong}) for client in both)
        assert (ours.status, ours.headers["content-type"]) == (theirs.status, theirs.headers["content-type"])


@pytest.mark.real("prometheus")
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/v1/query?query=1", "/federate"])
def test_what_pages_of_other_origins_may_read(method: str, path: str, both: tuple[Client, Client]) -> None:
    """The same headers for a request with an Origin."""
    theirs, ours = (client.request(method, path, headers={"Origin": "https://a.example"}) for client in both)

    def said(answer: Any) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if name.startswith(("access-control", "vary"))}

    assert said(ours) == said(theirs)
    assert ours.status == theirs.status or path == "/federate"
