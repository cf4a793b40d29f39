"""Every fault of the simulator where a person looks for it: a row of the fleet, the node's page, its charts.

One hub with all of them at once: half an hour as agents would have stored it, a node for each fault and a few without.
"""

from __future__ import annotations

import json
import re
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from playwright.sync_api import expect

from kpwatch.simulate.faults import EFFECTS
from tests.e2e import page_scene
from tests.e2e.page_scene import now_ms
from tests.past import store_past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.e2e.conftest import Visit

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow]

ARRIVAL_MS = 60_000
HEALTHY = 3
SECONDS = 1980.0
STEP_SECONDS = 60
AGO_SECONDS = 1400.0
"""Since when there are faults: longer than any check waits, and a window more."""
AGO = {
    "restarted": 300.0,
    "never-synced": 300.0,
    "node-missing": 300.0,
    "no-local-endpoints": 200.0,
    "memory-growing": 1800.0,
}
"""Those that are told of while they are young, or that take long to be told from growth."""
GONE_SECONDS = 420.0
OF_THE_FLEET = {"version-skew", "mode-skew"}
"""They are about no single node, and are told after an hour: of nodes that are written by hand."""
SHOWN_AS = {
    "full-sync-slow": "sync-slow",
    "node-missing": "node-draining",
    "partial-restore-failing": "restore-failing",
}
"""Where another check may see more: full syncs are most of the slow ones; the Node was there ten minutes ago; whether a
partial write failed in the window is the hour's luck."""
WITHOUT_CHART = {"not-kube-proxy"}
"""Nothing of kube-proxy's is there to draw."""
BY_HAND = {"upgraded", "other"}
OLD, NEW = "v1.34.9", "v1.36.3"


class Shown(NamedTuple):
    """What a chart says of a fault: `text`, a regular expression, in a part of its panel."""

    panel: str
    part: str
    text: str


CHARTS = {
    "sync-failing": Shown("state", ".now", "not syncing"),
    "never-synced": Shown("state", ".now", "never synced"),
    "unreachable": Shown("state", ".now", "not scraped"),
    "node-draining": Shown("health", ".now", "draining"),
    "metrics-refused": Shown("health", ".now", "metrics silent"),
    "fds-exhausted": Shown("fds", ".u-legend", "100 %$"),
    "api-unreachable": Shown("api-errors", ".u-legend", "error"),
    "backlog-stuck": Shown("pending", ".u-series:last-child .u-value", r"^[1-9]\d+"),
}

ROWS = """() => Object.fromEntries([...document.querySelectorAll("tbody tr")].map((row) => [
  row.querySelector("a").textContent,
  [row.querySelector(".badge").textContent, row.querySelector("[data-column=finding]").title],
]))"""

# The node page of each, one after the other as a click on a link opens them; what is said of each finding.
NODES = """async (idents) => {
  const drawn = () => new Promise(requestAnimationFrame);
  const findingOf = (element) => ({
    severity: element.dataset.tone,
    word: element.querySelector(".badge").textContent,
    evidence: element.querySelectorAll(".evidence dd").length,
    steps: element.querySelectorAll(".steps li").length,
    charts: [...element.querySelectorAll(".charts a")].map((link) => new URL(link.href).hash.slice(1)),
  });
  const told = {};
  for (const ident of idents) {
    history.pushState(null, "", `node?ident=${encodeURIComponent(ident)}`);
    dispatchEvent(new PopStateEvent("popstate"));
    while (document.querySelector("h1")?.textContent !== ident || !document.querySelector(".findings")) await drawn();
    told[ident] = {};
    for (const each of document.querySelectorAll(".finding")) {
      told[ident][each.querySelector("h2 code").textContent] = findingOf(each);
    }
  }
  return told;
}"""


class Fleet(NamedTuple):
    """A hub with every fault: its URL, fault -> ident, ident -> check -> severity as its API has them."""

    url: str
    idents: dict[str, str]
    found: dict[str, dict[str, str]]

    def check(self, fault: str) -> str:
        """The check that tells of a fault."""
        return fault if fault in self.found[self.idents[fault]] else SHOWN_AS[fault]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """And two nodes more: one that became another version a few minutes ago, one in another mode."""
    folder = tmp_path_factory.mktemp("faults")
    names = [name for name in [*EFFECTS, "silent-node"] if name not in OF_THE_FLEET]
    idents = store_past(
        folder / "data",
        dict.fromkeys(names, AGO_SECONDS) | AGO,
        healthy=HEALTHY,
        seconds=SECONDS,
        gone_seconds=GONE_SECONDS,
        proxies=("1.36.3-iptables", "1.36.3-nftables"),
        step_seconds=STEP_SECONDS,
    )
    with page_scene.hub(folder) as url:
        page_scene.write(
            url, [*by_hand("upgraded", "iptables", [(OLD, 4200), (NEW, 300)]), *by_hand("other", "ipvs", [(NEW, 4200)])]
        )
        with urllib.request.urlopen(f"{url}/api/kpwatch/v1/findings?lang=en", timeout=60) as answer:
            nodes: list[dict[str, Any]] = json.load(answer)["nodes"]
        found = {each["ident"]: {one["check"]: one["severity"] for one in each["findings"]} for each in nodes}
        yield Fleet(url, idents, found)


