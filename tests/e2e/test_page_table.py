"""The table view with real processes: what it shows is what the API answers."""

from __future__ import annotations

import csv
import io
import re
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page_scene import CONTRAST, NAMELESS, hub, now_ms, query, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from tests.e2e.conftest import Visit

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow]

ARTICLE_QUERY = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
MANY = 5_000
ADDED_AGO_SECONDS = 42


@pytest.fixture(scope="module")
def filled_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float]]:
    """A hub with one large metric and some odd ones, all written once; its URL and the samples' time."""
    at_ms = now_ms() - ADDED_AGO_SECONDS * 1000
    series = [
        ({"__name__": "many_total", "ident": f"node-{i // 50}", "job": "kube-proxy", "n": str(i)}, [(at_ms, i * 1.5)])
        for i in range(MANY)
    ]
    odd = [
        ("odd", "a", float("nan")),
        ("odd", "b", float("inf")),
        ("odd", "c", -1.5),
        ("odd", "d", 1e21),
        ("odd", "e", 9),
    ]
    series += [({"__name__": name, "which": which}, [(at_ms, value)]) for name, which, value in odd]
    series.append(({"__name__": "quoted", "text": 'a,b "c" <b>d</b>'}, [(at_ms, 0.1)]))
    with hub(tmp_path_factory.mktemp("filled-hub")) as url:
        write(url, series)
        yield url, at_ms / 1000


def ask(visit: Visit, url: str, expression: str, **more: str) -> Page:
    """The table view of a query, by its URL, with its answer."""
    page = visit(url, f"/table?{urllib.parse.urlencode({'q': expression, **more})}")
    expect(page.locator(".facts")).to_have_text(re.compile("row"))
    return page


def editor(page: Page) -> Locator:
    """The query box once somebody has gone into it: the editor has come, and is ready to be typed into."""
    page.get_by_label("PromQL query").click()
    box = page.locator("[contenteditable=true]")
    expect(box).to_be_focused()
    return box


def column(page: Page, name: str) -> list[str]:
    """The shown cells of a column, top down."""
    return page.locator(f'tbody tr td[data-column="{name}"]').all_inner_texts()


def test_the_articles_query_shows_what_the_api_answers(visit: Visit, demo: str) -> None:
    """One column per label, each value as the server wrote it, the age of each sample."""
    page = visit(demo, "/table")
    page.get_by_role("button", name="Last sync, timestamp").click()
    expect(page.locator("tbody tr").first).to_be_visible(timeout=30_000)
    expect(editor(page)).to_have_text(ARTICLE_QUERY)
    page.get_by_label("Evaluation time").fill(
        page.evaluate(
            "(() => { const now = new Date(Date.now() - 5000); const two = (n) => String(n).padStart(2, '0');"
            " return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}T"
            "${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`; })()"
        )
    )
    expect(page.get_by_role("button", name="Now")).to_have_attribute("aria-pressed", "false")
    at = float(urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)["time"][0])
    expected = query(demo, ARTICLE_QUERY, at)
    expect(page.locator("tbody tr")).to_have_count(len(expected))
    labels = sorted({name for one in expected for name in one["metric"]} - {"ident", "__name__"})
    assert page.locator("thead th").all_inner_texts() == ["ident", "__name__", *labels, "Value", "Age"]
    shown = list(zip(*(column(page, name) for name in ["ident", "instance", ":value"]), strict=True))
    assert sorted(shown) == sorted(
        (one["metric"]["ident"], one["metric"]["instance"], one["value"][1]) for one in expected
    )
    assert all(re.fullmatch(r"\d+(\.\d)? s", age) for age in column(page, ":age"))


