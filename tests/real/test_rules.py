"""Rules of a whole hub beside a real Prometheus, and told to a real Alertmanager."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.rules.expand import Surroundings, expanded
from kpwatch.rules.parse import parse_rules
from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.parts import program
from tests.real.prometheus import running_prometheus
from tests.servers import refused_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.real("prometheus")

WAIT_SECONDS = 60
UPS = (("a", 0.0), ("b", 1.0))
RULES = """\
groups:
- name: g
  interval: 1s
  limit: 10
  rules:
  - {record: "job:up:sum", expr: sum by (job) (up), labels: {tier: one}}
  - alert: Down
    expr: up == 0 and on () job:up:sum == 1
    for: 1s
    keep_firing_for: 1s
    labels: {severity: critical, half: "{{ $value | humanize }}"}
    annotations:
      summary: '{{ $labels.instance }} is down, {{ with query "job:up:sum" }}{{ . | first | value }}{{ end }} is up'
  - alert: Never
    expr: up > 5
  - alert: Twice
    expr: sum by (instance) (up) or label_replace(up, "instance", "a", "", "") * 2
    labels: {instance: same}
"""


def until(found: Callable[[], Any], what: str) -> Any:
    """What `found` gives once it is true; asked again and again, as nobody tells."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            result = found()
        except (OSError, urllib.error.HTTPError):
            result = None
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"waited {WAIT_SECONDS} s for {what}")


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def ups(a: float, b: float, at_ms: int | None = None) -> bytes:
    at = now_ms() if at_ms is None else at_ms
    return b"".join(
        series({"__name__": "up", "job": "kube-proxy", "instance": name}, (at, value))
        for name, value in (("a", a), ("b", b))
    )


def write(hub: HubProcess, body: bytes) -> None:
    with hub.client() as client:
        assert client.write(body).status == 204


def states(url: str) -> dict[str, str]:
    """State of each alert by its instance."""
    alerts = get(f"{url}/api/v1/alerts")["data"]["alerts"]
    return {alert["labels"]["instance"]: alert["state"] for alert in alerts if alert["labels"]["alertname"] == "Down"}


def firing(url: str) -> bool:
    return states(url) == {"a": "firing"}


def timeless(found: Any) -> Any:
    """A document without what differs from one run to the next."""
    dropped = ("evaluationTime", "lastEvaluation", "activeAt", "file", "keepFiringSince", "lastError")
    if isinstance(found, dict):
        return {name: timeless(value) for name, value in found.items() if name not in dropped}
    return [timeless(one) for one in found] if isinstance(found, list) else found


def shapes(found: Any) -> Any:
    """Names and kinds of a document."""
    if isinstance(found, dict):
        return {name: shapes(value) for name, value in found.items()}
    if isinstance(found, list):
        return [shapes(one) for one in found]
    return "number" if isinstance(found, int | float) and not isinstance(found, bool) else type(found).__name__


def test_rules_and_alerts_are_as_in_prometheus(tmp_path: Path) -> None:
    """The same rules over the same samples: the same documents, series and errors."""
    (tmp_path / "r.yml").write_text(RULES)
    with (
        running_prometheus(tmp_path, config=f"rule_files: ['{tmp_path}/r.yml']\n") as prometheus,
        HubProcess(tmp_path / "hub", "--rules", str(tmp_path / "r.yml")) as hub,
    ):
        at_ms = now_ms()
        write(hub, ups(0, 1, at_ms))
        labels = {name: (("__name__", "up"), ("instance", name), ("job", "kube-proxy")) for name in "ab"}
        prometheus.write({labels["a"]: [(at_ms, 0.0)], labels["b"]: [(at_ms, 1.0)]})
        for url in (prometheus.url, hub.url):
            until(lambda url=url: firing(url), f"a firing alert at {url}")
        until(lambda: "err" in [rule["health"] for rule in rules(prometheus.url)], "the rule that fails, there")
        until(lambda: "err" in [rule["health"] for rule in rules(hub.url)], "the rule that fails, here")
        theirs, ours = (get(f"{url}/api/v1/rules")["data"]["groups"] for url in (prometheus.url, hub.url))
        for group in theirs:
            for rule in group["rules"]:
                rule["query"] = rule["query"].replace("by(", "by (").replace("on()", "on ()")  # as version 3 has it
        assert timeless(ours) == timeless(theirs)
        assert shapes(ours) == shapes(theirs)
        for one, other in zip(ours[0]["rules"], theirs[0]["rules"], strict=True):
            assert one.get("lastError", "").startswith(other.get("lastError", ""))
        ours, theirs = (timeless(get(f"{url}/api/v1/alerts")["data"]) for url in (hub.url, prometheus.url))
        assert ours == theirs
        for query in ("ALERTS", "job:up:sum", "count(ALERTS_FOR_STATE)"):
            answers = [get(f"{url}/api/v1/query?query={query}")["data"]["result"] for url in (hub.url, prometheus.url)]
            ours, theirs = ([(one["metric"], one["value"][1]) for one in answer] for answer in answers)
            assert ours == theirs


