"""What a verdict looks like: JSON exactly as the contract has it, text as it stands in the files beside.

The texts are compared with tests/unit/doctor/data/*.txt; with KPWATCH_UPDATE_GOLDEN=1 they are written anew.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.http import Failure
from kpwatch.base.terminal import Paint, width_of
from kpwatch.doctor.documents import Node
from kpwatch.doctor.report import Style, as_document, as_text, duration, exit_code
from kpwatch.knowledge.load import knowledge
from tests.edited import ineligible, judged, later, skewed, with_metrics, with_replies, with_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.doctor.documents import Scrape

    Captured = Callable[[str], Scrape]

GOLDEN = Path(__file__).parent / "data"
ERRORS = 'rest_client_requests_total{code="<error>",host="10.99.0.2:6443",method="GET"}'
LANGUAGES = ("zh", "en")


def failing(captured: Captured) -> list[Node]:
    """One node whose syncs fail."""
    scrapes = captured("1.36.3-iptables-restore-fail-6s"), captured("1.36.3-iptables-restore-fail-70s")
    return [Node("node-a", scrapes)]


def fleet(captured: Captured) -> list[Node]:
    """Six nodes: three without the API server, one with a wrong clock too, one that leaves, one gone, one well."""
    scrape = captured("1.36.3-iptables-churn")
    lost = (scrape, later(scrape, 15, {ERRORS: 9}))
    gone = Failure("refused", "connection refused")
    nobody = with_replies(scrape, metrics=gone, healthz=gone, livez=gone, proxy_mode=gone)
    return [
        Node("node-a", lost),
        Node("node-b", lost),
        skewed(Node("node-c", lost), -45),
        Node("node-d", (scrape, ineligible(later(scrape, 15)))),
        Node("node-e", (nobody, later(nobody, 15))),
        Node("node-f", (scrape, later(scrape, 15))),
    ]


def unknown(captured: Captured) -> list[Node]:
    """Something else on the port, and a page that breaks off."""
    scrape = captured("1.30.3-iptables-200svc")
    return [
        Node("node-a", (with_metrics(scrape, b"<html></html>", content_type="text/html"),)),
        Node("node-b", (with_metrics(scrape, b"# HELP process_open_fds x\nprocess_open_fds 3"),)),
    ]


def one_well(captured: Captured) -> list[Node]:
    """One node that is well, looked at once."""
    return [Node("node-a", (captured("1.26.0-iptables-200svc"),))]


SCENES = {"failing": failing, "fleet": fleet, "unknown": unknown, "well": one_well}
EXIT_CODES = {"failing": 2, "fleet": 2, "unknown": 3, "well": 0}


def lines_of(scene: str, language: str, columns: int, captured: Captured) -> list[str]:
    document = as_document(judged(*SCENES[scene](captured)), language)
    checks = {check.id: check for check in knowledge().checks}
    return as_text(document, checks, Style(language, columns, Paint(False)), 1795374200.0)


@pytest.mark.parametrize("columns", [100, 60])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scene", SCENES)
def test_text(scene: str, language: str, columns: int, captured: Captured) -> None:
    """As it was looked at and found good; no line but a command or a link is wider than the terminal."""
    lines = lines_of(scene, language, columns, captured)
    text = "\n".join(lines) + "\n"
    path = GOLDEN / f"{scene}.{language}.{columns}.txt"
    if os.environ.get("KPWATCH_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
    assert [line for line in lines if width_of(line) > columns and "`" not in line] == []


def a_time(value: object) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def check_finding(finding: dict[str, Any]) -> None:
    assert set(finding) == {"check", "severity", "summary", "evidence", "means", "do", "since"}
    assert finding["check"] in {check.id for check in knowledge().checks}
    assert finding["severity"] in ("info", "warning", "critical")
    assert finding["summary"]
    assert isinstance(finding["summary"], str)
    assert isinstance(finding["means"], str)
    assert len(finding["evidence"]) >= 1
    for each in finding["evidence"]:
        assert set(each) == {"what", "value"}
        assert each["what"]
        assert isinstance(each["what"], str)
        assert isinstance(each["value"], (int, float, str))
        assert not isinstance(each["value"], bool)
    assert len(finding["do"]) >= 1
    assert all(step and isinstance(step, str) for step in finding["do"])
    assert finding["since"] is None or a_time(finding["since"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scene", SCENES)
def test_json_is_the_contract(scene: str, language: str, captured: Captured) -> None:
    """These keys, no other ones; plain JSON without NaN."""
    made = as_document(judged(*SCENES[scene](captured)), language)
    document = json.loads(json.dumps(made, allow_nan=False))
    assert set(document) == {"version", "nodes", "fleet"}
    assert document["version"] == 1
    assert set(document["fleet"]) == {"findings"}
    assert [node["ident"] for node in document["nodes"]] == sorted(node.ident for node in SCENES[scene](captured))
    for node in document["nodes"]:
        assert set(node) == {"ident", "verdict", "findings", "not_judged"}
        assert node["verdict"] in ("ok", "warning", "critical", "unknown")
        for each in node["not_judged"]:
            assert set(each) == {"check", "why"}
            assert each["check"]
            assert each["why"]
        for finding in node["findings"]:
            check_finding(finding)
    for finding in document["fleet"]["findings"]:
        check_finding(finding)
    assert exit_code(document) == EXIT_CODES[scene]


def test_chinese_is_chinese(captured: Captured) -> None:
    """Every sentence of the report but names, numbers and commands."""
    document = as_document(judged(*fleet(captured), *failing(captured)), "zh")
    findings = [finding for node in document["nodes"] for finding in node["findings"]] + document["fleet"]["findings"]
    for finding in findings:
        for text in (finding["summary"], finding["means"], *finding["do"]):
            assert re.search("[\u4e00-\u9fff]", text), text
    reasons = {each["why"] for node in document["nodes"] for each in node["not_judged"]}
    assert all(re.search("[\u4e00-\u9fff]", reason) for reason in reasons)


@pytest.mark.parametrize("check", knowledge().checks, ids=lambda check: check.id)
def test_every_check_has_something_to_show_and_to_do(check: Any) -> None:
    """In both languages; commands stand in backquotes, in pairs."""
    assert check.evidence
    for told in (check.zh, check.en):
        assert told.summary
        assert told.means
        assert told.causes
        assert told.do
        assert told.threshold
        for step in told.do:
            assert step.count("`") % 2 == 0, step
        assert any("`" in step for step in told.do), told.do


def test_what_is_folded_is_named_under_its_cause(captured: Captured) -> None:
    """In evidence, so that the contract's keys stay."""
    document = as_document(judged(*failing(captured)), "en")
    first = document["nodes"][0]["findings"][0]
    assert first["check"] == "sync-failing"
    told = {each["what"]: each["value"] for each in first["evidence"]}
    assert "healthz-failing" in told["as a consequence, also"]
    assert told["likely because of"] == "restore-failing"


