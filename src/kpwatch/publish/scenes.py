"""What each alert fires on, and what it does not: unit tests for promtool, from simulated kube-proxies. Pure.

A scene is a small fleet of which one node has a fault, as real ones had it (simulate/faults.py); the same fleet without
the fault is the silent test. What the simulator has no fault for is an edit of what a node says. Processes start at
START, faults begin at FAULT, by a clock that begins at 0 as promtool's does; only series that the alert asks for are
written down. Evaluated once for each rule file that has the alert.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.knowledge.load import knowledge
from kpwatch.model.gofloat import format_plain
from kpwatch.model.labels import METRIC_NAME, join_target, label_value, make_labels, metric_name
from kpwatch.model.matchers import matches_all
from kpwatch.promql.needs import selectors
from kpwatch.publish.alerts import all_alerts, plain_alerts
from kpwatch.publish.documents import Document, yaml_document
from kpwatch.publish.prometheus import annotations_of, labels_of
from kpwatch.publish.pruning import groups_by
from kpwatch.relabel.identity import Identity
from kpwatch.simulate.faults import EFFECTS, Fault
from kpwatch.simulate.fleet import FleetOptions, make_specs
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import SimulatedNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kpwatch.knowledge.rows import Knowledge
    from kpwatch.model.frames import Frame, Layout
    from kpwatch.model.labels import Labels
    from kpwatch.promql.tree import Selector
    from kpwatch.publish.alerts import Alert
    from kpwatch.simulate.node import NodeSpec

STEP = 30
"""Seconds between scrapes."""
START = 60
"""When the processes start."""
FAULT = 420
_LONG_SECONDS = 3600
STALE = math.nan
NODE_INFO = "kpwatch_kubernetes_node_info"

Series = dict["Labels", dict[int, float]]
"""Of each series, value by second."""


class Edit(NamedTuple):
    """From FAULT on, a metric's samples at the first node: what they were then, another number, or none."""

    metric: str
    """How its name ends."""
    becomes: str
    """freeze, set or drop; never: not before FAULT either."""
    number: float = 0.0
    matching: tuple[str, str] = ("", "")
    """Only series that have this label; a value that begins with ! is one they must not have."""


class Scene(NamedTuple):
    """What is wrong at the first node, and which severities of the check must fire so many seconds later."""

    check: str
    fires: tuple[str, ...]
    after_seconds: int = 480
    fault: str = ""
    """A row of simulate/faults.py; "" = the check's namesake, "-" = none."""
    edits: tuple[Edit, ...] = ()
    nodes: int = 2
    proxies: tuple[str, ...] = ("1.36.3-iptables",)
    everywhere: bool = False
    """Whether all nodes have the fault."""
    from_start: bool = False
    """Whether the fault is older than the process."""
    quiet: bool = False
    """Whether hardly anything changes in the cluster."""
    labels: tuple[tuple[tuple[str, str], ...], ...] = ((),)
    """Of alerts about the fleet."""
    cluster: str = ""
    """What an agent of ours says of its nodes: it "keeps" all, or "loses" the faulty one; "" = nobody says it."""

    @property
    def is_slow(self) -> bool:
        """Whether hours must pass: such scenes have larger steps."""
        return self.after_seconds > _LONG_SECONDS

    @property
    def step(self) -> int:
        """Seconds between scrapes."""
        return 10 * STEP if self.is_slow else STEP


IPTABLES, NFTABLES, OLD = ("1.36.3-iptables",), ("1.36.3-nftables",), ("1.30.3-iptables",)
HEALTHY = (IPTABLES, NFTABLES, OLD)
"""Where nothing may fire."""
BUCKET = "sync_proxy_rules_duration_seconds_bucket"
CW, C, W, INFO = ("critical", "warning"), ("critical",), ("warning",), ("info",)