def test_ages_come_from_the_samples(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """The age is the evaluation time minus the sample's own time, also where a query returns several metrics."""
    url, at = filled_hub
    for expression in ['odd{which="e"}', '{which=~"e|none"}', '{__name__=~"odd|quoted"}']:
        page = ask(visit, url, expression, time=str(at + 77))
        assert set(column(page, ":age")) == {"1 min 17 s"}, expression


@pytest.mark.parametrize(
    ("expression", "heads", "first", "age", "fact"),
    [
        ("odd * 2", ["which", "Value", "Age"], ["a", "NaN"], "computed", "5 rows"),
        ("1 + 1", ["Value", "Age"], ["2"], "computed", "scalar"),
        ('"text"', ["Value", "Age"], ["text"], "computed", "string"),
        (
            'odd{which="c"}[5m]',
            ["__name__", "which", "Time", "Gap", "Value", "Age"],
            ["odd", "c"],
            "10 s",
            "one row per sample",
        ),
    ],
)
def test_every_kind_of_result_is_a_table(
    visit: Visit,
    filled_hub: tuple[str, float],
    expression: str,
    heads: list[str],
    first: list[str],
    age: str,
    fact: str,
) -> None:
    """Vectors, scalars, strings and range vectors; a computed value says so instead of an age."""
    url, at = filled_hub
    page = ask(visit, url, expression, time=str(at + 10))
    assert page.locator("thead th").all_inner_texts() == heads
    assert page.locator("tbody tr").first.locator("td").all_inner_texts()[: len(first)] == first
    assert column(page, ":age")[0] == age
    expect(page.locator(".facts")).to_contain_text(fact)


def test_values_are_exact_and_sort_as_numbers(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """Raw text as served; by size with a click, NaN last in both directions; the order stands in the URL."""
    url, at = filled_hub
    page = ask(visit, url, "odd", time=str(at))
    value = page.get_by_role("button", name="Value")
    value.click()
    assert column(page, ":value") == ["+Inf", "1e+21", "9", "-1.5", "NaN"]
    value.click()
    assert column(page, ":value") == ["-1.5", "9", "1e+21", "+Inf", "NaN"]
    page.reload()
    expect(page.locator('th[data-column=":value"]')).to_have_attribute("aria-sort", "ascending")
    assert column(page, ":value")[0] == "-1.5"
    value.click()
    assert column(page, "which") == ["a", "b", "c", "d", "e"]


def test_values_are_read_in_the_unit_that_is_chosen(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """It stands in the URL; the exact value is a hover away and stays what files have."""
    url, at = filled_hub
    page = ask(visit, url, 'odd{which=~"d|e"} * 1024', time=str(at))
    page.get_by_label("Unit").select_option("bytes")
    expect(page.locator("tbody td[data-column=':value']").last).to_have_text("9.00 KiB")
    expect(page.locator("tbody td[data-column=':value']").last).to_have_attribute("title", "9216")
    assert "unit=bytes" in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert Path(download.value.path()).read_text().splitlines()[-1].split(",")[1] == "9216"


def test_queries_stand_under_each_other_and_share_the_time(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """Each with its own filter and tab, all in the URL; a board's variable is filled in and said."""
    url, at = filled_hub
    page = ask(visit, url, "odd", time=str(at))
    page.get_by_role("button", name="Add a query").click()
    expect(page.locator(".facts")).to_have_count(2)
    second = page.locator(".tools").nth(1)
    second.get_by_label("Filter rows").fill("inf")
    expect(page.locator("tbody").nth(1).locator("tr")).to_have_count(1)
    expect(page.locator("tbody").nth(0).locator("tr")).to_have_count(5)
    page.goto(f"{url}/table?q=odd&time={at}&q2={urllib.parse.quote('rate(odd[$__rate_interval])')}")
    expect(second.locator(".notes")).to_contain_text("$__rate_interval is a variable of a board; 300 s stand for it")
    second.get_by_role("button", name="Remove").click()
    expect(page.locator(".facts")).to_have_count(1)
    assert "q2" not in page.url


def test_a_metric_is_picked_by_its_name_or_meaning(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """From those the hub has samples of; the choice is asked at once."""
    url, _ = filled_hub
    page = visit(url, "/table")
    page.get_by_text("Metrics", exact=True).click()
    page.get_by_label("Search by name or meaning").fill("any_tot")
    page.locator(".choices").get_by_role("button", name="many_total").click()
    expect(page.locator(".choices")).to_be_hidden()
    expect(page.locator(".facts")).to_contain_text("5,000 rows")


def test_csv_is_what_is_shown_and_raw(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """RFC 4180, as Python's csv reads it: the filtered rows in their order, the columns not hidden."""
    url, at = filled_hub
    page = ask(visit, url, '{__name__=~"odd|quoted"}', time=str(at + 1))
    page.get_by_label("Filter rows").fill("quoted")
    page.get_by_text("Columns").click()
    page.get_by_role("checkbox", name="which").uncheck()
    expect(page.locator("thead th", has_text="which")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = Path(download.value.path()).read_bytes().decode()
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == [
        {
            "__name__": "quoted",
            "text": 'a,b "c" <b>d</b>',
            "value": "0.1",
            "sample_time": f"{at:.3f}".rstrip("0").rstrip("."),
            "age_seconds": "1",
            "evaluation_time": f"{at + 1:.3f}".rstrip("0").rstrip("."),
        }
    ]
    assert text.endswith("\r\n")


def test_five_thousand_rows_stay_usable(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """Only rows near the window are in the document; scrolling reaches the last; sorting and filter work."""
    url, at = filled_hub
    page = ask(visit, url, "many_total", time=str(at))
    expect(page.locator(".facts")).to_contain_text("5,000 rows")
    assert page.locator("tbody tr").count() < 100
    assert page.locator("table").get_attribute("aria-rowcount") == str(MANY + 1)
    page.get_by_role("button", name="Value").click()
    assert column(page, ":value")[0] == "7498.5"
    page.locator("main").evaluate("(main) => { main.scrollTop = main.scrollHeight; }")
    expect(page.locator("tbody tr").last).to_contain_text("node-0")
    assert column(page, ":value")[-1] == "0"
    assert page.locator("tbody tr").count() < 100
    page.get_by_label("Filter rows").fill("node-7 4321")
    expect(page.locator(".facts")).to_contain_text("0 of 5,000 rows")
    expect(page.get_by_text("Nothing matches this filter.")).to_be_visible()
    page.get_by_label("Filter rows").fill("node-86 4321")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_markup_in_a_label_is_text(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """Label values are foreign words: they are shown, never interpreted."""
    url, at = filled_hub
    page = ask(visit, url, "quoted", time=str(at))
    assert column(page, "text") == ['a,b "c" <b>d</b>']
    expect(page.locator("tbody b")).to_have_count(0)


def test_a_bad_query_shows_the_servers_words(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """What is wrong is underlined, the server's words stand under the query until the next; nothing found says why."""
    url, at = filled_hub
    page = visit(url, f"/table?q=sum(odd&time={at}", may=("400",))
    expect(page.get_by_role("alert")).to_contain_text("bad_data")
    expect(page.get_by_role("alert")).to_contain_text("parse error")
    expect(page.locator("tbody tr")).to_have_count(0)
    box = editor(page)
    for text in ("sum()", "sum(odd)"):  # as a person types, whose keys replace what is selected
        page.keyboard.press("ControlOrMeta+a")
        box.press_sequentially(text)
        expect(page.locator(".cm-lintRange-error")).to_have_count(int(text == "sum()"))
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("tbody tr")).to_have_count(1)
    editor(page).fill("no_such_metric")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".nothing")).to_contain_text("misspelt")
    page.go_back()
    expect(editor(page)).to_have_text("sum(odd)")


def test_names_are_completed(visit: Visit, filled_hub: tuple[str, float]) -> None:
    """Pieces of a name offer it; Down and Enter take it; Enter alone runs what is typed; Escape sends offers away."""
    url, _ = filled_hub
    page = visit(url, "/table")
    box = editor(page)
    box.press_sequentially("sum(many_t")
    expect(page.get_by_role("option").first).to_have_text(re.compile("^many_total"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    box.press_sequentially("o")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(box).to_have_text("sum(many_total)")
    page.keyboard.press("End")
    box.press_sequentially(" by (no")
    expect(page.get_by_role("option", name="no_such")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("ControlOrMeta+a")
    box.press_sequentially("many_tota")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".nothing")).to_contain_text("misspelt")
    expect(page.locator(".cm-tooltip-autocomplete")).to_have_count(0)
    page.keyboard.press("ControlOrMeta+a")
    box.press_sequentially("sum(many_total)")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_auto_refresh_asks_again(visit: Visit, demo: str) -> None:
    """The switch keeps the table live; it stands in the URL; a chosen time turns it off."""
    page = ask(visit, demo, "up")
    page.get_by_role("switch").check()
    assert "live=1" in page.url
    for _ in range(2):
        with page.expect_response(lambda answer: "timestamp%28" in answer.url):
            pass
    page.get_by_label("Evaluation time").fill("2026-01-01T00:00:00")
    expect(page.get_by_role("switch")).to_be_disabled()
    assert "live=1" not in page.url


def test_what_a_metric_means_stands_under_the_query(visit: Visit, demo: str) -> None:
    """The dictionary's sentence, in the language of the page."""
    page = ask(visit, demo, f"rate({ARTICLE_QUERY.replace('last_timestamp', 'duration')}_count[5m])")
    expect(page.locator(".meanings")).to_contain_text("How long one rule sync took")
    page.get_by_role("button", name="中文").click()
    expect(page.locator(".meanings")).to_contain_text("规则同步")


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_it_is_readable_everywhere(visit: Visit, filled_hub: tuple[str, float], scheme: str, width: int) -> None:
    """Enough contrast (WCAG AA), a name for every control; the table alone may be wider than the screen."""
    url, at = filled_hub
    page = visit(url, f"/table?q=many_total&time={at}", color_scheme=scheme, viewport={"width": width, "height": 844})
    expect(page.locator(".facts")).to_contain_text("5,000 rows")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator(".tools").bounding_box()
    assert box is not None
    assert box["width"] <= width
