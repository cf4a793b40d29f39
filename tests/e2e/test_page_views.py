"""Every page with the demo's cluster: what stands on it, in both languages, on every screen, for everybody."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page_scene import CONTRAST, NAMELESS, serving
from tests.parts import require

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.conftest import Visit

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow]

ARRIVAL_MS = 60_000
FAILING = "10.206.0.11"
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

# Contrast is CONTRAST's, which looks at every text and takes a tenth of the time.
AXE_OPTIONS = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}

# path -> what shows that the page has come: a selector
PAGES = {
    "/": "tbody tr .badge",
    f"/node?ident={FAILING}": "[data-panel=behind] canvas",
    "/slo": "[data-panel=programming-p99] canvas",
    "/table?q=up": "tbody tr",
    "/table?q=up&tab=graph": ".chart canvas",
    "/dictionary?name=sync-failing": ".entry[open] .steps",
    "/alerts": ".entries .entry",
    "/targets": "tbody tr .badge",
    "/about": ".evidence dt",
}
LOOKS = [
    {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}, "locale": "en-US"},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "zh-CN"},
]
OTHER_WHEN_SMALL = ("/", "/targets", "/table?q=up")
"""What axe looks at twice: elsewhere a small screen has the same elements."""


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, which judges accessibility."""
    return require(AXE if AXE.exists() else None, "web/node_modules/axe-core (make page)").read_text()


def arrive(page: Page, path: str) -> None:
    """Wait for what the page is for; charts come when they are near the window."""
    near = PAGES[path].removesuffix(" canvas")
    expect(page.locator(near).first).to_be_visible(timeout=ARRIVAL_MS)
    page.locator(near).first.scroll_into_view_if_needed()
    expect(page.locator(PAGES[path]).first).to_be_visible(timeout=ARRIVAL_MS)


@pytest.mark.parametrize("look", LOOKS, ids=["light-wide-en", "dark-phone-zh"])
def test_every_page_is_for_everybody(visit: Visit, demo: str, axe: str, look: dict[str, object]) -> None:
    """Axe finds nothing serious; contrast is WCAG AA's; controls have names; nothing is wider than the screen."""
    page = visit(demo, "/", **look)
    for path in PAGES:
        page.goto(demo + path)
        arrive(page, path)
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate(NAMELESS) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if look is not LOOKS[0] and path not in OTHER_WHEN_SMALL:
            continue
        page.evaluate(axe)
        found = page.evaluate("(options) => axe.run(options)", AXE_OPTIONS)["violations"]
        serious = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], (path, json.dumps(serious, indent=1))


def test_the_menu_reaches_every_page(visit: Visit, demo: str) -> None:
    """Real links in a <nav>, without loading the page again; Back goes back; both languages name them."""
    page = visit(demo, "/")
    page.evaluate("window.kept = true")
    menu = page.get_by_role("navigation")
    names = menu.get_by_role("link").all_inner_texts()
    assert names == ["Fleet", "SLO", "Table view", "Dictionary", "Alerts", "Targets", "About"]
    for name in names[1:]:
        menu.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("h1").first).to_be_attached()
        expect(menu.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page).to_have_url(re.compile("/targets$"))
    assert page.evaluate("window.kept") is True
    page.get_by_role("button", name="中文").click()
    assert menu.get_by_role("link").all_inner_texts() == [
        *("节点总览", "SLO", "表格视图", "词典", "告警", "采集目标", "关于")
    ]


def test_the_failing_nodes_page_says_what_and_what_to_do(visit: Visit, demo: str) -> None:
    """Verdict, finding with check id, evidence, steps with the node's name in them; then charts from the panels."""
    page = visit(demo, "/")
    row = page.locator("tbody tr", has_text="sync-failing")
    expect(row).to_be_visible(timeout=ARRIVAL_MS)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(FAILING)
    finding = page.locator(".finding", has_text="sync-failing")
    expect(finding.locator(".badge")).to_have_text("critical", timeout=ARRIVAL_MS)
    expect(finding.locator(".steps")).to_contain_text(f"spec.nodeName={FAILING}")
    expect(finding.locator(".evidence div").first).to_be_visible()
    heads = page.locator(".section > h2").all_inner_texts()
    assert heads[:2] == ["Is it syncing", "How late are changes"]
    page.locator("[data-panel=state]").scroll_into_view_if_needed()
    expect(page.locator("[data-panel=state] .now")).to_have_text("not syncing", timeout=ARRIVAL_MS)
    panel = page.locator("[data-panel=behind]")
    panel.scroll_into_view_if_needed()
    expect(panel.locator("canvas")).to_be_visible()
    panel.get_by_text("PromQL").click()
    expect(panel.locator("pre")).to_contain_text("kubeproxy_sync_proxy_rules_last_timestamp_seconds")
    expect(panel.get_by_role("link")).to_have_attribute("href", re.compile(r"/table\?q=.+&tab=graph"))


