"""Webhooks: what they are told, when, and what happens where they do not take it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.rules.bodies import KINDS, fingerprint
from kpwatch.rules.config import read_matcher
from kpwatch.rules.expand import Surroundings
from kpwatch.rules.memory import Memory
from kpwatch.rules.posting import Address
from kpwatch.rules.ruler import Told
from kpwatch.rules.silences import Silences
from kpwatch.rules.states import Alert
from kpwatch.rules.webhooks import RESTART_SECONDS, Webhook, WebhookOptions
from tests.clocks import MovedClock
from tests.servers import Request, Server, refused_port, response, serves

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AROUND = Surroundings((("cluster", "c1"),), "http://hub:19000")


class Scene:
    """A webhook whose server answers what `answers` says (then 200), by a given clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = MovedClock()
        self.telemetry = Registry()
        self.lines: list[str] = []
        self.made: list[Webhook] = []
        self.answers: list[bytes] = []
        self.server = Server(serves(self.answer))
        self.log = Logger(self.lines.append, clock=self.clock)
        self.memory = Memory(folder / "rules.db", self.telemetry, self.log)
        self.silences = Silences(self.memory, self.clock)

    def answer(self, _: Request) -> bytes:
        return self.answers.pop(0) if self.answers else response(b"ok")

    def webhook(self, kind: str = "json", **options: Any) -> Webhook:
        address = Address("http://127.0.0.1", self.server.url("/secret-path?token=hidden"))
        given = WebhookOptions("ops", kind, options.pop("address", address), **options)
        made = Webhook(given, AROUND, self.memory, self.silences, self.telemetry, self.clock, self.log)
        self.made.append(made)
        return made

    def told(self, name: str = "a", *, active: bool = True, alert: str = "Down") -> Told:
        now = self.clock.unix_seconds()
        labels = (("alertname", alert), ("instance", name))
        state = Alert(
            labels, (("summary", f"{name} is down"),), 0.0, now - 60, "firing" if active else "inactive", now - 30
        )
        return Told(state, alert, "up == 0", now + 240 if active else now)

    def bodies(self) -> list[Any]:
        found = [json.loads(request.body) for request in self.server.requests]
        self.server.requests.clear()
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for webhook in made.made:
        webhook.stop()
    made.memory.close()
    made.server.close()


def statuses(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(alert["labels"]["instance"], alert["status"]) for alert in body["alerts"]]


def test_a_message_is_alertmanagers_webhook_document(scene: Scene) -> None:
    """Version 4, with the external labels."""
    webhook = scene.webhook()
    webhook.tell([scene.told("a"), scene.told("b")])
    webhook.look("Down")
    assert scene.bodies() == [], "news are collected first"
    scene.clock.advance(10)
    webhook.look("Down")
    (body,) = scene.bodies()
    alerts = body.pop("alerts")
    assert body == {
        "version": "4",
        "groupKey": '{}:{alertname="Down"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "Down"},
        "commonLabels": {"alertname": "Down", "cluster": "c1"},
        "commonAnnotations": {},
        "externalURL": "http://hub:19000",
    }
    labels = {"alertname": "Down", "instance": "a", "cluster": "c1"}
    assert alerts[0] == {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "a is down"},
        "startsAt": "2023-11-14T22:12:50.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://hub:19000/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": fingerprint(labels),
    }


def test_it_is_told_once_then_the_end(scene: Scene) -> None:
    """Not again while nothing changes, again after `repeat`, and when it is over."""
    webhook = scene.webhook(wait_seconds=0.0, repeat_seconds=3600.0)
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("a", "firing")]]
    for _ in range(60):
        scene.clock.advance(59)
        webhook.tell([scene.told("a")])
        webhook.look("Down")
    assert scene.bodies() == []
    scene.clock.advance(60)
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("a", "firing")]]
    webhook.tell([scene.told("a", active=False), scene.told("b")])
    webhook.look("Down")
    (body,) = scene.bodies()
    assert statuses(body) == [("b", "firing"), ("a", "resolved")]
    webhook.tell([scene.told("b", active=False), scene.told("a", active=False)])
    webhook.look("Down")
    (body,) = scene.bodies()
    assert (body["status"], statuses(body)) == ("resolved", [("b", "resolved")])


