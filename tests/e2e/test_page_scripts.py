"""The page's own logic, called in the browser it is for: module by module, without the page around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.conftest import Visit

pytestmark = pytest.mark.real("chromium")


@pytest.fixture
def page(visit: Visit, quiet_hub: str) -> Page:
    """A page from which modules can be imported, in English, at UTC+8."""
    return visit(quiet_hub, timezone_id="Asia/Shanghai")


def call(page: Page, module: str, function: str, *arguments: object) -> Any:
    """`function(...arguments)` of a module."""
    return page.evaluate(f"async (args) => (await import('/assets/{module}.js')).{function}(...args)", list(arguments))


def test_csv_follows_rfc_4180(page: Page) -> None:
    """CRLF after every record; commas, quotes and line breaks are quoted; nothing else is touched."""
    for records, text in [
        ([], ""),
        ([["a", "b"]], "a,b\r\n"),
        ([["a,b", 'say "x"', "two\nlines", "\r"]], '"a,b","say ""x""","two\nlines","\r"\r\n'),
        ([["1.6679718066295934e+09", None, 0, "规则 "]], "1.6679718066295934e+09,,0,规则 \r\n"),
    ]:
        assert call(page, "csv", "csv", records) == text


def test_cells_compare_as_numbers_or_naturally(page: Page) -> None:
    """Numbers by size, also +Inf and exponents; addresses and versions by their numbers."""
    for smaller, larger in [
        ("9", "10"),
        ("0.064", "0.128"),
        ("1e3", "+Inf"),
        ("-Inf", "-1"),
        ("10.206.0.7", "10.206.0.11"),
        ("v1.9.0", "v1.36.3"),
        ("a", "b"),
    ]:
        assert call(page, "format", "compare", smaller, larger) < 0, (smaller, larger)
        assert call(page, "format", "compare", larger, smaller) > 0, (smaller, larger)


def test_what_has_no_value_comes_last_both_ways(page: Page) -> None:
    """Neither null nor NaN is ever the largest or the smallest."""
    script = """async ([values, down]) => {
      const { compareNumbers, sorted } = await import("/assets/format.js");
      return sorted(values, (value) => value, compareNumbers, down);
    }"""
    for down, order in [(False, [1, 2, 3, None]), (True, [3, 2, 1, None])]:
        assert page.evaluate(script, [[None, 2, 3, 1], down]) == order


def test_plain_selectors_are_told_from_computations(page: Page) -> None:
    """Only a plain selector has samples of its own, whose time can be asked."""
    for expression, parts in [
        ("up", ["up", ""]),
        (' up{job="kube-proxy"} ', ['up{job="kube-proxy"}', ""]),
        ('{ident="a}b"}', ['{ident="a}b"}', ""]),
        ("up{a='x\\'}',b=`}`} offset 5m", ["up{a='x\\'}',b=`}`}", "offset 5m"]),
        ("up @ 1669179.5", ["up", "@ 1669179.5"]),
        ("rate(up[5m])", None),
        ("up[5m]", None),
        ("up + up", None),
        ("up == 1", None),
        ("1", None),
        ('"up"', None),
        ("sum by (ident) (up)", None),
        ("", None),
    ]:
        found = call(page, "promql", "plainSelector", expression)
        assert (found and [found["selector"], found["modifiers"]]) == parts, expression


def test_completion_looks_at_the_word_before_the_caret(page: Page) -> None:
    """Names are offered where a name can stand: not in a string, not between braces or brackets."""
    for text, word in [
        ("kubep", "kubep"),
        ("rate(kube", "kube"),
        ('up{job="x"} + kube', "kube"),
        ('up{job="kube', None),
        ("up{jo", None),
        ("up[5m", None),
        ("up ", None),
    ]:
        found = call(page, "promql", "wordBefore", text, len(text))
        assert (found and found["word"]) == word, text