SCENES = (
    Scene("unreachable", C),
    Scene("frozen", C),
    Scene("silent-node", C, fault="-", edits=(Edit("", "drop"),)),
    Scene("silent-node", W, fault="-", edits=(Edit("", "never"),), cluster="keeps"),
    Scene("silent-node", INFO, fault="-", edits=(Edit("", "drop"),), cluster="loses"),
    Scene("metrics-refused", W),
    Scene("not-kube-proxy", INFO),
    Scene("fds-exhausted", C),
    Scene("fds-exhausted", W, fault="-", edits=(Edit("process_open_fds", "set", 18_000),)),
    Scene("never-synced", C, proxies=OLD),
    Scene("sync-failing", C),
    Scene("sync-hung", C),
    Scene("sync-hung", CW, after_seconds=1200, quiet=True),
    Scene("nft-failing", CW, proxies=NFTABLES),
    Scene("restore-failing", CW, fault="sync-failing"),
    Scene("restore-failing", W),
    Scene("healthz-failing", C, fault="sync-failing"),
    Scene("healthz-failing", W, fault="-", edits=(Edit("kpwatch_healthz_up", "set", 0),)),
    Scene("node-missing", W, after_seconds=150, from_start=True),
    Scene("node-draining", INFO),
    Scene("api-unauthorized", CW),
    Scene("api-forbidden", CW),
    Scene(
        "api-gone",
        CW,
        proxies=("1.20.2-iptables",),
        edits=(Edit("rest_client_requests_total", "freeze", matching=("code", "200")),),
    ),
    Scene("api-unreachable", CW),
    Scene("sync-slow", W),
    Scene("sync-slow", CW, edits=(Edit(BUCKET, "freeze", matching=("le", "!+Inf")),)),
    Scene("full-sync-slow", W),
    Scene("programming-slow", CW, after_seconds=900),
    Scene("backlog-stuck", W),
    Scene("clock-skew", W),
    Scene("conntrack-slow", CW),
    Scene("goroutines-growing", W, after_seconds=1200),
    Scene("memory-growing", W, after_seconds=1680),
    Scene("memory-growing", ("warning", "info"), after_seconds=24_000),
    Scene("cpu-busy", W, after_seconds=1080),
    Scene("api-overloaded", W),
    Scene("api-slow", W, after_seconds=900, proxies=OLD),
    Scene("client-throttled", W, after_seconds=900, proxies=OLD),
    Scene("partial-restore-failing", W),
    Scene("nft-cleanup-failing", W, proxies=NFTABLES),
    Scene("outlier-node", W, after_seconds=1320, nodes=6),
    Scene("crash-looping", C, after_seconds=1500),
    Scene("agent-stale", W, 270, fault="-", edits=(Edit("", "drop"),)),
    Scene("no-local-endpoints", W, 300),
    Scene(
        "no-local-endpoints",
        INFO,
        after_seconds=900,
        nodes=3,
        everywhere=True,
        labels=((("traffic_policy", "external"),), (("traffic_policy", "internal"),)),
    ),
    Scene("version-skew", INFO, after_seconds=4500, nodes=4),
    Scene("mode-skew", INFO, after_seconds=4500, nodes=4),
    Scene("feature-skew", INFO, after_seconds=4500, fault="-", edits=(Edit("kubernetes_feature_enabled", "set", 1),)),
    Scene("invalid-drops", W, after_seconds=1200),
    Scene("restarted", INFO, 300),
    Scene("localhost-nodeports", INFO),
)


def test_documents(knowledge: Knowledge, runbooks: str) -> Iterator[Document]:
    """`prometheus/tests/*.yml`: for each alert of a rule file scenes that fire it, and fleets where all are silent."""
    for file, alerts in (("kube-proxy", all_alerts(knowledge)), ("kube-proxy-plain", plain_alerts(knowledge))):
        of_check: dict[str, list[Alert]] = {}
        for alert in alerts:
            of_check.setdefault(alert.check.id, []).append(alert)
        plain = file.endswith("plain")
        play = _Play(runbooks, plain=plain)
        scenes = [scene for scene in SCENES if scene.check in of_check and not (plain and scene.cluster)]
        quick = [play.firing(scene, of_check[scene.check]) for scene in scenes if not scene.is_slow]
        quick += [play.silent(Scene("", (), nodes=2, proxies=each), alerts) for each in HEALTHY]
        slow = [scene for scene in scenes if scene.is_slow]
        yield _test_file(file, "", "1m", quick)
        yield _test_file(
            file, "-slow", "5m", [test for scene in slow for test in play.both(scene, of_check[scene.check])]
        )


def _test_file(rules: str, end: str, interval: str, tests: list[dict[str, Any]]) -> Document:
    return yaml_document(
        f"prometheus/tests/{rules}{end}.yml",
        "promtool test rules FILE: each alert fires where it should, on simulated kube-proxies, and only there.",
        {"rule_files": [f"../rules/{rules}.yml"], "evaluation_interval": interval, "tests": tests},
    )