def test_an_alert_that_nobody_tells_of_any_more_is_over(scene: Scene) -> None:
    """As it would be for an Alertmanager."""
    webhook = scene.webhook(wait_seconds=0.0)
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    scene.clock.advance(241)
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("a", "firing")], [("a", "resolved")]]


def test_what_is_not_taken_is_sent_again(scene: Scene) -> None:
    """With growing pauses, as things are then; the log has no secret."""
    webhook = scene.webhook(wait_seconds=0.0)
    scene.answers = [response(b"no, http://x/secret-path?token=hidden", 500), response(b"no", 404)]
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    webhook.look("Down")
    assert len(scene.bodies()) == 1
    scene.clock.advance(1)
    webhook.tell([scene.told("b")])
    webhook.look("Down")
    assert len(scene.bodies()) == 1
    scene.clock.advance(1)
    webhook.look("Down")
    assert scene.bodies() == []
    scene.clock.advance(1)
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("a", "firing"), ("b", "firing")]]
    assert 'kpwatch_hub_notifications_failed_total{to="ops"} 2' in scene.telemetry.render()
    assert 'kpwatch_hub_notifications_sent_total{to="ops"} 2' in scene.telemetry.render()
    assert "answers 500" in "".join(scene.lines)
    assert "hidden" not in "".join(scene.lines)


def test_nobody_there_is_said_without_the_url(scene: Scene) -> None:
    """It may be a secret."""
    address = Address("http://127.0.0.1", f"http://127.0.0.1:{refused_port()}/secret-path?token=hidden")
    webhook = scene.webhook(wait_seconds=0.0, address=address)
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    assert "cannot be reached" in "".join(scene.lines)
    assert "secret-path" not in "".join(scene.lines)


def test_a_restart_tells_nothing_twice_and_the_end(scene: Scene) -> None:
    """What was told is kept."""
    webhook = scene.webhook(wait_seconds=0.0)
    webhook.tell([scene.told("a"), scene.told("b")])
    webhook.look("Down")
    scene.bodies()
    scene.clock.advance(900)
    again = scene.webhook(wait_seconds=0.0)
    again.look("Down")
    again.tell([scene.told("a")])
    again.look("Down")
    assert scene.bodies() == []
    again.tell([scene.told("a", active=False)])
    again.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("b", "firing"), ("a", "resolved")]]
    scene.clock.advance(RESTART_SECONDS + 1)
    again.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("b", "resolved")]]
    assert list(scene.memory.documents("told")) == []


def test_who_is_told_of_what(scene: Scene) -> None:
    """Matchers choose; silences hold back, and what still fires after them is told."""
    webhook = scene.webhook(wait_seconds=0.0, matchers=(read_matcher('instance=~"a|b"'),))
    ends = "2023-11-14T22:20:00Z"
    name = scene.silences.add({"matchers": [{"name": "instance", "value": "a"}], "endsAt": ends})
    webhook.tell([scene.told("a"), scene.told("b"), scene.told("c")])
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("b", "firing")]]
    scene.silences.expire(name)
    webhook.look("Down")
    assert [statuses(body) for body in scene.bodies()] == [[("a", "firing"), ("b", "firing")]]


def test_a_long_message_is_cut(scene: Scene) -> None:
    """To `max_alerts`, with the number of the others."""
    webhook = scene.webhook(wait_seconds=0.0, alerts_max=2)
    webhook.tell([scene.told(str(number)) for number in range(5)])
    webhook.look("Down")
    (body,) = scene.bodies()
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (2, 3)