def rules(url: str) -> list[dict[str, Any]]:
    return [rule for group in get(f"{url}/api/v1/rules")["data"]["groups"] for rule in group["rules"]]


LINES = (Path(__file__).parent / "templates.txt").read_text().splitlines()


def test_templates_are_as_in_prometheus(tmp_path: Path) -> None:
    """Each line of templates.txt becomes the same text."""
    rules = [{"alert": f"T{line}", "expr": "up == 0", "annotations": {"t": text}} for line, text in enumerate(LINES)]
    (tmp_path / "r.yml").write_text(json.dumps({"groups": [{"name": "g", "interval": "1s", "rules": rules}]}))
    samples = {name: ((("__name__", "up"), ("instance", name), ("job", "kube-proxy")), value) for name, value in UPS}
    answers = {
        "up": ["a", "b"], "sort(up)": ["a", "b"], "sort_desc(up)": ["b", "a"], "up == 1": ["b"], "up > 100": [],
    }  # fmt: skip
    around = Surroundings((), "http://h:1/p")
    ours = {
        f"T{line}": expanded(text, *samples["a"], lambda query: [samples[name] for name in answers[query]], around).text
        for line, text in enumerate(LINES)
    }
    options = ("--web.external-url=http://h:1/p/", "--web.route-prefix=/")
    with running_prometheus(tmp_path, *options, config=f"rule_files: ['{tmp_path}/r.yml']\n") as prometheus:
        at_ms = now_ms()
        prometheus.write({labels: [(at_ms, value)] for labels, value in samples.values()})

        def theirs() -> dict[str, str]:
            return {one["labels"]["alertname"]: one["annotations"]["t"] for one in prometheus.get("alerts")["alerts"]}

        until(lambda: len(theirs()) == len(LINES), "all alerts")
        assert theirs() == ours


GROUP = "groups:\n- name: g\n  rules:\n  - {rule}\n"
RULES_OF_PROMTOOL = [
    "{alert: A, expr: up}", "{alert: A, expr: up, for: 5m, keep_firing_for: 1h30m, labels: {a: 1, b: true, c: ~}}",
    "{alert: A, expr: 'up == ('}", "{alert: A}", "{expr: up}", "{alert: A, record: a, expr: up}",
    "{record: 'a b', expr: up}", "{record: a, expr: up, for: 5m}", "{record: a, expr: up, for: 0s}",
    "{record: a, expr: up, annotations: {}}", "{record: a, expr: up, annotations: {b: c}}",
    "{alert: A, expr: up, for: 5x}", "{alert: A, expr: up, for: ''}", "{alert: A, expr: up, for: 30m1h}",
    "{alert: A, expr: up, for: 0}", "{alert: A, expr: up, fro: 5m}", "{alert: A, expr: up, labels: {__name__: x}}",
    "{alert: A, expr: up, labels: {a-b: x}}", "{alert: A, expr: up, annotations: {s: '{{ nope }}'}}",
    "{alert: A, expr: up, expr: up}", "{alert: A, expr: [up]}", "just words", "{alert: A, expr: 1}",
    "{record: a, expr: up, labels: {s: '{{ $x }}'}}", "{alert: 'A B', expr: up}", "{alert: A, expr: up, labels: }",
    "{alert: A, expr: up, labels: []}",
]  # fmt: skip
FILES_OF_PROMTOOL = [
    *(GROUP.replace("{rule}", rule) for rule in RULES_OF_PROMTOOL),
    "", "{}", "groups:", "groups: []", "groups: {}", "foo: 1", "groups:\n- name: a\n- name: a", "groups:\n- rules: []",
    "groups:\n- name: a\n  interval: x", "groups:\n- name: a\n  limit: -1", "groups:\n- name: a\n  rulse: []",
    "groups:\n- name: 'a", "groups:\n- name: a\n   rules: []",
]  # fmt: skip


