"""The fleet page with real processes: the demo cluster, an empty hub, a hub that goes away."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import kpwatch
from tests.e2e.page_scene import CONTRAST, hub, now_ms, write

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.e2e.conftest import Visit

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow]

ARRIVAL_MS = 60_000
COLUMNS = [
    *("ident", "Verdict", "Finding", "Version", "Mode", "Last sync", "Sync time"),
    *("Sync p99", "Pending", "Failures", "up"),
]

# The rows' elements stand in the rows' order.
IN_ORDER = """() => {
  const places = [...document.querySelectorAll("tbody tr")].map((row) => Number(row.ariaRowIndex));
  return places.every((place, at) => at === 0 || place === places[at - 1] + 1);
}"""


def nodes(page: Page) -> Locator:
    """The demo's nodes; a kube-proxy that runs on this machine is watched too and may be one row more."""
    return page.locator("tbody tr a", has_text=re.compile(r"^10\.206\.\d+\.\d+$"))


def whole_fleet(page: Page) -> None:
    """Wait for the six nodes and for the verdict about the failing one."""
    expect(nodes(page)).to_have_count(6, timeout=ARRIVAL_MS)
    expect(page.locator("tbody tr").first.locator(".badge")).to_have_text(
        re.compile("critical|严重"), timeout=ARRIVAL_MS
    )


def test_every_node_of_the_demo_is_a_row(visit: Visit, demo: str) -> None:
    """One row per node with its facts; what is wrong on top, in words, with the finding and a link."""
    page = visit(demo)
    whole_fleet(page)
    expect(page.locator("thead th")).to_have_text(COLUMNS, timeout=ARRIVAL_MS)
    states = page.locator("tbody .badge").all_inner_texts()
    assert states == sorted(states, key=["critical", "silent", "warning", "info", "unknown", "ok"].index)
    worst = page.locator("tbody tr", has_text="sync-failing")
    expect(worst.get_by_role("link")).to_have_attribute("href", re.compile(r"/node\?ident=10\.206\.0\.11$"))
    expect(worst.locator("[data-column=up]")).to_have_text(re.compile("1$"))
    expect(worst.locator("[data-column=version]")).to_have_text(re.compile(r"v1\.\d+\.\d+$"))
    expect(worst.locator("[data-column=mode]")).to_have_text(re.compile("(iptables|nftables|ipvs)$"))
    expect(worst.locator("[data-column=last_sync]")).to_have_text(re.compile(r"\d+ (s|min|h).* ago$"))
    healthy = page.locator("tbody tr", has_text=re.compile("iptables|nftables")).last
    expect(healthy.locator(".badge")).to_have_text("ok")
    expect(healthy.locator("[data-column=sync_p99]")).to_have_text(re.compile(r"\d (ms|s)$"), timeout=ARRIVAL_MS)


def test_a_refresh_keeps_every_row_in_place(visit: Visit, demo: str) -> None:
    """Ages tick and answers arrive, but rows and links stay the same elements: no flicker, no lost focus."""
    page = visit(demo)
    whole_fleet(page)
    page.evaluate("document.querySelectorAll('tbody tr').forEach((row) => { row.kept = true; })")
    link = page.locator("tbody a").first
    link.focus()
    shown_age = page.locator("tbody tr", has_text="sync-failing").locator("[data-column=last_sync]")
    age = shown_age.inner_text()
    with page.expect_response(lambda answer: "fleet" in answer.url):
        pass
    expect(shown_age).not_to_have_text(age)
    assert page.evaluate("[...document.querySelectorAll('tbody tr')].every((row) => row.kept)")
    expect(link).to_be_focused()


