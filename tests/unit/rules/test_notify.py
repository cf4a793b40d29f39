"""Alertmanagers: each is told by a queue of its own, again where it did not take it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import BadQuery, ConfigError, NotFound
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.rules.config import alertmanager_address, read_config
from kpwatch.rules.expand import Surroundings
from kpwatch.rules.memory import Memory
from kpwatch.rules.notify import QUEUE_MAX, Alertmanager
from kpwatch.rules.ruler import Told
from kpwatch.rules.silences import Silences
from kpwatch.rules.states import Alert
from tests.clocks import MovedClock
from tests.servers import Server, refused_port, replies, response

if TYPE_CHECKING:
    from pathlib import Path

AROUND = Surroundings((("cluster", "c1"), ("instance", "never")), "http://hub:19000")


def told(clock: MovedClock, name: str, *, active: bool = True, value: float = 1.0) -> Told:
    now = clock.unix_seconds()
    labels = (("alertname", "Down"), ("instance", name))
    alert = Alert(labels, (("summary", "s"),), value, now - 60, "firing" if active else "inactive", now - 30)
    return Told(alert, "Down", "up == 0", now + 240 if active else now)


def alertmanager(url: str, clock: MovedClock, telemetry: Registry) -> Alertmanager:
    return Alertmanager(alertmanager_address(url), AROUND, telemetry, clock, Logger(lambda _: None, clock=clock))


def test_each_is_told_whatever_the_other_does() -> None:
    """One that is dead delays nobody; the message is that of API v2."""
    clock, telemetry = MovedClock(), Registry()
    with Server(replies(response())) as server:
        managers = [
            alertmanager(f"http://127.0.0.1:{port}/am/", clock, telemetry) for port in (refused_port(), server.port)
        ]
        for one in managers:
            one.start()
            one.tell([told(clock, "a")])
        server.wait_for_requests(1)
        for one in managers:
            one.stop()
        (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/am/api/v2/alerts")
    assert json.loads(request.body) == [
        {
            "startsAt": "2023-11-14T22:12:50.000Z",
            "endsAt": "2023-11-14T22:17:20.000Z",
            "generatorURL": "http://hub:19000/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
            "labels": {"alertname": "Down", "cluster": "c1", "instance": "a"},
            "annotations": {"summary": "s"},
        }
    ]


def test_what_is_not_taken_is_sent_again_as_it_is_then() -> None:
    """An alert that changed meanwhile is told once, with its newest word."""
    clock, telemetry = MovedClock(), Registry()
    with Server(replies(response(b"down", 503), response())) as server:
        one = alertmanager(server.url(""), clock, telemetry)
        one.tell([told(clock, "a"), told(clock, "b")])
        one.start()
        server.wait_for_requests(1)
        one.tell([told(clock, "a", active=False)])
        server.wait_for_requests(2)
        one.stop()
        first, second = (json.loads(request.body) for request in server.requests)
    assert [alert["labels"]["instance"] for alert in first] == ["a", "b"]
    ends = {alert["labels"]["instance"]: alert["endsAt"] for alert in second}
    assert ends == {"b": "2023-11-14T22:17:20.000Z", "a": "2023-11-14T22:13:20.000Z"}
    page = telemetry.render()
    assert f'kpwatch_hub_notifications_failed_total{{to="{server.url("")}"}} 1' in page


def test_old_news_are_left_out_and_counted() -> None:
    """A firing alert whose end has passed; the resolved one is told for 15 minutes."""
    clock, telemetry = MovedClock(), Registry()
    one = alertmanager("http://127.0.0.1:1", clock, telemetry)
    one.tell([told(clock, "old"), told(clock, "over", active=False)])
    clock.advance(300)
    one.tell([told(clock, "new")])
    assert [dict(alert.alert.labels)["instance"] for alert in one._taken()] == ["over", "new"]
    one.tell([told(clock, "old"), told(clock, "over", active=False)])
    clock.advance(901)
    assert one._taken() == []
    assert 'kpwatch_hub_notifications_dropped_total{to="http://127.0.0.1:1"} 3' in telemetry.render()


def test_the_queue_is_bounded() -> None:
    """The oldest go, and are counted."""
    clock, telemetry = MovedClock(), Registry()
    one = alertmanager("http://127.0.0.1:1", clock, telemetry)
    one.tell([told(clock, str(number)) for number in range(QUEUE_MAX + 5)])
    assert 'kpwatch_hub_notifications_waiting{to="http://127.0.0.1:1"} 10000' in telemetry.render()
    assert 'kpwatch_hub_notifications_dropped_total{to="http://127.0.0.1:1"} 5' in telemetry.render()


GOOD = """\
[[alertmanagers]]
url = "https://am:9093/x/"
timeout = "5s"