def test_since_is_by_the_nodes_own_clock(captured: Captured) -> None:
    """The time that kube-proxy's log says, also of a node whose clock is wrong."""
    (node,) = judged(*(skewed(node, 7200) for node in failing(captured))).nodes
    assert node.findings[0].since_seconds == pytest.approx(1795374013.69, abs=0.1)


def test_half_the_fleet_is_named(captured: Captured) -> None:
    """At most fifty of them."""
    scrape = with_values(captured("1.36.3-iptables-churn"), {})
    nodes = [Node(f"node-{number:02}", (scrape, later(scrape, 15, {ERRORS: 9}))) for number in range(52)]
    document = as_document(judged(*nodes), "en")
    (shared,) = (each for each in document["fleet"]["findings"] if each["check"] == "api-unreachable")
    names = ", ".join(f"node-{number:02}" for number in range(50))
    assert shared["evidence"][0] == {"what": "nodes", "value": f"52 of 52: {names}, …"}


DURATIONS = (
    (0.0, "0 ms"),
    (0.0123, "12.3 ms"),
    (0.5, "0.5 s"),
    (9.96, "10 s"),
    (74, "74 s"),
    (119.6, "2 min"),
    (125, "2 min 5 s"),
    (3600, "60 min"),
    (12_000, "3 h 20 min"),
    (439_000, "5 d 1 h"),
    (-45, "-45 s"),
)


@pytest.mark.parametrize(("seconds", "written"), DURATIONS)
def test_durations_are_read_at_a_glance(seconds: float, written: str) -> None:
    """Two units at most."""
    assert duration(seconds) == written