def test_dingtalk(scene: Scene, tmp_path: Path) -> None:
    """Markdown, signed in the URL; an errcode is a refusal."""
    (tmp_path / "secret").write_text("SECabc\n")
    webhook = scene.webhook("dingtalk", wait_seconds=0.0, secret_file=str(tmp_path / "secret"))
    scene.answers = [response(b'{"errcode":310000,"errmsg":"sign not match"}'), response(b'{"errcode":0}')]
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    assert "sign not match" in "".join(scene.lines)
    scene.clock.advance(1)
    webhook.look("Down")
    first, second = scene.server.requests
    body = json.loads(second.body)
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["title"] == "[FIRING] Down (1)"
    assert "a is down" in body["markdown"]["text"]
    query = parse_qs(urlsplit(second.target).query)
    stamp = query["timestamp"][0]
    digest = hmac.new(b"SECabc", f"{stamp}\nSECabc".encode(), hashlib.sha256).digest()
    assert query["sign"][0] == base64.b64encode(digest).decode()
    assert query["token"] == ["hidden"]
    assert first.target != second.target


def test_feishu(scene: Scene, tmp_path: Path) -> None:
    """A card, signed in the body."""
    (tmp_path / "secret").write_text("key")
    webhook = scene.webhook("feishu", wait_seconds=0.0, secret_file=str(tmp_path / "secret"))
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    (body,) = scene.bodies()
    digest = hmac.new(f"{body['timestamp']}\nkey".encode(), b"", hashlib.sha256).digest()
    assert body["sign"] == base64.b64encode(digest).decode()
    assert body["msg_type"] == "interactive"
    assert body["card"]["header"] == {"title": {"tag": "plain_text", "content": "[FIRING] Down (1)"}, "template": "red"}
    assert "a is down" in body["card"]["elements"][0]["content"]


def test_wecom_and_slack(scene: Scene) -> None:
    """Markdown within 4,096 bytes; an attachment with a colour."""
    wecom = scene.webhook("wecom", wait_seconds=0.0, alerts_max=0)
    wecom.tell([scene.told("节点" * 50 + str(number)) for number in range(50)])
    wecom.look("Down")
    (body,) = scene.bodies()
    assert body["msgtype"] == "markdown"
    assert 3000 < len(body["markdown"]["content"].encode()) <= 4096
    slack = scene.webhook("slack", wait_seconds=0.0)
    slack.tell([scene.told("a", alert="Other")])
    slack.look("Other")
    (body,) = scene.bodies()
    assert (body["text"], body["attachments"][0]["color"]) == ("[FIRING] Other (1)", "danger")
    assert "a is down" in body["attachments"][0]["text"]
    assert "Other* a\n" in body["attachments"][0]["text"], "which node it is"


def test_a_text_that_is_no_text_goes_out(scene: Scene) -> None:
    """What cannot be UTF-8 is replaced; nobody is left untold."""
    for number, kind in enumerate(("json", "slack")):
        webhook = scene.webhook(kind, wait_seconds=0.0)
        webhook.tell([scene.told("\udc80", alert=f"X{number}")])
        webhook.look(f"X{number}")
    assert len(scene.bodies()) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_templates_of_ones_own(scene: Scene, kind: str) -> None:
    """A whole body, too; a template that fails says so in its place."""
    webhook = scene.webhook(kind, wait_seconds=0.0, body='{"s":{{ toJson .Status }},"n":{{ len .Alerts }}}')
    webhook.tell([scene.told("a")])
    webhook.look("Down")
    assert scene.bodies() == [{"s": "firing", "n": 1}]
    broken = scene.webhook("slack", wait_seconds=0.0, title="{{ .CommonLabels.alertname }} {{ .Nope }}")
    broken.tell([scene.told("a", alert="Other")])
    broken.look("Other")
    (body,) = scene.bodies()
    assert body["text"].startswith("<error expanding template: ")


def test_the_fingerprint_is_alertmanagers() -> None:
    """FNV-1a over names and values, as prometheus/common makes it."""
    assert fingerprint({}) == "cbf29ce484222325"
    labels = {"alertname": "Down", "cluster": "c1", "instance": "a", "job": "kube-proxy", "severity": "critical"}
    assert fingerprint(labels) == "d0acf38cdb15772b", "what Alertmanager 0.25 says of this alert"