[[webhooks]]
name = "ops"
kind = "slack"
url = "https://hooks.example/secret/path"
matchers = ['severity=~"critical|warning"', 'job!=x']
title = "{{ .Status }}"
wait = "1m"
max_alerts = 5
"""


def test_hub_toml(tmp_path: Path) -> None:
    """Everything is read; what is shown of a webhook has no path."""
    (tmp_path / "hub.toml").write_text(GOOD)
    found = read_config(tmp_path / "hub.toml")
    (manager,), (webhook,) = found
    assert (manager.url, manager.timeout_seconds) == ("https://am:9093/x", 5)
    assert (webhook.name, webhook.kind, webhook.wait_seconds, webhook.alerts_max) == ("ops", "slack", 60, 5)
    assert [str(one) for one in webhook.matchers] == ['severity=~"critical|warning"', 'job!="x"']
    assert webhook.address.shown == "https://hooks.example (slack)"
    assert "secret/path" not in repr(webhook)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[webhooks]]\nkind = 'json'", "[[webhooks]] 1: url: where are messages to go?"),
        ("[[webhooks]]\nurl = 'http://x'\nkind = 'irc'", "kind: expected one of json, dingtalk"),
        ("[[webhooks]]\nurl = 'http://x'\ntitel = ''", "the key 'titel' is none of url"),
        ("[[webhooks]]\nurl = 'http://x'\ntitle = '{{ nope }}'", "title: line 1: function 'nope' not defined"),
        ("[[webhooks]]\nurl = 'http://x'\nmatchers = ['a']", "matchers: 'a': expected NAME=\"VALUE\""),
        ("[[webhooks]]\nurl = 'http://x'\nmatchers = ['a=~(']", "matchers: "),
        ("[[webhooks]]\nurl = 'http://x'\nwait = 5", "wait: expected a text"),
        ("[[webhooks]]\nurl = 'ftp://x'", "url: 'ftp://x': expected a URL"),
        ("[[webhooks]]\nurl = 'http://x'\nsecret_file = '/nope'", "secret_file: /nope: cannot be read"),
        ("[[webhooks]]\nurl_file = '/nope'", "url_file: /nope: cannot be read"),
        ("[[alertmanagers]]\nurl = 'http://a:b@x'", "give its password by basic_auth_file"),
        ("[[webhooks]]\nurl = 'http://x'\nname = 'a'\n[[webhooks]]\nurl = 'http://x'\nname = 'a'", "the same name"),
        ("[webhooks]\nurl = 'http://x'", "'webhooks' is none of [[alertmanagers]], [[webhooks]]"),
        ("x =", "not TOML"),
    ],
)
def test_a_wrong_hub_toml(tmp_path: Path, text: str, reason: str) -> None:
    """Says table, key and rule."""
    (tmp_path / "hub.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "hub.toml")
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"--config {tmp_path}/hub.toml: ")


def silences(folder: Path, clock: MovedClock) -> Silences:
    return Silences(Memory(folder / "rules.db", Registry(), Logger(lambda _: None, clock=clock)), clock)


BASE = {"matchers": [{"name": "instance", "value": "a.*", "isRegex": True}], "endsAt": "2023-11-14T22:20:00Z"}


def test_silences_are_kept_and_end(tmp_path: Path) -> None:
    """Over a restart; by their time, or at once."""
    clock = MovedClock()
    first = silences(tmp_path, clock)
    name = first.add({**BASE, "comment": "why", "createdBy": "me"})
    later = first.add({**BASE, "startsAt": "2023-11-14T22:19:00Z"})
    again = silences(tmp_path, clock)
    assert [(one["id"], one["status"]["state"]) for one in again.list()] == [(name, "active"), (later, "pending")]
    assert again.list()[0]["comment"] == "why"
    assert again.silenced_by((("alertname", "X"), ("instance", "ab")))
    assert not again.silenced_by((("alertname", "X"), ("instance", "b")))
    again.expire(name)
    assert not again.silenced_by((("instance", "ab"),))
    assert again.add({**BASE, "id": name}) == name
    assert again.silenced_by((("instance", "ab"),))
    clock.advance(500)
    assert {one["status"]["state"] for one in again.list()} == {"expired"}
    clock.advance(6 * 86_400)
    assert again.list() == []
    assert silences(tmp_path, clock).list() == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"matchers": []}, "matchers: expected a list"),
        ({"matchers": [{"name": "a"}]}, "a name and a value"),
        ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, "must not match the empty text"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, "("),
        ({"endsAt": "tomorrow"}, "endsAt: 'tomorrow'"),
        ({"endsAt": "2030-01-01T00:00:00"}, "endsAt: "),
        ({"endsAt": None}, "endsAt: "),
        ({"endsAt": "2020-01-01T00:00:00Z"}, "a silence ends after"),
    ],
)
def test_a_wrong_silence(tmp_path: Path, changed: dict[str, object], reason: str) -> None:
    """Says what is wrong, and is not made."""
    made = silences(tmp_path, MovedClock())
    with pytest.raises(BadQuery) as caught:
        made.add({**BASE, **changed})
    assert reason in str(caught.value)
    assert made.list() == []
    with pytest.raises(NotFound):
        made.expire("nope")