class _Play:
    """Makes tests of scenes."""

    def __init__(self, runbooks: str, *, plain: bool) -> None:
        self._runbooks = runbooks
        self._plain = plain

    def both(self, scene: Scene, alerts: Sequence[Alert]) -> Iterator[dict[str, Any]]:
        yield self.firing(scene, alerts)
        yield self.silent(scene, alerts)

    def firing(self, scene: Scene, alerts: Sequence[Alert]) -> dict[str, Any]:
        """The fault is there, and so are the alerts of its severities."""
        expected = [
            each
            for alert in alerts
            if alert.severity in scene.fires
            for each in _expected(alert, scene, annotations_of(alert, self._runbooks))
        ]
        return self._test(scene, alerts, f"{scene.check} fires", expected, is_faulty=True)

    def silent(self, scene: Scene, alerts: Sequence[Alert]) -> dict[str, Any]:
        """Nothing is wrong, and none of the alerts is there."""
        return self._test(scene, alerts, f"{scene.check or ' '.join(scene.proxies)} is silent", [], is_faulty=False)

    def _test(
        self, scene: Scene, alerts: Sequence[Alert], name: str, expected: list[dict[str, Any]], *, is_faulty: bool
    ) -> dict[str, Any]:
        end = FAULT + scene.after_seconds
        series = series_for(scene, [alert.expr for alert in alerts], is_faulty=is_faulty, plain=self._plain)
        asked = [
            {"eval_time": f"{end}s", "alertname": each, "exp_alerts": expected}
            for each in dict.fromkeys(alert.name for alert in alerts)
        ]
        return {
            "name": name,
            "interval": f"{scene.step}s",
            "input_series": input_series(series, end, scene.step),
            "alert_rule_test": asked,
        }


def series_for(scene: Scene, queries: Sequence[str], *, is_faulty: bool = True, plain: bool = False) -> Series:
    """What the queries select of a scene's fleet; `plain`: as somebody without our agent has it."""
    return _wanted(_played(scene, frozenset(_names(queries)), firing=is_faulty), queries, plain=plain)


def input_series(series: Series, end: int, step: int) -> list[dict[str, str]]:
    """The same for promtool."""
    return [
        {"series": written_series(labels), "values": notation(values, end, step)} for labels, values in series.items()
    ]