def test_both_languages(visit: Visit, demo: str) -> None:
    """The switch changes every word but names from the field, at once and for the next visit."""
    page = visit(demo)
    whole_fleet(page)
    page.get_by_role("button", name="中文").click()
    expect(page.locator("tbody tr", has_text="sync-failing").locator(".badge")).to_have_text("严重")
    heads = page.locator("thead th").all_inner_texts()
    assert (heads[0], heads[1]) == ("ident", "结论")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.reload()
    expect(page.get_by_role("navigation").get_by_role("link", name="表格视图")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("navigation").get_by_role("link", name="Table view")).to_be_visible()


def test_the_url_holds_sorting_and_filters(visit: Visit, demo: str) -> None:
    """What a person sorts and filters can be sent to a colleague, and Back undoes a choice of verdict."""
    page = visit(demo)
    whole_fleet(page)
    page.get_by_role("button", name="ident").click()
    names = nodes(page).all_inner_texts()
    assert names == sorted(names, key=lambda ident: [int(part) for part in ident.split(".")])
    page.get_by_label("Filter nodes").fill(names[0])
    expect(page.locator("tbody tr a", has_text=re.compile(f"^{names[0]}$"))).to_have_count(1)
    shown = page.locator("tbody tr").count()
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(shown)
    expect(page.locator("th[data-column=ident]")).to_have_attribute("aria-sort", "ascending")
    page.get_by_label("Filter nodes").fill("")
    page.locator(".verdicts [data-verdict=critical]").click()
    expect(page.locator("tbody .badge", has_text="ok")).to_have_count(0)
    page.go_back()
    expect(nodes(page)).to_have_count(6)
    page.get_by_label("Filter nodes").fill("no such node")
    page.get_by_role("button", name="Clear filter").click()
    expect(nodes(page)).to_have_count(6)


def test_the_keyboard_suffices(visit: Visit, demo: str) -> None:
    """Tab reaches the menu, a column's head and a node; Enter follows and sorts."""
    page = visit(demo)
    whole_fleet(page)
    page.locator("th[data-column=up] button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[data-column=up]")).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Tab")
    expect(page.locator("tbody tr a").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/node\?ident=.+"))


def test_a_long_table_scrolls_on_the_same_elements(visit: Visit, tmp_path: Path) -> None:
    """Rows that come take elements of those that went; at rest they are in order for Tab, the focus its row's."""
    with hub(tmp_path) as url:
        labels = {"__name__": "up", "job": "kube-proxy"}
        write(url, [({**labels, "ident": f"node-{number:03d}"}, [(now_ms(), 1)]) for number in range(300)])
        page = visit(url)
        expect(page.get_by_role("link", name="node-000", exact=True)).to_be_visible(timeout=ARRIVAL_MS)
        page.evaluate("document.querySelectorAll('tbody tr').forEach((row) => { row.kept = true; })")
        focused = page.get_by_role("link", name="node-003", exact=True)
        focused.focus()
        page.evaluate("document.querySelector('main').scrollTop = 400")
        expect(page.get_by_role("link", name="node-030", exact=True)).to_be_visible()
        page.wait_for_function(IN_ORDER)
        expect(focused).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="node-004", exact=True)).to_be_focused()
        page.evaluate("document.querySelector('main').scrollTop = 1e6")
        expect(page.get_by_role("link", name="node-299", exact=True)).to_be_visible()
        expect(page.locator("tbody :focus")).to_have_count(0)  # not on the row that has its element now
        page.wait_for_function(IN_ORDER)
        assert page.evaluate("[...document.querySelectorAll('tbody tr')].every((row) => row.kept)")
        assert page.locator("tbody tr").count() < 100
        page.close()


def test_an_empty_hub_says_what_comes_next(visit: Visit, tmp_path: Path) -> None:
    """The exact writers block with this hub's address; the first node appears without a reload."""
    with hub(tmp_path) as url:
        page = visit(url)
        config = page.locator("pre", has_text="[[writers]]")
        expect(config).to_contain_text(f'url = "{url}/prometheus/v1/write"')
        with page.expect_download() as download:
            page.get_by_role("link", name="Download kpwatch-agent.yaml").click()
        assert f'    url = "{url}/prometheus/v1/write"\n' in Path(download.value.path()).read_text()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        write(url, [({"__name__": "up", "job": "kube-proxy", "ident": "first"}, [(now_ms(), 1)])])
        expect(page.locator("tbody tr a")).to_have_text("first", timeout=ARRIVAL_MS)
        expect(config).to_have_count(0)
        page.close()