def test_files_are_taken_as_by_promtool(tmp_path: Path) -> None:
    """What it takes is taken, what it refuses is refused."""
    for number, text in enumerate(FILES_OF_PROMTOOL):
        (tmp_path / f"{number}.yml").write_text(text)
    command = [
        program("promtool"),
        "check",
        "rules",
        "--lint=none",
        *(f"{n}.yml" for n in range(len(FILES_OF_PROMTOOL))),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    refused = {int(number) for number in re.findall(r"^ *FAILED:?\s*(\d+)\.yml", done.stderr, re.MULTILINE)}
    ours = {number for number, text in enumerate(FILES_OF_PROMTOOL) if parse_rules(text, "f").problems}
    assert {FILES_OF_PROMTOOL[number] for number in ours ^ refused} == set()
    assert len(ours) > 20


def test_rules_of_an_engine(tmp_path: Path) -> None:
    """Queries go to it, what comes out is written to it."""
    (tmp_path / "r.yml").write_text(RULES)
    with running_prometheus(tmp_path) as prometheus:
        at_ms = now_ms()
        labels = {name: (("__name__", "up"), ("instance", name), ("job", "kube-proxy")) for name in "ab"}
        prometheus.write({labels["a"]: [(at_ms, 0.0)], labels["b"]: [(at_ms, 1.0)]})
        engine = ("--engine", prometheus.url, "--engine-write", f"{prometheus.url}/api/v1/write")
        with HubProcess(tmp_path / "hub", *engine, "--rules", str(tmp_path / "r.yml")) as hub:
            until(lambda: firing(hub.url), "a firing alert")
            found = until(
                lambda: prometheus.get("query", query='ALERTS{alertstate="firing"}')["result"], "ALERTS there"
            )
            assert found[0]["metric"]["instance"] == "a"
            assert prometheus.get("query", query="job:up:sum")["result"][0]["value"][1] == "1"


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[str]:
    """A real Alertmanager that tells nobody; its URL."""
    (folder / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={folder}/am.yml",
        f"--storage.path={folder}/am",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "am.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: urllib.request.urlopen(f"{url}/-/ready", timeout=5).close() is None, "Alertmanager")
            yield url
        finally:
            process.terminate()
            process.wait(30)


def test_alertmanagers_are_told(tmp_path: Path) -> None:
    """Of the beginning and the end, though another one is dead; a restart goes on where the hub was."""
    (tmp_path / "r.yml").write_text(RULES)
    with running_alertmanager(tmp_path) as alertmanager:

        def alerts() -> list[dict[str, Any]]:
            return [one for one in get(f"{alertmanager}/api/v2/alerts") if one["labels"]["alertname"] == "Down"]

        options = ("--rules", str(tmp_path / "r.yml"), "--external-label", "cluster=c1")
        options += ("--alertmanager", f"http://127.0.0.1:{refused_port()}", alertmanager)
        with HubProcess(tmp_path / "hub", *options) as hub:
            write(hub, ups(0, 1))
            (told,) = until(alerts, "the alert at the Alertmanager")
            assert told["status"]["state"] == "active"
            assert told["annotations"]["summary"] == "a is down, 1 is up"
            shown = "up+%3D%3D+0+and+on+%28%29+job%3Aup%3Asum+%3D%3D+1"
            assert told["generatorURL"] == f"{hub.url}/graph?g0.expr={shown}&g0.tab=1", "with the port that 0 became"
            labels = {"alertname": "Down", "cluster": "c1", "half": "0", "severity": "critical"}
            assert told["labels"] == {**labels, "instance": "a", "job": "kube-proxy"}
            hub.kill()
        with HubProcess(tmp_path / "hub", *options) as hub:
            assert firing(hub.url), "what fired before fires on"
            write(hub, ups(1, 1))
            until(lambda: not alerts(), "the end at the Alertmanager")
            events = get(f"{hub.url}/api/kpwatch/v1/alerts/history")["data"]["events"]
            assert [event["event"] for event in events] == ["resolved", "firing"], "told once, although it was killed"