def _expected(alert: Alert, scene: Scene, annotations: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The alert as it fires at the node that has the fault, or at all, or once for the fleet."""
    faulty = _idents(scene) if scene.everywhere else _idents(scene)[:1]
    nodes = [{"ident": ident, "instance": _instance(ident)} for ident in faulty]
    for node in nodes if alert.of_node else [dict(each) for each in scene.labels]:
        own = {name: value for name, value in node.items() if not alert.of_node or _bears(alert, name)}
        yield {
            "exp_labels": {**own, **labels_of(alert)},
            "exp_annotations": {key: _filled(text, own) for key, text in annotations.items()},
        }


def _bears(alert: Alert, label: str) -> bool:
    return groups_by(alert.expr, label) and (alert.of_node, label) != ("instance", "ident")


def _filled(text: str, labels: Mapping[str, str]) -> str:
    """An annotation with its labels in place, as Prometheus fills it."""
    for name, value in labels.items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return text


def _played(scene: Scene, names: frozenset[str], *, firing: bool) -> Series:
    """What agents would have stored of the scene's fleet, or of the same without its fault; only these metrics."""
    end = FAULT + scene.after_seconds
    faults = []
    if firing and scene.fault != "-":
        faults = [("*" if scene.everywhere else "1", Fault(scene.fault or scene.check, _fault_begins(scene)))]
    played: Series = {}
    for number, spec in enumerate(_specs(scene, faults)):
        series = _stored(spec, names, end, scene.step)
        for edit in scene.edits if firing and number == 0 else ():
            _edit(series, edit)
        played |= series
        if scene.cluster and NODE_INFO in names:
            until = FAULT if firing and number == 0 and scene.cluster == "loses" else end
            known = make_labels({METRIC_NAME: NODE_INFO, "ident": spec.ident})
            played[known] = dict.fromkeys(range(START, until + 1, scene.step), 1.0)
    return played


def _fault_begins(scene: Scene) -> float:
    """A fault that is about how a process starts is older than the process."""
    is_old = scene.from_start or EFFECTS[scene.fault or scene.check].from_start
    return float(START - STEP if is_old else FAULT)


def _specs(scene: Scene, faults: Sequence[tuple[str, Fault]] = ()) -> list[NodeSpec]:
    options = FleetOptions(proxies=scene.proxies, quiet=scene.quiet)
    return make_specs(scene.nodes, float(START), faults, options, age_seconds=(0.0, 0.0))


def _idents(scene: Scene) -> list[str]:
    return [spec.ident for spec in _specs(scene)]


def _instance(ident: str) -> str:
    return f"http://{ident}:10249/metrics"


def _stored(spec: NodeSpec, names: frozenset[str], end: int, step: int) -> Series:
    """One node's series; what a scrape no longer has gets a staleness marker, as the agent sends it."""
    identity = Identity((("instance", _instance(spec.ident)),), (("job", "kube-proxy"),), (), spec.ident)
    series: Series = {}
    before: list[tuple[int, Labels]] = []
    layout: Layout | None = None
    for frame in _frames(spec, identity, end, step):
        at = frame.timestamp_ms // 1000
        if at > end:
            break
        now = before
        if frame.layout is not layout:
            columns = enumerate(frame.layout.columns)
            now = [(place, join_target(frame.target, each)) for place, each in columns if metric_name(each) in names]
            for labels in {labels for _, labels in before} - {labels for _, labels in now}:
                series[labels][at] = STALE
        for place, labels in now:
            series.setdefault(labels, {})[at] = float(frame.values[place])
        before, layout = now, frame.layout
    return series


def _frames(spec: NodeSpec, identity: Identity, end: int, step: int) -> list[Frame]:
    """A node's scrapes until `end` at least; a healthy node is in many scenes."""
    kept = _KEPT_FRAMES.setdefault((spec, step), [])
    instants = range(-(-(START + 2 * STEP) // step) * step, max(end, FAULT + 900) + 1, step)
    if not kept or kept[-1].timestamp_ms < instants[-1] * 1000:
        kept[:] = frames(SimulatedNode(spec), identity, (at * 1000 for at in instants))
    return kept


_KEPT_FRAMES: dict[tuple[NodeSpec, int], list[Frame]] = {}


def _edit(series: Series, edit: Edit) -> None:
    for labels, values in list(series.items()):
        if metric_name(labels).endswith(edit.metric) and _is_meant(labels, edit.matching):
            at_fault = next((values[at] for at in reversed(values) if at <= FAULT), 0.0)
            for at in [at for at in values if at > FAULT or edit.becomes == "never"]:
                if edit.becomes in ("drop", "never"):
                    del values[at]
                else:
                    values[at] = at_fault if edit.becomes == "freeze" else float(edit.number)


def _is_meant(labels: Labels, matching: tuple[str, str]) -> bool:
    name, value = matching
    return not name or (label_value(labels, name) == value.lstrip("!")) != value.startswith("!")


def _names(queries: Iterable[str]) -> Iterator[str]:
    """Metrics that are asked for."""
    for query in queries:
        for selector in _selectors(query):
            named = next(each for each in selector.matchers if each.name == METRIC_NAME)
            yield from (name for name in _known_names() if named.test(name))


@cache
def _selectors(query: str) -> tuple[Selector, ...]:
    """What an alert asks for; the same alerts are in many scenes."""
    return tuple(selectors(query))


@cache
def _known_names() -> tuple[str, ...]:
    """Of all series that a kube-proxy and its agent may have."""
    rows = knowledge().metrics
    return tuple(row.name + end for row in rows for end in ("", "_bucket", "_sum", "_count"))


def _wanted(played: Series, queries: Iterable[str], *, plain: bool) -> Series:
    """Those series that the queries select, with the labels that such a user has."""
    asked = [selector.matchers for query in queries for selector in _selectors(query)]
    of_name = {
        name: [matchers for matchers in asked if next(one for one in matchers if one.name == METRIC_NAME).test(name)]
        for name in {metric_name(labels) for labels in played}
    }
    found = {
        labels: values
        for labels, values in played.items()
        if any(matches_all(each, labels) for each in of_name[metric_name(labels)])
    }
    if not plain:
        return found
    return {tuple(pair for pair in labels if pair[0] != "ident"): values for labels, values in found.items()}


def written_series(labels: Labels) -> str:
    """As promtool has it: `name{label="value"}`."""
    pairs = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels if name != METRIC_NAME)
    return f"{label_value(labels, METRIC_NAME)}{{{pairs}}}"


def notation(values: Mapping[int, float], end: int, step: int) -> str:
    """Samples from 0 to `end`, so far apart, as promtool takes them: `_` none, `a+bxn` n more, each b greater."""
    samples = [values.get(at) for at in range(0, end + 1, step)]
    words, place = [], 0
    while place < len(samples):
        value = samples[place]
        run = 1
        if value is None or math.isnan(value):
            word = "_" if value is None else "stale"
            while value is None and place + run < len(samples) and samples[place + run] is None:
                run += 1
            words.append(f"_x{run}" if run > 1 else word)
        else:
            run, rise = _run(samples, place)
            first = format_plain(value)
            words.append(f"{first}{'+' if rise >= 0 else '-'}{format_plain(abs(rise))}x{run - 1}" if run > 1 else first)
        place += run
    return " ".join(words)


def _run(samples: Sequence[float | None], place: int) -> tuple[int, float]:
    """(how many samples from here on keep the same distance, the distance); whole numbers only, where it is not 0."""
    numbers = [value if value is not None else math.nan for value in samples[place:]]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else math.nan
    if math.isnan(step) or (step and not (numbers[0].is_integer() and step.is_integer())):
        return 1, 0.0
    run = 2
    while run < len(numbers) and numbers[run] - numbers[run - 1] == step:
        run += 1
    return (run, step) if run > 2 or not step else (1, 0.0)
