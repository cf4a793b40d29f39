"""What webhooks are sent: one group of alerts as Alertmanager's webhook shape, and chat messages made of it. Pure.

`message` is version 4 of Alertmanager's webhook document. A chat's message has a title and a text from templates whose
data is that document with Go's names (`.Status`, `.Alerts`, `.CommonLabels` …); `KINDS` says how each service wants
them, how long they may be, and what in its answer means that it took them. `body` of a receiver is a template for the
whole.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus

from kpwatch.base.errors import QueryFailed
from kpwatch.rules.go_execute import execute
from kpwatch.rules.go_functions import NAMES, functions
from kpwatch.rules.go_parse import parse
from kpwatch.rules.go_print import Map, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Document = dict[str, Any]

TITLE = "[{{ .Status | toUpper }}] {{ .GroupLabels.alertname }} ({{ len .Alerts }})"
TEXT = """\
{{ range .Alerts }}**{{ if eq .Status "firing" }}🔥{{ else }}✅{{ end }} {{ .Labels.alertname }}**\
{{ with .Labels.severity }} [{{ . }}]{{ end }}{{ with .Labels.ident }} {{ . }}{{ else }} {{ .Labels.instance }}{{ end }}
{{ with .Annotations.summary }}{{ . }}
{{ end }}{{ with .Annotations.summary_zh }}{{ . }}
{{ end }}{{ with .Annotations.description }}{{ . }}
{{ end }}{{ with .Annotations.runbook_url }}[runbook]({{ . }})
{{ end }}{{ .StartsAt }}

{{ end }}{{ if .TruncatedAlerts }}… {{ .TruncatedAlerts }}{{ end }}"""
SLACK_TEXT = TEXT.replace("**", "*").replace("[runbook]({{ . }})", "<{{ . }}|runbook>")


def fingerprint(labels: Mapping[str, str]) -> str:
    """Of an alert, as Alertmanager makes it: FNV-1a of names and values."""
    number = 14695981039346656037
    for name in sorted(labels):
        for byte in f"{name}\0{labels[name]}\0".encode("utf-8", "replace").replace(b"\0", b"\xff"):
            number = (number ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


def message(receiver: str, alerts: Sequence[Document], truncated: int, group: str, external_url: str) -> Document:
    """Alertmanager's webhook document of alerts (`status`, `labels`, … each) that have one `alertname`."""
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{group}"}}',
        "truncatedAlerts": truncated,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": receiver,
        "groupLabels": {"alertname": group},
        "commonLabels": _common(alerts, "labels"),
        "commonAnnotations": _common(alerts, "annotations"),
        "externalURL": external_url,
        "alerts": list(alerts),
    }


def _common(alerts: Sequence[Document], part: str) -> dict[str, str]:
    first = alerts[0][part] if alerts else {}
    return {name: value for name, value in first.items() if all(alert[part].get(name) == value for alert in alerts)}


def _data(document: Document) -> Struct:
    alerts = [
        Struct(
            Status=alert["status"],
            Labels=Map(alert["labels"]),
            Annotations=Map(alert["annotations"]),
            StartsAt=alert["startsAt"],
            EndsAt=alert["endsAt"],
            GeneratorURL=alert["generatorURL"],
            Fingerprint=alert["fingerprint"],
        )
        for alert in document["alerts"]
    ]
    return Struct(
        Status=document["status"],
        Receiver=document["receiver"],
        GroupKey=document["groupKey"],
        GroupLabels=Map(document["groupLabels"]),
        CommonLabels=Map(document["commonLabels"]),
        CommonAnnotations=Map(document["commonAnnotations"]),
        ExternalURL=document["externalURL"],
        TruncatedAlerts=document["truncatedAlerts"],
        Alerts=alerts,
        Document=document,
    )


def check_template(text: str) -> None:
    """Raises TemplateError for one that is none."""
    parse(text, NAMES)


def rendered(template: str, document: Document) -> str:
    """A template's text; one that fails is a text that says so."""
    try:
        made = parse(template, NAMES)
        return execute(made, _data(document), functions(_no_queries, document["externalURL"]), {})
    except Exception as error:  # noqa: BLE001 - whatever a template does, the message goes out
        return f"<error expanding template: {error}>"


def _no_queries(_: str) -> list[Any]:
    raise QueryFailed("there is no query in a message's template; make it an annotation")


def shortened(text: str, limit_bytes: int) -> str:
    """At most so many bytes of UTF-8, with … at a cut."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit_bytes:
        return text
    return encoded[: limit_bytes - 3].decode("utf-8", "ignore") + "…"


class Signed(NamedTuple):
    """What a secret adds to a message."""

    query: str = ""
    fields: Mapping[str, str] = {}


def sign_dingtalk(secret: str, now: float) -> Signed:
    """`timestamp` and `sign` in the URL (HMAC-SHA256 of both lines with the secret)."""
    stamp = str(round(now * 1000))
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return Signed(f"timestamp={stamp}&sign={quote_plus(base64.b64encode(digest))}")


def sign_feishu(secret: str, now: float) -> Signed:
    """`timestamp` and `sign` in the body (HMAC-SHA256 of nothing, keyed with both lines)."""
    stamp = str(round(now))
    digest = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return Signed(fields={"timestamp": stamp, "sign": base64.b64encode(digest).decode()})


class Kind(NamedTuple):
    """How a service wants its messages."""

    body: Callable[[str, str, Document], Document]
    """Of title, text and the document."""
    text: str = TEXT
    text_bytes: int = 20_000
    sign: Callable[[str, float], Signed] | None = None
    refusal: Callable[[Mapping[str, Any]], bool] = lambda _: False
    """Whether an answer with status 200 says no."""


def _is_set(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda answer: any(answer.get(name) not in (None, 0) for name in names)


KINDS: dict[str, Kind] = {
    "json": Kind(lambda _title, _text, document: document),
    "dingtalk": Kind(
        lambda title, text, _: {"msgtype": "markdown", "markdown": {"title": title, "text": f"### {title}\n\n{text}"}},
        TEXT.replace("\n", "\n\n"),
        18_000,
        sign_dingtalk,
        _is_set("errcode"),
    ),
    "wecom": Kind(
        lambda title, text, _: {
            "msgtype": "markdown",
            "markdown": {"content": shortened(f"### {title}\n{text}", 4096)},
        },
        text_bytes=3900,
        refusal=_is_set("errcode"),
    ),
    "feishu": Kind(
        lambda title, text, document: {
            "msg_type": "interactive",
            "card": {
                "header": {
                    "title": {"tag": "plain_text", "content": title},
                    "template": "red" if document["status"] == "firing" else "green",
                },
                "elements": [{"tag": "markdown", "content": text}],
            },
        },
        text_bytes=18_000,
        sign=sign_feishu,
        refusal=_is_set("code", "StatusCode"),
    ),
    "slack": Kind(
        lambda title, text, document: {
            "text": title,
            "attachments": [
                {
                    "color": "danger" if document["status"] == "firing" else "good",
                    "fallback": title,
                    "text": text,
                    "mrkdwn_in": ["text"],
                }
            ],
        },
        SLACK_TEXT,
        7_000,
    ),
}
"""By what a receiver's `kind` says."""


def refused(kind: Kind, answer: bytes) -> bool:
    """Whether a service's answer with status 2xx says no."""
    try:
        document = json.loads(answer)
    except ValueError:
        return False
    return isinstance(document, dict) and kind.refusal(document)
