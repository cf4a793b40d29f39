"""Every metric of ours is explained: those a running agent and hub show, and those their code may show one day.

Where one of these fails a metric is new, or has changed: its row stands in knowledge/kube_proxy.toml, [[metric]].
"""

from __future__ import annotations

import ast
import re
import urllib.request
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import kpwatch
from kpwatch.base.http import Answer, Failure
from kpwatch.base.server_options import ServerOptions
from kpwatch.exposition.text import parse
from kpwatch.hub import HubOptions, build
from kpwatch.knowledge.load import knowledge
from kpwatch.operate.self_metrics import PREFIX
from kpwatch.scrape.about import ScrapeSize, about_scrape
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.health_documents import read_config, read_healthz, read_livez, read_proxy_mode
from kpwatch.scrape.target import Outcome
from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver
from tests.servers import Server, refused_port, response, serves

SOURCE = Path(kpwatch.__file__).parent
NAME = re.compile(r"kpwatch_(?:agent|hub|store|kubernetes)_\w*[a-z0-9]")
EXPOSED_BY = {group.id: group.exposed_by for group in knowledge().metric_groups}
ROWS = {row.name: row for row in knowledge().metrics}


class Shown(NamedTuple):
    """A family on a metrics page."""

    name: str
    type: str
    labels: frozenset[str]


@cache
def named_in_code() -> frozenset[str]:
    """Every string in our code that is a metric's name."""
    return frozenset(
        node.value
        for path in SOURCE.rglob("*.py")
        if "knowledge" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    )


def shown(page: str) -> list[Shown]:
    """The families of a metrics page of ours."""
    parsed = parse(page.encode())
    labels: dict[str, set[str]] = {name: set() for name in parsed.types}
    for sample in parsed.samples:
        labels[sample.name] |= {name for name, _ in sample.labels}
    return [Shown(name, kind, frozenset(labels[name])) for name, kind in parsed.types.items()]


@pytest.fixture(scope="module")
def agent_page() -> list[Shown]:
    """What an agent shows that has scraped and delivered, and failed to scrape."""
    with (
        Server(serves(lambda _: response(b"a 1\nb 2\n"))) as page,
        Receiver() as receiver,
        RunningAgent(
            [target(page.url()), target(f"http://127.0.0.1:{refused_port()}/metrics", "gone")],
            [writer(receiver.url(""))],
            endpoint=ServerOptions("127.0.0.1", 0),
        ) as running,
    ):
        receiver.wait_for_requests(2)
        running.wait_for_line("ECONNREFUSED")
        return shown(running.agent.registry.render())


@pytest.fixture(scope="module")
def hub_page(tmp_path_factory: pytest.TempPathFactory) -> list[Shown]:
    """What a hub shows that has been asked something."""
    hub = build(HubOptions(tmp_path_factory.mktemp("hub"), port=0))
    hub.start()
    try:
        with urllib.request.urlopen(f"{hub.url}/api/v1/query?query=1", timeout=30):
            return shown(hub.telemetry.render())
    finally:
        hub.stop()


def differences(page: list[Shown]) -> list[tuple[Shown, object]]:
    """Families without a row, or with one that says something else."""
    rows = [(family, ROWS.get(family.name)) for family in page]
    return [
        (family, row)
        for family, row in rows
        if row is None or row.type != family.type or family.labels != {label.name for label in row.labels}
    ]


def test_everything_an_agent_shows_is_explained(agent_page: list[Shown]) -> None:
    """With its type and its labels; also as it is written to receivers, where all begins with kpwatch_agent_."""
    assert {"kpwatch_agent_scrapes_failed_total", "process_open_fds"} <= {family.name for family in agent_page}
    assert differences(agent_page) == []
    written = [family for family in agent_page if not family.name.startswith(PREFIX)]
    assert differences([family._replace(name=PREFIX + family.name) for family in written]) == []


def test_everything_a_hub_shows_is_explained(hub_page: list[Shown]) -> None:
    """With its type and its labels."""
    assert {"kpwatch_hub_http_requests_total", "kpwatch_store_series"} <= {family.name for family in hub_page}
    assert differences(hub_page) == []


def test_everything_our_code_may_show_is_explained(agent_page: list[Shown], hub_page: list[Shown]) -> None:
    """Counters too that appear with the first fault; and nothing is explained that no code shows."""
    assert named_in_code() - ROWS.keys() == set()
    ours = {name for name, row in ROWS.items() if EXPOSED_BY[row.group] in ("agent", "hub")}
    on_pages = {name for family in [*agent_page, *hub_page] for name in (family.name, PREFIX + family.name)}
    assert ours - named_in_code() - on_pages == set()


def said_by_scrapers() -> dict[str, set[str]]:
    """Names and labels of what is said about scrapes and health pages, in every shape."""
    new = (
        b'{"currentTime":"2026-11-22T18:59:44Z","nodeEligible":true,'
        b'"status":{"IPv4":{"lastUpdated":"2026-11-22T18:59:41Z"}}}'
    )
    old = b'{"lastUpdated":"2026-11-22 19:22:11.56 +0000 UTC m=+9.92","currentTime":"2026-11-22 19:22:12 +0000 UTC"}'
    samples = []
    for error in (None, ScrapeError("refused", "")):
        samples += about_scrape(ScrapeSize(Outcome(0, 0.0, b"")), error)
    for answer in (Failure("refused", ""), Answer(200, {}, new), Answer(503, {}, old)):
        samples += read_healthz(answer, 0.0).samples + read_livez(answer).samples
    samples += read_proxy_mode(Answer(200, {}, b"iptables")).samples + read_config(Answer(200, {}, b"{}")).samples
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(name for name, _ in sample.labels)
    return labels


def test_what_scrapers_say_is_explained() -> None:
    """`up`, `scrape_*` and the health pages: name for name, label for label, both ways."""
    explained = {
        name: {label.name for label in row.labels} for name, row in ROWS.items() if EXPOSED_BY[row.group] == "scraper"
    }
    assert said_by_scrapers() == explained