def test_all_charts_have_one_cursor_and_one_time(visit: Visit, demo: str) -> None:
    """Hovering one reads the others at that time; dragging chooses a time, which stands in the URL; presets undo it."""
    page = visit(demo, f"/node?ident={FAILING}")
    panels = [page.locator(f"[data-panel={name}]") for name in ("behind", "sync-rate")]
    expect(panels[0]).to_be_visible(timeout=ARRIVAL_MS)
    panels[0].scroll_into_view_if_needed()
    for panel in panels:
        expect(panel.locator("canvas")).to_be_visible(timeout=ARRIVAL_MS)
    area = panels[0].locator(".u-over")
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    for panel in panels:
        expect(panel.locator(".u-series").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 20, steps=3)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
    expect(page.get_by_role("switch", name="Live")).to_be_disabled()
    page.get_by_role("button", name="15m", exact=True).click()
    expect(page).to_have_url(re.compile(r"range=15m$"))


def test_the_graph_says_what_the_api_answers(visit: Visit, demo: str) -> None:
    """One line per series, named by its labels; the range as CSV; the query is in the history and in the link."""
    page = visit(demo, "/table?q=up&tab=graph")
    expect(page.locator(".chart canvas")).to_be_visible(timeout=ARRIVAL_MS)
    expect(page.locator(".u-series")).to_have_count(7)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV of the range").click()
    head = Path(download.value.path()).read_text().splitlines()[0]
    assert head.startswith("time,local_time,")
    assert FAILING in head
    page.get_by_text("History").click()
    expect(page.locator(".choices").get_by_role("button", name="up", exact=True)).to_be_visible()


def test_the_dictionary_is_searched_and_shows_a_nodes_values(visit: Visit, demo: str) -> None:
    """Words find metrics and checks in the page's language; the open entry and the node stand in the URL."""
    page = visit(demo, "/dictionary")
    page.get_by_label("Search metrics and checks").fill("last_timestamp")
    expect(page.locator(".entry code").first).to_have_text("kubeproxy_sync_proxy_rules_last_timestamp_seconds")
    page.get_by_label("Values of").select_option(FAILING)
    page.locator(".entry summary").first.click()
    expect(page.locator(".entry[open] .values td").last).to_have_text(re.compile(r"\d{4}-\d\d-\d\d"))
    assert "name=kubeproxy_sync_proxy_rules_last_timestamp_seconds" in page.url
    page.get_by_role("button", name="中文").click()
    page.get_by_label("搜索指标与检查项").fill("同步持续失败")
    expect(page.locator(".entry code").first).to_have_text("sync-failing")


def test_agents_can_be_taken_along(visit: Visit, demo: str) -> None:
    """The manifest of the agent has this hub's address in it; boards and rules come as they are published."""
    page = visit(demo, "/about")
    with page.expect_download(timeout=ARRIVAL_MS) as download:
        page.get_by_role("link", name="Download kpwatch-agent.yaml").click()
    text = Path(download.value.path()).read_text()
    assert f'    url = "{demo}/prometheus/v1/write"\n' in text
    assert text.count("namespace: kpwatch") == 4
    assert "kind: DaemonSet" in text
    page.get_by_text("Show", exact=True).click()
    expect(page.get_by_text(f'url = "{demo}/prometheus/v1/write"')).to_be_visible()
    with page.expect_download(timeout=ARRIVAL_MS) as download:
        page.get_by_role("link", name="kpwatch-grafana.zip").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert any(name.endswith(".json") for name in packed.namelist())


def test_an_alert_is_silenced_and_speaks_again(visit: Visit, demo: str) -> None:
    """What fires stands first, with its node; a silence is made and ended where the alert is read."""
    page = visit(demo, "/alerts?state=firing")
    alert = page.locator(".alert", has_text=FAILING).first
    expect(alert).to_be_visible(timeout=2 * ARRIVAL_MS)
    expect(alert.get_by_role("link", name=FAILING)).to_have_attribute("href", re.compile("node.ident="))
    alert.get_by_role("button", name="Silence for 2 h").click()
    expect(alert).to_contain_text("silenced")
    page.get_by_role("button", name="End now").first.click()
    expect(alert.get_by_role("button", name="Silence for 2 h")).to_be_visible()


def test_a_page_that_is_not_there_says_so(visit: Visit, demo: str) -> None:
    """A node nobody knows, with the way back."""
    page = visit(demo, "/node?ident=no-such-node")
    expect(page.locator(".nothing")).to_contain_text("no-such-node", timeout=ARRIVAL_MS)
    page.get_by_role("link", name="To the fleet").click()
    expect(page.locator("tbody tr").first).to_be_visible()


def test_a_hub_over_somebody_elses_engine_has_the_same_pages(visit: Visit, demo: str, tmp_path: Path) -> None:
    """The same nodes with the same verdict about the failing one; every page comes without a complaint."""
    with serving(tmp_path, "hub", "--listen", "127.0.0.1:0", "--engine", demo) as url:
        page = visit(url)
        for path in PAGES:
            page.goto(url + path)
            arrive(page, path)
            expect(page.locator(".problem")).to_have_count(0)
            if path == "/":
                expect(page.locator("tbody tr", has_text="sync-failing").get_by_role("link")).to_have_text(FAILING)
        page.close()
