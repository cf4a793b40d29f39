"""Half pages, other text, huge ones and noise: an unknown verdict with its reason, never a trace or a wrong alarm."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.http import Answer, Failure
from kpwatch.base.terminal import Paint
from kpwatch.doctor.documents import Node
from kpwatch.doctor.report import Style, as_document, as_text, exit_code
from kpwatch.knowledge.load import knowledge
from tests.edited import judged, later, metrics_of, with_metrics, with_replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.doctor.documents import Scrape
    from kpwatch.doctor.judge import FleetVerdict

    Captured = Callable[[str], Scrape]

IPTABLES = "1.36.3-iptables-churn"
NOISE = random.Random(7).randbytes(20_000)
OTHER_PAGES = {
    "html": (b"<html><body>hello</body></html>\n", 200, "text/html"),
    "html without a type": (b"\n <!doctype html><p>", 200, ""),
    "json": (b'{"status": "ok", "items": [1, 2, 3]}', 200, "application/json"),
    "json of many lines": (b'{\n "a": 1\n}\n', 200, "application/json"),
    "deep json": (b"[" * 100_000, 200, "application/json"),
    "a word": (b"ok", 200, "text/plain"),
    "a word and an end": (b"ok\n", 200, "text/plain"),
    "404": (b"404 page not found\n", 404, "text/plain"),
    "401": (b"Unauthorized\n", 401, ""),
    "503": (b"", 503, ""),
    "nothing": (b"", 200, ""),
    "blanks": (b"\n\n  \n", 200, ""),
    "comments": (b"# HELP x y\n# TYPE x gauge\n", 200, ""),
    "noise": (NOISE, 200, ""),
    "noise and an end": (NOISE + b"\n", 200, ""),
    "zeros": (bytes(10_000) + b"\n", 200, ""),
    "one long line": (b"a" * 1_000_000 + b"\n", 200, ""),
    "another program's metrics": (b"node_load1 0.5\nnode_boot_time_seconds 1.7e9\n", 200, "text/plain; version=0.0.4"),
    "openmetrics": (b"# TYPE a counter\na_total 1.0\n# EOF\n", 200, "application/openmetrics-text; version=1.0.0"),
}


def told(verdict: FleetVerdict) -> str:
    """Everything that is said of it, in both languages, as text and as JSON."""
    checks = {check.id: check for check in knowledge().checks}
    said = []
    for language in ("zh", "en"):
        document = as_document(verdict, language)
        said.append(json.dumps(document, allow_nan=False))
        said += as_text(document, checks, Style(language, 80, Paint(False)), 1.8e9, verbose=True)
    return "\n".join(said)


@pytest.mark.parametrize("with_health", [True, False])
def test_other_pages_are_unknown_with_a_reason(with_health: bool, captured: Captured) -> None:
    """All of them are named as not kube-proxy's, whether its health port answers or not."""
    scrape = captured(IPTABLES)
    if not with_health:
        absent = Answer(404, {}, b"404 page not found\n")
        scrape = with_replies(scrape, healthz=absent, livez=absent, proxy_mode=absent)
    for name, page in OTHER_PAGES.items():
        other = with_metrics(scrape, *page)
        verdict = judged(Node(name, (other, later(other, 15))))
        (node,) = verdict.nodes
        assert (name, node.verdict, [each.check.id for each in node.findings]) == (name, "unknown", ["not-kube-proxy"])
        assert node.findings[0].evidence
        assert node.not_judged
        assert exit_code(as_document(verdict, "en")) == 3
        assert told(verdict)