def by_hand(
    ident: str, mode: str, versions: list[tuple[str, int]]
) -> Iterator[tuple[dict[str, str], list[tuple[int, float]]]]:
    """Series of a node that was started as each version so many seconds ago."""
    now = now_ms()
    about = {"ident": ident, "instance": ident, "job": "kube-proxy"}
    ends = [since for _, since in versions[1:]] + [-1]
    lives = [
        (version, since, range(since, end, -STEP_SECONDS)) for (version, since), end in zip(versions, ends, strict=True)
    ]
    ages = [age for _, _, life in lives for age in life]
    for name, labels in (("up", {}), ("kpwatch_proxy_mode_info", {"mode": mode})):
        yield {"__name__": name, **labels, **about}, [(now - age * 1000, 1.0) for age in ages]
    starts = [(now - age * 1000, now / 1000 - since - 1) for _, since, life in lives for age in life]
    yield {"__name__": "process_start_time_seconds", **about}, starts
    for version, _, life in lives:
        labels = {"__name__": "kubernetes_build_info", "git_version": version, **about}
        yield labels, [(now - age * 1000, 1.0) for age in life]


def opened(visit: Visit, fleet: Fleet, path: str = "/") -> Page:
    """A page of its fleet, with all its rows known."""
    page = visit(fleet.url, path)
    page.locator("tbody tr, .findings").first.wait_for(timeout=ARRIVAL_MS)
    return page


def test_every_fault_is_a_row_with_its_check_and_verdict(visit: Visit, fleet: Fleet) -> None:
    """The worst severity in words, the check's id and summary; others are ok; what is the fleet's stands above."""
    page = opened(visit, fleet)
    rows: dict[str, tuple[str, str]] = page.evaluate(ROWS)
    assert set(rows) == {*fleet.found}
    unseen = {name for name, ident in fleet.idents.items() if f"{fleet.check(name)}: " not in rows[ident][1]}
    assert unseen == set()
    for ident, checks in fleet.found.items():
        worst = min(checks.values(), key=["critical", "warning", "info"].index, default="")
        assert rows[ident][0] == (worst if worst in ("critical", "warning") else rows[ident][0]) != "silent", ident
    assert {tuple(rows[ident]) for ident in set(rows) - set(fleet.idents.values()) - BY_HAND} == {("ok", "")}
    told = page.get_by_role("list", name="Findings of the fleet")
    for name in OF_THE_FLEET:
        expect(told.get_by_role("listitem").filter(has_text=name)).to_have_count(1)


def test_every_faults_page_has_evidence_steps_and_the_charts_that_show_it(visit: Visit, fleet: Fleet) -> None:
    """Links lead to panels that stand on the page; a chart tells of the last moment without a cursor."""
    page = opened(visit, fleet, f"/node?ident={fleet.idents['sync-failing']}")
    page.locator("[data-panel=state]").wait_for(timeout=ARRIVAL_MS)
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({**size, "height": 200})  # nothing is asked for charts that are not near
    told = page.evaluate(NODES, list(fleet.idents.values()))
    page.set_viewport_size(size)
    panels = set(page.evaluate("[...document.querySelectorAll('.panel')].map(({ id }) => id)"))
    for name, ident in fleet.idents.items():
        check = fleet.check(name)
        finding = told[ident][check]
        assert finding["severity"] == finding["word"] == fleet.found[ident][check], name
        assert finding["steps"] > 0, name
        assert finding["evidence"] > 0, name
        assert bool(finding["charts"]) == (name not in WITHOUT_CHART), name
        assert set(finding["charts"]) <= panels, name
    for name, shown in CHARTS.items():
        page.evaluate(NODES, [fleet.idents[name]])
        page.locator(f".finding .charts a[href$='#panel-{shown.panel}']").first.click()
        panel = page.locator(f"[data-panel={shown.panel}]")
        expect(panel.locator(shown.part)).to_have_text(re.compile(shown.text), timeout=ARRIVAL_MS)
        expect(panel).to_be_in_viewport()


def test_restarts_and_versions_stand_above_the_charts(visit: Visit, fleet: Fleet) -> None:
    """In words, with their time, where they fall into the time that is shown."""
    page = opened(visit, fleet, "/node?ident=upgraded")
    events = page.get_by_role("list", name="Restarts and version changes")
    expect(events.get_by_role("listitem")).to_have_count(1, timeout=ARRIVAL_MS)
    expect(events).to_have_text(re.compile(rf"\d\d:\d\d:\d\d .+ restart · {re.escape(NEW)}"))
    page.get_by_role("button", name="中文").click()
    events = page.get_by_role("list", name="重启与版本变更")
    expect(events).to_have_text(re.compile(rf"重启 · {re.escape(NEW)}"))
    page.goto(f"{fleet.url}/node?ident={fleet.idents['restarted']}")
    expect(events).to_have_text(re.compile("重启$"), timeout=ARRIVAL_MS)
