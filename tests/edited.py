"""Captures of real kube-proxies, changed: other values, other health pages, other clocks, other outcomes.

A scrape is (when, by the asker's clock; what was answered). `later` asks the same process again, `skewed` gives the
asker another clock, `at_epoch` moves everybody's; what an edit does not name stays as it was captured.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from kpwatch.base.http import Answer, Failure
from kpwatch.doctor.at_desk import examine_at_desk
from kpwatch.doctor.documents import Node, Reply, Scrape
from kpwatch.knowledge.load import knowledge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpwatch.doctor.judge import FleetVerdict, NodeVerdict

SYNC = "kubeproxy_sync_proxy_rules_"
DONE = SYNC + "last_timestamp_seconds"
QUEUED = SYNC + "last_queued_timestamp_seconds"
SYNCS = SYNC + "duration_seconds_count"
TOOK = SYNC + "duration_seconds_sum"
RESTORE_FAILURES = SYNC + "iptables_restore_failures_total"
NFT_FAILURES = SYNC + "nftables_sync_failures_total"
START = "process_start_time_seconds"
IPV4 = '{ip_family="IPv4"}'
IPV6 = '{ip_family="IPv6"}'
TIMES = (DONE, QUEUED, START, "go_memstats_last_gc_time_seconds")

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(\.\d+)?")
_UPTIME = re.compile(r"m=\+([\d.]+)")

Value = "float | None | Callable[[float], float]"


def metrics_of(scrape: Scrape) -> bytes:
    """Its metrics page."""
    outcome = scrape.replies["metrics"].outcome
    assert isinstance(outcome, Answer)
    return outcome.body


def value_of(scrape: Scrape, series: str) -> float:
    """Of one series, as it is written on the page."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", metrics_of(scrape).decode(), re.MULTILINE)
    assert found, series
    return float(found[1])


def with_values(scrape: Scrape, changes: Mapping[str, Any]) -> Scrape:
    """Series as they are written on the page -> number, function of the number there was, or None = gone.

    A name that ends in `*` means all series that begin with it.
    """
    lines = metrics_of(scrape).decode().splitlines()
    for series, value in changes.items():
        begin = series[:-1] if series.endswith("*") else series + " "
        places = [place for place, line in enumerate(lines) if line.startswith(begin)]
        if not places and value is not None:
            assert not callable(value), f"nothing to change: {series}"
            lines.append(f"{series} {value!r}")
        for place in places:
            head, _, old = lines[place].rpartition(" ")
            new = value(float(old)) if callable(value) else value
            lines[place] = "" if new is None else f"{head} {new!r}"
    return with_metrics(scrape, ("\n".join(line for line in lines if line) + "\n").encode())


def with_metrics(scrape: Scrape, body: bytes, status: int = 200, content_type: str = "") -> Scrape:
    """Another answer on /metrics."""
    headers = {"content-type": content_type} if content_type else {}
    return with_replies(scrape, metrics=Answer(status, headers, body))


def with_replies(scrape: Scrape, **outcomes: Answer | Failure | None) -> Scrape:
    """Other outcomes of some documents; None = never asked for."""
    replies = dict(scrape.replies)
    for document, outcome in outcomes.items():
        if outcome is None:
            replies.pop(document, None)
        else:
            port = 10249 if document in ("metrics", "proxy_mode") else 10256
            old = replies.get(document, Reply(f"http://127.0.0.1:{port}/{document}", outcome, scrape.at_seconds, 0.0))
            replies[document] = old._replace(outcome=outcome)
    return scrape._replace(replies=replies)


def later(scrape: Scrape, seconds: float, changes: Mapping[str, Any] | None = None) -> Scrape:
    """The same process asked again after `seconds` in which nothing but `changes` happened."""
    replies = {
        name: reply._replace(asked_seconds=reply.asked_seconds + seconds, outcome=_aged(reply.outcome, seconds))
        for name, reply in scrape.replies.items()
    }
    moved = Scrape(scrape.at_seconds + seconds, replies)
    return with_values(moved, changes) if changes else moved


def _aged(outcome: Answer | Failure, seconds: float) -> Answer | Failure:
    """A health page read later: a healthy one is of now, an unhealthy one still of the last good sync."""
    if isinstance(outcome, Failure):
        return outcome
    outcome = outcome._replace(headers=_dated(outcome.headers, seconds))
    if b"currentTime" not in outcome.body:
        return outcome
    text = outcome.body.decode()
    if outcome.status == 200:
        head, mark, rest = text.partition('"status"')
        return outcome._replace(body=(_moved(head, seconds) + mark + rest).encode())
    body = re.sub(r'("currentTime": ?")([^"]+)', lambda match: match[1] + _moved(match[2], seconds), text)
    return outcome._replace(body=body.encode())


def _dated(headers: dict[str, str], seconds: float) -> dict[str, str]:
    if "date" not in headers:
        return headers
    return {**headers, "date": formatdate(parsedate_to_datetime(headers["date"]).timestamp() + seconds, usegmt=True)}


