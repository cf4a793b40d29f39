"""Bundles: what is written is read again, what is wrong with one is said, and no secret gets in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure
from kpwatch.doctor.bundle import read_bundle, rfc3339, write_bundle
from kpwatch.doctor.documents import Node
from tests.edited import at_epoch, found, judged, later, metrics_of, with_replies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpwatch.doctor.documents import Scrape

    Captured = Callable[[str], Scrape]

NAMES = (
    "1.20.2-iptables-sync-fail-70s",
    "1.30.3-nftables-churn",
    "1.36.3-iptables-node-missing",
    "1.36.3-iptables-churn",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("day", [0, -1_795_300_000])
def test_what_is_written_is_read_again(name: str, day: float, tmp_path: Path, captured: Captured) -> None:
    """Every answer, error, time and the clock; a bundle of 1970 too."""
    refused = with_replies(captured(name), healthz=Failure("refused", "[Errno 111]"), livez=Failure("timeout", ""))
    node = at_epoch(Node("节点 a", (captured(name), later(refused, 15))), day)
    write_bundle(node, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    assert (again.ident, len(again.scrapes)) == (node.ident, 2)
    for old, new in zip(node.scrapes, again.scrapes, strict=True):
        assert new.at_seconds == pytest.approx(old.at_seconds, abs=1e-5)
        assert new.replies.keys() == old.replies.keys()
        for document, reply in old.replies.items():
            assert new.replies[document].middle_seconds == pytest.approx(reply.middle_seconds, abs=1e-5)
            if isinstance(reply.outcome, Failure):
                assert new.replies[document].outcome.reason == reply.outcome.reason
            else:
                assert new.replies[document].outcome[::2] == reply.outcome[::2]
    before, after = (judged(each).nodes[0] for each in (node, again))
    assert [finding.check.id for finding in after.findings] == [finding.check.id for finding in before.findings]


WORDS = (
    # what an error may say, what it means
    ("connection refused", "refused"),
    ("dial tcp 10.0.0.7:10249: connect: connection refused", "refused"),
    ("[Errno 111] Connection refused", "refused"),
    ("timeout", "timeout"),
    ("context deadline exceeded (Client.Timeout exceeded while awaiting headers)", "timeout"),
    ("read tcp 10.0.0.1:5->10.0.0.7:10249: i/o timeout", "timeout"),
    ("The read operation timed out", "timeout"),
    ("connection reset by peer", "reset"),
    ("dial tcp: lookup node-a: no such host", "dns"),
    ("[Errno -2] Name or service not known", "dns"),
    ("Temporary failure in name resolution", "dns"),
    ("connect: no route to host", "unreachable"),
    ("network is unreachable", "unreachable"),
    ("unexpected EOF", "cut"),
    ("IncompleteRead(100 bytes read)", "cut"),
    ("something else", "error"),
)


def bundle(folder: Path, metrics: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A bundle whose files need not exist."""
    reply = metrics or {"url": "http://10.0.0.7:10249/metrics", "status": None, "error": "timeout", "file": None}
    document = {"version": 1, "ident": "node-a", "scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": reply}]}
    folder.mkdir(exist_ok=True)
    (folder / "bundle.json").write_text(json.dumps(document | changes))
    return folder


@pytest.mark.parametrize(("said", "reason"), WORDS)
def test_errors_are_understood_however_they_are_worded(said: str, reason: str, tmp_path: Path) -> None:
    """Bundles are made by others too."""
    node = read_bundle(bundle(tmp_path, {"url": "http://x/metrics", "status": None, "error": said, "file": None}))
    outcome = node.scrapes[0].replies["metrics"].outcome
    assert isinstance(outcome, Failure)
    assert outcome.reason == reason


TIMES = (
    # as it may be written, unix seconds
    ("2026-11-22T19:01:27Z", 1795374087.0),
    ("2026-11-22T19:01:27.5Z", 1795374087.5),
    ("2026-11-22T19:01:27.123456789Z", 1795374087.123456),
    ("2026-11-23T03:01:27+08:00", 1795374087.0),
    ("2026-11-22T19:01:27", 1795374087.0),
    ("2026-11-22 19:01:27+00:00", 1795374087.0),
    ("1970-01-01T00:00:00Z", 0.0),
)


@pytest.mark.parametrize(("written", "seconds"), TIMES)
def test_times(written: str, seconds: float, tmp_path: Path) -> None:
    """RFC 3339 as programs write it; without a zone it is UTC."""
    reply = {"url": "http://x", "status": 200, "error": None, "file": None, "time": written}
    node = read_bundle(bundle(tmp_path, scrapes=[{"time": written, "metrics": reply}]))
    assert node.scrapes[0].at_seconds == pytest.approx(seconds, abs=1e-6)
    assert node.scrapes[0].replies["metrics"].asked_seconds == pytest.approx(seconds, abs=1e-6)