@pytest.mark.parametrize("name", [IPTABLES, "1.20.2-iptables-churn", "1.36.3-nftables-sync-fail-70s"])
def test_a_page_that_breaks_off_anywhere(name: str, captured: Captured) -> None:
    """At every 1000th byte, and behind lines about its syncs: no alarm that the whole page does not give."""
    scrape = captured(name)
    body = metrics_of(scrape)
    whole = {finding.check.id for finding in judged(Node("whole", (scrape,))).nodes[0].findings}
    begin, end = body.index(b"# HELP kubeproxy_sync_proxy_rules_endpoint"), body.rindex(b"\nkubeproxy_")
    lines = [place + 1 for place in range(begin, end) if body[place : place + 1] == b"\n"]
    places = [*range(1000, len(body), 1000), *lines[:: max(1, len(lines) // 40)], len(body) - 1]
    verdict = judged(*(Node(f"at-{place}", (with_metrics(scrape, body[:place]),)) for place in places))
    for node in verdict.nodes:
        alarms = {finding.check.id for finding in node.findings if finding.severity != "info"}
        assert alarms <= whole | ({"healthz-failing", "sync-hung"} if "sync-failing" in whole else set()), node.ident
        kept = body[: int(node.ident.removeprefix("at-"))]
        if not kept.endswith(b"\n") and kept != body[:-1]:
            assert node.verdict in ("unknown", "critical"), node.ident
    assert told(verdict)


@pytest.mark.parametrize("name", [IPTABLES, "1.20.2-iptables-churn", "1.36.3-nftables-sync-fail-70s"])
def test_a_page_whose_last_line_end_an_editor_took_is_whole(name: str, captured: Captured) -> None:
    """As a shell's `$(curl …)` does; a page that ends within a number, a histogram or before its families does not."""
    scrape = captured(name)
    stripped, whole = metrics_of(scrape)[:-1], judged(Node("whole", (scrape,))).nodes[0]
    (node,) = judged(Node("whole", (with_metrics(scrape, stripped),))).nodes
    assert node == whole
    within = [stripped[:-2], stripped[:-40], stripped.partition(b"\nprocess_start_time_seconds")[0]]
    within.append(stripped.rpartition(b"_bucket")[0] + b'_bucket{le="5"} 2')
    for page in within:
        (node,) = judged(Node("cut", (with_metrics(scrape, page),))).nodes
        assert node.verdict in ("unknown", "critical")


LENGTHS = (
    # bytes promised beyond those that came, whether the last line has its end, what becomes of it
    (0, True, "ok"),
    (0, False, "ok"),
    (1, True, "unknown"),
    (9000, True, "unknown"),
    (-9000, True, "ok"),
)


@pytest.mark.parametrize(("missing", "ended", "verdict"), LENGTHS)
def test_a_page_is_as_long_as_it_was_promised(missing: int, ended: bool, verdict: str, captured: Captured) -> None:
    """A bundle may hold the header; less than what came is of the compressed page."""
    body = metrics_of(captured(IPTABLES)) if ended else metrics_of(captured(IPTABLES))[:-1]
    page = Answer(200, {"content-length": str(len(body) + missing)}, body)
    assert judged(Node("node-a", (with_replies(captured(IPTABLES), metrics=page),))).nodes[0].verdict == verdict


@pytest.mark.parametrize("reason", ["cut", "too_large", "bad_http"])
def test_an_answer_that_did_not_end(reason: str, captured: Captured) -> None:
    """Something is there: it can be neither judged nor called gone."""
    broken = with_replies(captured(IPTABLES), metrics=Failure(reason, "it broke off"))
    (node,) = judged(Node("node-a", (captured(IPTABLES), later(broken, 15)))).nodes
    assert (node.verdict, node.findings) == ("unknown", [])


def test_a_huge_page_is_read(captured: Captured) -> None:
    """64 MB of another program's metrics around kube-proxy's."""
    filler = b"".join(b'other_metric{number="%d"} 1\n' % number for number in range(40_000))
    body = filler * (16 << 20 >> 20) + metrics_of(captured(IPTABLES))
    body = body + b"# " + b"x" * ((64 << 20) - len(body) - 3) + b"\n"
    assert len(body) == 64 << 20
    scrape = with_metrics(captured(IPTABLES), body)
    nodes = judged(*(Node(f"node-{number}", (scrape,)) for number in range(1))).nodes
    assert nodes[0].verdict == "ok"


HEALTH_PAGES = (
    *(b"", b"{}", b"null", b"[]", b"ok", b"<html>", NOISE[:200], b'{"lastUpdated": 5}', b"[" * 100_000),
    b'{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"0001-01-01T00:00:00Z"}',
    b'{"lastUpdated":"9999-12-31T23:59:59Z","currentTime":"9999-12-31T23:59:59Z"}',
    b'{"lastUpdated":"2026-13-45T99:99:99Z","currentTime":"yesterday"}',
    b'{"status":{"IPv4":5},"nodeEligible":"perhaps"}',
)


@pytest.mark.parametrize("status", [200, 503, 500])
def test_health_pages_that_say_nothing(status: int, captured: Captured) -> None:
    """A clock of year 1 is a clock that is wrong; a 503 is a 503 whatever it says; nothing else follows."""
    scrape = captured(IPTABLES)
    nodes = [
        Node(f"page-{number}", (with_replies(scrape, healthz=Answer(status, {}, page)),))
        for number, page in enumerate(HEALTH_PAGES)
    ]
    verdict = judged(*nodes)
    for node in verdict.nodes:
        checks = {finding.check.id for finding in node.findings}
        assert checks <= {"clock-skew", "healthz-failing"}
        assert status == 503 or "healthz-failing" not in checks
    assert told(verdict)


def test_values_that_cannot_be(captured: Captured) -> None:
    """Not a number, endless, negative, years from now, no number at all, in every place: something is said of it."""
    words = [b"NaN", b"+Inf", b"-Inf", b"1e300", b"-1e300", b"-5", b"0", b"1e18", b"9e15", b"", b"x"]
    dice = random.Random(3)
    scrape = captured(IPTABLES)
    lines = metrics_of(scrape).splitlines(keepends=True)
    ours = (b"kubeproxy", b"process_", b"rest_client_requests", b"go_goroutines", b"kubernetes_build")

    def spoiled(line: bytes) -> bytes:
        if line.startswith(ours) and dice.random() < 0.1:
            return line.rpartition(b" ")[0] + b" " + dice.choice(words) + b"\n"
        return dice.randbytes(30) + b"\n" if dice.random() < 0.01 else line

    nodes = []
    for number in range(12):
        page = with_metrics(scrape, b"".join(map(spoiled, lines)))
        scrapes = (page, later(scrape, 15)) if number % 3 else (scrape, later(page, 15))
        nodes.append(Node(f"node-{number}", scrapes))
    assert told(judged(*nodes))
    for node in nodes[:4]:
        assert told(judged(node))