def _moved(text: str, seconds: float) -> str:
    """All times in `text`, so many seconds later; uptimes too."""

    def move(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(f"{match[1]}T{match[3]}+00:00") + timedelta(seconds=float(match[4] or 0) + seconds)
        return f"{at:%Y-%m-%d}{match[2]}{at:%H:%M:%S.%f}" if at.year > 1 else match[0]

    text = _TIME.sub(lambda match: match[0] if match[1].startswith("0001") else move(match), text)
    return _UPTIME.sub(lambda match: f"m=+{float(match[1]) + seconds:.9f}", text)


def late(scrape: Scrape, since_seconds: float) -> Scrape:
    """The health port says 503: the last good sync was at `since_seconds`."""
    at = datetime.fromtimestamp(since_seconds, UTC)
    texts = (f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", f"{at:%Y-%m-%d %H:%M:%S.%f} +0000 UTC m=+15.5")
    outcomes = {}
    for name in ("healthz", "livez"):
        outcome = scrape.replies[name].outcome
        if isinstance(outcome, Answer) and b"currentTime" in outcome.body:
            new = texts[b" UTC" in outcome.body]
            body = re.sub(
                r'("lastUpdated": ?")[^"]+', lambda match, new=new: match[1] + new, outcome.body.decode(), count=1
            )
            body = body.replace('"healthy":true,"status":{"IPv4":{', '"healthy":false,"status":{"IPv4":{')
            body = re.sub(
                r'("IPv4":\{"lastUpdated":")[^"]+("),"healthy":true', rf'\g<1>{new}",\g<2>healthy":false', body
            )
            body = body.replace(',""healthy"', ',"healthy"')
            outcomes[name] = outcome._replace(status=503, body=body.encode())
    return with_replies(scrape, **outcomes)


def ineligible(scrape: Scrape) -> Scrape:
    """The health port says that the Node is not eligible; /livez is as it was."""
    outcome = scrape.replies["healthz"].outcome
    assert isinstance(outcome, Answer)
    body = re.sub(rb'("nodeEligible": ?)true', rb"\1false", outcome.body)
    assert body != outcome.body
    return with_replies(scrape, healthz=outcome._replace(status=503, body=body))


def skewed(node: Node, seconds: float) -> Node:
    """The node's clock is so far ahead of the asker's: what it answered stays, when it was asked does not."""
    return node._replace(scrapes=tuple(_asked_at(scrape, -seconds) for scrape in node.scrapes))


def _asked_at(scrape: Scrape, by_seconds: float) -> Scrape:
    replies = {
        name: reply._replace(asked_seconds=reply.asked_seconds + by_seconds) for name, reply in scrape.replies.items()
    }
    return Scrape(scrape.at_seconds + by_seconds, replies)


def at_epoch(node: Node, by_seconds: float) -> Node:
    """Every clock and every time that was told, so much later: another day, nothing else."""
    return node._replace(scrapes=tuple(_elsewhen(scrape, by_seconds) for scrape in node.scrapes))


def _elsewhen(scrape: Scrape, by_seconds: float) -> Scrape:
    replies = {}
    for name, reply in scrape.replies.items():
        outcome = reply.outcome
        if isinstance(outcome, Answer):
            outcome = outcome._replace(headers=_dated(outcome.headers, by_seconds))
        if isinstance(outcome, Answer) and b"currentTime" in outcome.body:
            text = _TIME_UP_TO.sub(lambda match: _moved(match[1], by_seconds) + match[2], outcome.body.decode())
            outcome = outcome._replace(body=text.encode())
        replies[name] = reply._replace(outcome=outcome, asked_seconds=reply.asked_seconds + by_seconds)
    moved = Scrape(scrape.at_seconds + by_seconds, replies)
    if not isinstance(replies["metrics"].outcome, Answer):
        return moved
    return with_values(moved, {f"{name}*": lambda value: value + by_seconds if value > 0 else value for name in TIMES})


_TIME_UP_TO = re.compile(r'(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)([^"]*)')


def judged(*nodes: Node) -> FleetVerdict:
    """By the doctor, at its desk."""
    return examine_at_desk(nodes, knowledge())


def alone(*scrapes: Scrape, ident: str = "node-a") -> NodeVerdict:
    """The verdict on one node with these scrapes."""
    return judged(Node(ident, scrapes)).nodes[0]


def found(*scrapes: Scrape) -> dict[str, str]:
    """Check -> severity, of one node with these scrapes."""
    return {finding.check.id: finding.severity for finding in alone(*scrapes).findings}


def found_each(nodes: Mapping[str, Sequence[Scrape]]) -> dict[str, dict[str, str]]:
    """The same of many nodes at one desk, which costs little more than one; what is told for the fleet is counted."""
    verdicts = judged(*(Node(ident, tuple(scrapes)) for ident, scrapes in nodes.items())).nodes
    return {
        node.ident: {finding.check.id: finding.severity for finding in (*node.findings, *node.shared)}
        for node in verdicts
    }