def test_a_reply_may_have_been_asked_for_later_than_its_scrape(tmp_path: Path) -> None:
    """And the clock is taken in the middle of it."""
    reply = {"url": "http://x", "status": 200, "error": None, "file": None, "seconds": 2.0}
    scrape = {"time": "2026-11-22T19:01:27Z", "metrics": reply | {"time": "2026-11-22T19:01:30Z"}, "healthz": reply}
    (read,) = read_bundle(bundle(tmp_path, scrapes=[scrape])).scrapes
    assert read.replies["metrics"].middle_seconds - read.at_seconds == 4
    assert read.replies["healthz"].middle_seconds - read.at_seconds == 1


def test_scrapes_stand_in_order_of_time(tmp_path: Path) -> None:
    """However they are written down; other documents are carried along."""
    reply = {"url": "http://x", "status": None, "error": "timeout", "file": None}
    scrapes = [
        {"time": "2026-11-22T19:01:40Z", "metrics": reply},
        {"time": "2026-11-22T19:01:27Z", "metrics": reply, "configz": reply, "metrics_healthz": reply, "note": "hello"},
    ]
    first, second = read_bundle(bundle(tmp_path, scrapes=scrapes)).scrapes
    assert first.at_seconds < second.at_seconds
    assert set(first.replies) == {"metrics", "configz", "metrics_healthz"}


FILE = {"url": "http://x", "status": 200, "error": None}
BROKEN = (
    # what is changed, what the message names
    ({"version": 2}, "version 2"),
    ({"version": None}, "version None"),
    ({"scrapes": []}, "no scrape"),
    ({"scrapes": [{"metrics": {}}]}, "time"),
    ({"scrapes": [{"time": "yesterday"}]}, "scrapes[0].time"),
    ({"scrapes": [{"time": 17, "metrics": {}}]}, "scrapes[0].time"),
    ({"scrapes": {"time": 1}}, "bundle"),
    ({"scrapes": [[]]}, "bundle"),
    ({"scrapes": None}, "bundle"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"file": "none.txt"}}]}, "none.txt"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"file": "../secret"}}]}, "../secret"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"file": "/etc/passwd"}}]}, "/etc/passwd"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"file": "a\0b"}}]}, "file"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"status": "good", "file": None}}]}, "good"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"headers": ["a"], "file": None}}]}, "bundle"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"seconds": "x", "file": None}}]}, "x"),
    ({"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"time": "noon", "file": None}}]}, "metrics.time"),
    (
        {"scrapes": [{"time": "2026-11-22T19:01:27Z", "metrics": FILE | {"seconds": float("nan"), "file": None}}]},
        "seconds",
    ),
)


@pytest.mark.parametrize(("changes", "named"), BROKEN)
def test_what_is_wrong_with_a_bundle_is_named(changes: dict[str, Any], named: str, tmp_path: Path) -> None:
    """The file, the place in it, the value."""
    (tmp_path / "secret").write_text("x")
    folder = bundle(tmp_path / "bundle", **changes)
    with pytest.raises(ConfigError) as raised:
        read_bundle(folder)
    assert named in str(raised.value)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"x"', "{}", "[" * 100_000, "\ufeff{}"])
def test_a_manifest_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(ConfigError, match="bundle"):
        read_bundle(tmp_path)


def test_a_directory_without_a_manifest(tmp_path: Path) -> None:
    """Or no directory at all."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="--save"):
            read_bundle(folder)


def test_nothing_is_overwritten(tmp_path: Path, captured: Captured) -> None:
    """A directory that holds a bundle is not taken for another."""
    node = Node("node-a", (captured("1.36.3-iptables-churn"),))
    write_bundle(node, tmp_path)
    with pytest.raises(ConfigError, match="new directory"):
        write_bundle(node, tmp_path)


def test_no_secret_gets_into_a_bundle(tmp_path: Path, captured: Captured) -> None:
    """Neither from the URL nor from headers."""
    scrape = captured("1.36.3-iptables-churn")
    secret = Answer(200, {"set-cookie": "session=hunter2", "authorization": "hunter2"}, metrics_of(scrape))
    replies = {
        name: reply._replace(url="http://user:hunter2@10.0.0.7:10249/metrics?token=hunter2")
        for name, reply in with_replies(scrape, metrics=secret).replies.items()
    }
    write_bundle(Node("node-a", (scrape._replace(replies=replies),)), tmp_path)
    for path in tmp_path.iterdir():
        assert b"hunter2" not in path.read_bytes(), path
    assert found(*read_bundle(tmp_path).scrapes) == {}


def test_times_are_written_to_the_microsecond() -> None:
    assert rfc3339(1795374087.1234564) == "2026-11-22T19:01:27.123456Z"