def test_a_hub_whose_page_is_not_built_says_how_to(visit: Visit, tmp_path: Path) -> None:
    """On every page's address, in both languages, with links to the API, which answers."""
    package = Path(kpwatch.__file__).parent
    shutil.copytree(package, tmp_path / "kpwatch", ignore=shutil.ignore_patterns("static", "__pycache__", "simulate"))
    with hub(tmp_path) as url:  # runs in that folder, whose package comes first
        page = visit(url, "/node?ident=any", may=("404",))  # Chromium asks for an icon
        expect(page.get_by_role("heading", level=1)).to_have_text([re.compile("not built"), re.compile("尚未构建")])
        expect(page.locator("code").first).to_have_text("make page")
        page.get_by_role("link", name="fleet").click()
        expect(page.locator("body")).to_contain_text('"nodes"')
        page.close()


def test_a_silent_node_stays_in_the_table(visit: Visit, tmp_path: Path) -> None:
    """A node whose last sample is ten minutes old is shown, with how long it has been silent."""
    old, new = now_ms() - 600_000, now_ms()
    with hub(tmp_path) as url:
        labels = {"__name__": "up", "job": "kube-proxy"}
        write(url, [({**labels, "ident": "gone"}, [(old, 1)]), ({**labels, "ident": "there"}, [(new, 1)])])
        page = visit(url)
        gone = page.locator("tbody tr", has_text="gone")
        expect(gone.locator(".badge")).to_have_text("critical", timeout=ARRIVAL_MS)
        expect(gone.locator("[data-column=finding]")).to_contain_text("silent for 10 min")
        expect(page.locator("tbody tr", has_text="there").locator(".badge")).to_have_text("ok")
        page.close()


def test_nothing_is_claimed_of_a_node_that_cannot_be_scraped(visit: Visit, tmp_path: Path) -> None:
    """A refused scrape says nothing about syncs: no "never", no zero. One that answers may say never."""
    now = now_ms()
    with hub(tmp_path) as url:
        labels = {"__name__": "up", "job": "kube-proxy"}
        write(url, [({**labels, "ident": "refusing"}, [(now, 0)]), ({**labels, "ident": "fresh"}, [(now, 1)])])
        page = visit(url)
        refusing = page.locator("tbody tr", has_text="refusing")
        expect(refusing.locator(".badge")).to_have_text("unknown", timeout=ARRIVAL_MS)
        for column in ("version", "mode", "last_sync", "sync_p99", "pending", "failures"):
            expect(refusing.locator(f"[data-column={column}]")).to_have_text("–")
        expect(page.locator("tbody tr", has_text="fresh").locator("[data-column=last_sync]")).to_have_text("never")
        page.close()


def test_a_hub_that_goes_away_is_told_and_the_rows_stay(visit: Visit, tmp_path: Path) -> None:
    """The page says that the hub does not answer and how old its data is, and keeps showing it."""
    with hub(tmp_path) as url:
        write(url, [({"__name__": "up", "job": "kube-proxy", "ident": "there"}, [(now_ms(), 1)])])
        page = visit(url, may=("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"))
        expect(page.locator("tbody tr")).to_have_count(1, timeout=ARRIVAL_MS)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The hub does not answer", timeout=ARRIVAL_MS)
    expect(page.locator(".problem")).to_contain_text(re.compile(r"data of \d+ s ago"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="中文").click()
    expect(page.locator(".problem")).to_contain_text("hub 没有应答")
