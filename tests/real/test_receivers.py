"""What the agent scrapes is what real receivers answer: every sample by name, labels and value, and its end too."""

from __future__ import annotations

import json
import math
import shutil
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from kpwatch.agent import build
from kpwatch.base.logs import Logger
from kpwatch.config.options import AgentOptions
from tests.agents import HOSTNAME, RunningAgent, target, writer
from tests.e2e.hub_scene import HubProcess
from tests.real.prometheus import running_prometheus
from tests.real.victoria_metrics import running_victoria_metrics, show_everything
from tests.servers import Request, Server, response, serves

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from kpwatch.agent import Agent

Series = frozenset[tuple[str, str]]

CAPTURES = (
    "real-1.20.2-iptables-churn.txt",
    "real-1.26.0-iptables-sync-fail-70s.txt",
    "real-1.30.3-nftables-churn.txt",
    "real-1.36.3-iptables-apiserver-down.txt",
    "real-1.36.3-nftables-200svc.txt",
)

ODD_BODY = r"""# TYPE s summary
s{quantile="0.50"} NaN
s{quantile="1"} 0.1
s_sum NaN
s_count 0
# TYPE h histogram
h_bucket{le="1.0"} 1
h_bucket{le="1000000"} 2
h_bucket{le="+Inf"} 2
nan NaN
inf +Inf
minus_inf -Inf
zero 0
huge 1e+21
tiny -1.25e-09
third 0.3333333333333333
m{text="quote \" backslash \\ newline \n",node="节点",empty=""} 1
"""


class Receiver(NamedTuple):
    """A receiver that runs, and what is its own."""

    url: str
    write_path: str
    show: Callable[[str], None]
    """Helps what was written to become visible."""
    patience_seconds: float
    """How long what was acknowledged may be invisible to queries."""
    keeps_nan: bool
    exact: bool
    """Whether a float comes back with all its bits."""
    version: str = "1.0"
    """Of Remote Write, as it turns out."""
    tls: ssl.SSLContext | None = None
    """How it is asked."""

    def latest(self, instance: str) -> dict[Series, float]:
        """Every series of a target that lives now, with its value, by the receiver's own query API.

        Without those about its scrape (`scrape_*`), whose values nobody can foretell.
        """
        self.show(self.url)
        query = urllib.parse.urlencode({"query": f'{{instance="{instance}"}}', "nocache": 1})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=60, context=self.tls) as answer:
            result = json.load(answer)["data"]["result"]
        return {
            frozenset(one["metric"].items()): float(one["value"][1])
            for one in result
            if not one["metric"]["__name__"].startswith("scrape_")
        }

    def latest_when(self, instance: str, right: Callable[[dict[Series, float]], bool]) -> dict[Series, float]:
        """`latest` as soon as it is right, or after all patience."""
        deadline = time.monotonic() + self.patience_seconds
        found = self.latest(instance)
        while not right(found) and time.monotonic() < deadline:
            time.sleep(0.1)  # a poll with a deadline: nobody tells when new data is visible
            found = self.latest(instance)
        return found

    def differs(self, found: float, expected: float) -> bool:
        """Whether a value is not the one that was scraped."""
        if math.isnan(expected) or self.exact:
            return not (found == expected or (math.isnan(found) and math.isnan(expected)))
        return not math.isclose(found, expected, rel_tol=1e-11)


@contextmanager
def prometheus(folder: Path) -> Iterator[Receiver]:
    """Debian's Prometheus."""
    with running_prometheus(folder) as server:
        yield Receiver(server.url, "/api/v1/write", lambda _: None, 0, keeps_nan=True, exact=True)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[Receiver]:
    """Debian's VictoriaMetrics: it stores decimals of some twelve digits, and no NaN."""
    with running_victoria_metrics(folder) as url:
        yield Receiver(url, "/api/v1/write", show_everything, 60, keeps_nan=False, exact=False)


@contextmanager
def newer_victoria_metrics(folder: Path) -> Iterator[Receiver]:
    """A VictoriaMetrics of these years, where somebody built one: it answers 2.0 with 204 too, and stores nothing."""
    with running_victoria_metrics(folder, executable=NEWER_VICTORIA_METRICS) as url:
        yield Receiver(url, "/api/v1/write", show_everything, 60, keeps_nan=False, exact=False)


@contextmanager
def our_hub(folder: Path) -> Iterator[Receiver]:
    """Ours, by Prometheus' path."""
    with HubProcess(folder) as hub:
        yield Receiver(hub.url, "/api/v1/write", lambda _: None, 0, keeps_nan=True, exact=True, version="2.0")


@contextmanager
def our_hub_by_nightingales_path(folder: Path) -> Iterator[Receiver]:
    """Ours, by the path where the receiver renames `agent_hostname`."""
    with HubProcess(folder) as hub:
        yield Receiver(hub.url, "/prometheus/v1/write", lambda _: None, 0, keeps_nan=True, exact=True, version="2.0")


