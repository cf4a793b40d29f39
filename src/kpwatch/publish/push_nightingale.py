"""Nightingale's HTTP API: boards, alert rules, recording rules, dictionary. Edge.

Answers are 200 also where something is wrong: then `err` says what, and, where several things went in at once, `dat`
says it of each. Other statuses have plain text. A rule is answered with all fields that this version of Nightingale
has; one that it has not cannot differ. Of dictionary entries it shows those of the language that is asked in, from a
cache that lags behind by seconds.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.publish.alerts import all_alerts
from kpwatch.publish.nightingale import (
    COLLECTOR,
    TYP,
    alert_document,
    board_documents,
    dictionary_documents,
    record_documents,
)
from kpwatch.publish.push import Refused, Remote, Step, escaped, holds

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOARD_FIELDS = ("name", "ident", "tags", "note")
_ENTRY_FIELDS = ("collector", "typ", "name", "unit", "note", "expression", "expression_type", "translation")
_MOST_METRICS = 10_000
_LANGUAGES = {"zh": "zh_CN", "en": "en_US"}
_IS_THERE = ("already exists", "已存在")


class NightingalePusher:
    """See push.Pusher."""

    def __init__(self, url: str, token: str, language: str, *, group: str = "", runbooks: str = "runbooks") -> None:
        """`group`: name of the business group; "" = the first that the token's user has."""
        self._remote = Remote(url, {"X-User-Token": token, "X-Language": _LANGUAGES[language]})
        self._language = language
        self._group = group
        self._runbooks = runbooks

    def steps(self) -> Iterator[Step]:
        """Boards, rules, dictionary; raises Refused, NoAnswer where not even the group can be had."""
        group = f"/api/n9e/busi-group/{self._group_id()}"
        for board in board_documents(panels(), self._language):
            yield Step(f"board {board['ident']}", partial(self._board, group, board))
        alerts = [alert_document(alert, self._runbooks) for alert in all_alerts(knowledge())]
        known = self._by_name(f"{group}/alert-rules")
        for alert in alerts:
            push = partial(self._rule, f"{group}/alert-rule", "s/import?force=true", alert, known.get(alert["name"]))
            yield Step(f"alert rule {alert['name']}", push)
        known = self._by_name(f"{group}/recording-rules")
        for record in record_documents(panels()):
            push = partial(self._rule, f"{group}/recording-rule", "s", record, known.get(record["name"]))
            yield Step(f"recording rule {record['name']}", push)
        listed = self._ask("GET", f"/api/n9e/builtin-metrics?collector={COLLECTOR}&typ={TYP}&limit={_MOST_METRICS}&p=1")
        entries = {each["expression"]: each for each in (listed or {}).get("list") or ()}
        for entry in dictionary_documents(knowledge(), self._language):
            name = entry["translation"][1]["name"]
            yield Step(f"dictionary {name}", partial(self._entry, entry, entries.get(entry["expression"])))

    def _group_id(self) -> int:
        groups = self._ask("GET", "/api/n9e/busi-groups") or []
        for group in groups:
            if self._group in ("", group["name"]):
                return int(group["id"])
        names = ", ".join(str(group["name"]) for group in groups) or "none"
        raise Refused(f"no business group {self._group!r} for this token's user; there are: {names} (--group)", 200)

    def _board(self, group: str, board: dict[str, Any]) -> str:
        wanted = {key: board[key] for key in _BOARD_FIELDS}
        configs = board["configs"]
        known = self._find_board(board["ident"])
        if known is None:
            self._ask("POST", f"{group}/boards", {**wanted, "configs": json.dumps(configs, ensure_ascii=False)})
            return "created"
        same_fields, same_configs = holds(known, wanted), _read(known.get("configs")) == configs
        if not same_fields:
            self._ask("PUT", f"/api/n9e/board/{known['id']}", wanted)
        if not same_configs:
            text = json.dumps(configs, ensure_ascii=False)
            self._ask("PUT", f"/api/n9e/board/{known['id']}/configs", {"configs": text})
        return "unchanged" if same_fields and same_configs else "updated"

    def _find_board(self, ident: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] | None = self._ask("GET", f"/api/n9e/board/{escaped(ident)}")
        except Refused as error:
            if error.status not in (200, 404):
                raise
            return None  # "No such dashboard"
        return found

    def _rule(self, path: str, new: str, rule: dict[str, Any], known: dict[str, Any] | None) -> str:
        """An alerting or recording rule; `new` is what follows `path` where one is made."""
        if known is None:
            self._each(self._ask("POST", f"{path}{new}", [rule]))
            return "created"
        if holds(known, _of_its_version(rule, known)):
            return "unchanged"
        self._ask("PUT", f"{path}/{known['id']}", {**known, **rule})
        return "updated"

    def _entry(self, entry: dict[str, Any], known: dict[str, Any] | None) -> str:
        if known is None:
            try:
                self._each(self._ask("POST", "/api/n9e/builtin-metrics", [entry]))
            except Refused as error:
                if not any(words in str(error) for words in _IS_THERE):
                    raise
                return "unchanged"  # it is not in the server's list yet
            return "created"
        if holds(known, _of_its_version({key: entry[key] for key in _ENTRY_FIELDS}, known)):
            return "unchanged"
        self._ask("PUT", "/api/n9e/builtin-metrics", {**known, **entry, "id": known["id"], "uuid": known["uuid"]})
        return "updated"

    def _by_name(self, path: str) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self._ask("GET", path) or ()}

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """What stands in `dat`; raises Refused also for what is wrong with 200."""
        answer = self._remote.ask(method, path, body)
        if not isinstance(answer, dict):
            raise Refused(f"{method} {path}: expected an object with dat and err; is this Nightingale? (--push)", 200)
        if answer.get("err"):
            raise Refused(f"{method} {path.partition('?')[0]}: {answer['err']}", 200)
        return answer.get("dat")

    @staticmethod
    def _each(answer: Any) -> None:
        wrong = [f"{name}: {text}" for name, text in answer.items() if text] if isinstance(answer, dict) else []
        if wrong:
            raise Refused("; ".join(wrong), 200)


def _of_its_version(ours: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Those fields that the server has."""
    return {key: value for key, value in ours.items() if key in known}


def _read(configs: Any) -> Any:
    try:
        return json.loads(configs) if isinstance(configs, str) else configs
    except ValueError:
        return None