def test_times_and_units_read_as_people_write_them(page: Page) -> None:
    """Two units at most; the unit a metric's name promises; local time with its offset."""
    for function, arguments, text in [
        ("duration", [0.4], "0 s"),
        ("duration", [3.14, {"decimals": 1}], "3.1 s"),
        ("duration", [59.9], "59 s"),
        ("duration", [185], "3 min 5 s"),
        ("duration", [3600], "1 h"),
        ("duration", [273_840], "3 d 4 h"),
        ("latency", [0.000_84], "0.840 ms"),
        ("latency", [0.0123], "12.3 ms"),
        ("latency", [1.5249], "1.52 s"),
        ("latency", [0], "0 ms"),
        ("absolute", [1_667_971_806.6295, {"milliseconds": True}], "2022-11-09 13:30:06.630 +08:00"),
        ("inputTime", [1_667_971_806], "2022-11-09T13:30:06"),
        ("human", ["1.6679718066295934e+09", "x_last_timestamp_seconds"], "2022-11-09 13:30:06 +08:00"),
        ("human", ["0.0123", "x_seconds_sum"], "12.3 ms"),
        ("human", ["2097152", "x_memory_bytes"], "2.00 MiB"),
        ("human", ["512372", "x_total"], "512,372"),
        ("human", ["3", "x_total"], None),
        ("human", ["NaN", "x_seconds"], None),
    ]:
        assert call(page, "format", function, *arguments) == text, (function, arguments)


def test_results_of_every_type_become_rows(page: Page) -> None:
    """Vector, matrix, scalar, string: values stay the server's text; a native histogram shows its count and sum."""
    metric = {"__name__": "x", "job": "j", "ident": "a"}
    for data, labels, values in [
        ({"resultType": "vector", "result": [{"metric": metric, "value": [1, "+Inf"]}]}, 3, ["+Inf"]),
        ({"resultType": "vector", "result": []}, 0, []),
        ({"resultType": "matrix", "result": [{"metric": metric, "values": [[1, "0.10"], [2, "2"]]}]}, 3, ["0.10", "2"]),
        ({"resultType": "scalar", "result": [1, "2"]}, 0, ["2"]),
        ({"resultType": "string", "result": [1, "x"]}, 0, ["x"]),
        (
            {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "3", "sum": "4"}]}]},
            0,
            ["count=3 sum=4"],
        ),
    ]:
        table = call(page, "results", "read", data)
        assert [row["value"] for row in table["rows"]] == values
        assert table["labels"] == ["ident", "__name__", "job"][:labels]


def test_a_hub_open_to_everybody_is_known_by_its_flags(page: Page) -> None:
    """Only --allow-anonymous on an address that other machines reach is worth a warning."""
    for flags, address in [
        ({"listen": ":19000", "allow-anonymous": "true", "auth-file": ""}, ":19000"),
        ({"listen": "10.0.0.5:19000", "allow-anonymous": "true", "auth-file": ""}, "10.0.0.5:19000"),
        ({"listen": "10.0.0.5:19000", "allow-anonymous": "true", "auth-file": "users"}, None),
        ({"listen": "10.0.0.5:19000", "allow-anonymous": "false", "auth-file": ""}, None),
        ({"listen": "127.0.0.1:19000", "allow-anonymous": "true", "auth-file": ""}, None),
        ({"listen": "::1:19000", "allow-anonymous": "true", "auth-file": ""}, None),
        ({}, None),
    ]:
        assert call(page, "server", "openAddress", flags) == address, flags


def test_every_word_stands_in_both_languages(page: Page) -> None:
    """No row of the strings table lacks a language, and both have the same placeholders."""
    words: dict[str, dict[str, str]] = page.evaluate("async () => (await import('/assets/strings.js')).WORDS")
    holes = "text => (text.match(/[{]\\w+[}]/g) ?? []).sort()"
    for key, row in words.items():
        assert set(row) == {"en", "zh"}, key
        assert all(row.values()), key
        assert page.evaluate(holes, row["en"]) == page.evaluate(holes, row["zh"]), key
    assert words["ident"] == {"en": "ident", "zh": "ident"}, json.dumps(words["ident"])