NEWER_VICTORIA_METRICS = shutil.which("victoria-metrics", path=str(Path.home() / "go" / "bin")) or ""

STARTERS = [
    pytest.param(prometheus, id="prometheus", marks=pytest.mark.real("prometheus")),
    pytest.param(victoria_metrics, id="victoria-metrics", marks=pytest.mark.real("victoria-metrics")),
    pytest.param(our_hub, id="hub"),
    pytest.param(our_hub_by_nightingales_path, id="hub by Nightingale's path"),
]


if NEWER_VICTORIA_METRICS:
    STARTERS.append(pytest.param(newer_victoria_metrics, id="newer victoria-metrics"))


@pytest.fixture(scope="module", params=STARTERS)
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Each receiver in turn, empty at first."""
    with request.param(tmp_path_factory.mktemp("receiver")) as running:
        yield running


def expected_series(body: str, instance: str) -> dict[Series, float]:
    """What a receiver must hold of a body, by an independent parser and the words of the documentation."""
    counters = {
        line.split()[2] for line in body.splitlines() if line.startswith("# TYPE ") and line.endswith(" counter")
    }
    own = {"instance": instance, "job": "kube-proxy", "ident": HOSTNAME}
    expected = {frozenset({"__name__": "up", **own}.items()): 1.0}
    for family in text_string_to_metric_families(body):
        renamed = family.type == "counter" and family.name in counters  # the parser adds _total
        for sample in family.samples:
            name = sample.name.removesuffix("_total") if renamed else sample.name
            labels = {label: value for label, value in sample.labels.items() if value}
            for number in {"le", "quantile"} & labels.keys():
                labels[number] = floatToGoString(float(labels[number])).removesuffix(".0")
            expected[frozenset({**labels, "__name__": name, **own}.items())] = sample.value
    return expected


def test_every_sample_arrives(receiver: Receiver, shared_dir: Path) -> None:
    """Bodies of many versions and one of odd values, read back whole: nothing is lost, added or changed."""
    bodies = {name: (shared_dir / "captures" / name).read_bytes() for name in CAPTURES}
    bodies["odd"] = ODD_BODY.encode()
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(Server(serves(lambda _, body=body: response(body))))
            for name, body in bodies.items()
        }
        targets = [target(server.url(), name, labels=(("job", "kube-proxy"),)) for name, server in servers.items()]
        agent = build(
            AgentOptions(HOSTNAME, tuple(targets), (writer(receiver.url + receiver.write_path),)),
            log=Logger(print),
        )
        assert agent.run_once()
        assert version_in_use(agent) == receiver.version
    for name, body in bodies.items():
        expected = expected_series(body.decode(), name)
        if not receiver.keeps_nan:
            expected = {series: value for series, value in expected.items() if not math.isnan(value)}
        found = receiver.latest_when(name, lambda found, expected=expected: found.keys() == expected.keys())
        assert sorted(map(sorted, expected.keys() - found.keys())) == []
        assert sorted(map(sorted, found.keys() - expected.keys())) == []
        different = {
            series: (found[series], value)
            for series, value in expected.items()
            if receiver.differs(found[series], value)
        }
        assert different == {}, name


def version_in_use(agent: Agent) -> str:
    """What the agent's only writer found out."""
    name = "kpwatch_agent_writer_protocol_info"
    (version,) = (dict(pairs)["protocol"] for full, pairs, value in agent.registry.samples() if full == name and value)
    return version


class Body:
    """A target whose answer the test changes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def __call__(self, _: Request) -> bytes:
        return self.answer


def test_what_ends_is_gone_at_once(receiver: Receiver) -> None:
    """A series that left its body and the series of a target that failed are no answer any more, minutes too early
    for any lookback: the receiver has understood the staleness markers.
    """
    loses, fails = Body(response(b"stays 1\ngoes 1\n")), Body(response(b"stays 1\ngoes 1\n"))
    with (
        Server(serves(loses)) as losing,
        Server(serves(fails)) as failing,
        RunningAgent(
            [target(losing.url(), "loses"), target(failing.url(), "fails")],
            [writer(receiver.url + receiver.write_path)],
        ) as agent,
    ):
        for server in (losing, failing):
            server.wait_for_requests(2)
        loses.answer, fails.answer = response(b"stays 2\n"), response(b"no", 500)
        for server in (losing, failing):
            server.wait_for_requests(len(server.requests) + 3)
        agent.stop()
        assert agent.counted("samples_refused") == 0
    assert named(receiver, "loses", {"stays": 2.0, "up": 1.0}) == {"stays": 2.0, "up": 1.0}
    assert named(receiver, "fails", {"up": 0.0}) == {"up": 0.0}


def named(receiver: Receiver, instance: str, expected: dict[str, float]) -> dict[str, float]:
    """A target's living series by name alone; `expected` is what a slow receiver is waited for."""

    def names(found: dict[Series, float]) -> dict[str, float]:
        return {dict(series)["__name__"]: value for series, value in found.items()}

    return names(receiver.latest_when(instance, lambda found: names(found) == expected))
