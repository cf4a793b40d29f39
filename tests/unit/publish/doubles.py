"""Doubles of Nightingale's and Grafana's HTTP API, as far as `kpwatch publish --push` uses it.

Made after the programs' own rules: Nightingale answers 200 also for errors, keeps `configs` as the string that came,
adds fields of its own to rules, and says for each imported rule whether it went in; Grafana adds id and version, and
wants a folder that is there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import Server

if TYPE_CHECKING:
    from tests.servers import Peer, Request

TOKEN = "secret-token"


class Double:
    """A server whose `answer` says (status, document)."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.refuses: dict[str, tuple[int, Any]] = {}
        """Part of a path -> what is answered instead."""
        self.leaves_at = ""
        """Part of a path at which the server goes away for good."""
        self._server = Server(self._serve)
        self.url = self._server.url("")

    def close(self) -> None:
        self._server.close()

    def _serve(self, peer: Peer) -> None:
        request = peer.request()
        if self.leaves_at and self.leaves_at in request.target:
            peer.reset()
            return
        status, document = self._answer(request)
        body = (document if isinstance(document, str) else json.dumps(document)).encode()
        peer.send(
            f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )

    def _answer(self, request: Request) -> tuple[int, Any]:
        if not self.allowed(request):
            return self.unauthorized()
        for part, answer in self.refuses.items():
            if part in request.target and request.method != "GET":
                return answer
        body = json.loads(request.body) if request.body else None
        if request.method != "GET":
            self.writes.append(f"{request.method} {urlsplit(request.target).path}")
        return self.answer(
            request.method, urlsplit(request.target).path, parse_qs(urlsplit(request.target).query), body
        )

    def allowed(self, request: Request) -> bool:
        raise NotImplementedError

    def unauthorized(self) -> tuple[int, Any]:
        return 401, {"message": "unauthorized"}

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        raise NotImplementedError


class Grafana(Double):
    def __init__(self) -> None:
        self.folders: dict[str, Any] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        super().__init__()

    def allowed(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        del query
        last = path.rpartition("/")[2]
        if path == "/api/folders" and method == "GET":
            return 200, list(self.folders.values())
        if method == "GET":
            known = self.folders if "/folders/" in path else self.boards
            return (200, known[last]) if last in known else (404, {"message": "not found"})
        if path == "/api/folders":
            if any(folder["title"] == body["title"] for folder in self.folders.values()):
                return 409, {"message": "a folder with the same name already exists in the current location"}
            self.folders[body["uid"]] = body
            return 200, body
        assert path == "/api/dashboards/db"
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        board = body["dashboard"]
        before = self.boards.get(board["uid"], {"dashboard": {"version": 0, "id": len(self.boards) + 1}})["dashboard"]
        stored = {**board, "id": before["id"], "version": before["version"] + 1}
        self.boards[board["uid"]] = {"meta": {"folderUid": body["folderUid"]}, "dashboard": stored}
        return 200, {"uid": board["uid"], "status": "success"}


class Nightingale(Double):
    """As its reference has it: JSON with `err` and status 200 for what is wrong with a thing, plain text else."""

    def __init__(self) -> None:
        self.boards: dict[int, dict[str, Any]] = {}
        self.alerts: dict[int, dict[str, Any]] = {}
        self.records: dict[int, dict[str, Any]] = {}
        self.metrics: dict[int, dict[str, Any]] = {}
        self.bad_alerts: dict[str, str] = {}
        self.lacks: tuple[str, ...] = ()
        """Fields of rules and dictionary entries that this version does not have."""
        self.lags = False
        """Whether the dictionary's list does not show new entries yet."""
        self.languages: set[str] = set()
        super().__init__()

    def allowed(self, request: Request) -> bool:
        self.languages.add(request.headers.get("x-language", ""))
        return request.headers.get("x-user-token") == TOKEN

    def unauthorized(self) -> tuple[int, Any]:
        return 401, "unauthorized"

    def alert(self, name: str) -> dict[str, Any]:
        return next(rule for rule in self.alerts.values() if rule["name"] == name)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        try:
            return 200, {"dat": self._do(method, path.removeprefix("/api/n9e"), query, body), "err": ""}
        except NoSuchThing as error:
            return 404, str(error)
        except LookupError as error:
            return 200, {"dat": None, "err": str(error)}

    def _row(self, table: dict[int, dict[str, Any]], given: dict[str, Any], **more: Any) -> None:
        """A new row: an id and fields of its own, lists that are empty as null."""
        fields = {key: value for key, value in given.items() if key not in self.lacks}
        empty = {key: None for key, value in fields.items() if value == []}
        number = len(table) + 1
        table[number] = {**fields, **empty, "id": number, "create_at": 1, "create_by": "root", "cluster": "", **more}

    def _put(self, table: dict[int, dict[str, Any]], number: str, given: dict[str, Any]) -> None:
        before = table.get(int(number))
        if before is None:
            raise NoSuchThing("No such rule")
        assert given["group_id"] == before["group_id"]  # whose user may write there is looked up
        kept = {key: before[key] for key in ("id", "group_id", "create_at", "create_by")}
        table[int(number)] = {key: value for key, value in {**given, **kept}.items() if key not in self.lacks}

    def _import(self, group: str, rules: list[dict[str, Any]]) -> dict[str, str]:
        """What is wrong with each by name; a name is there once."""
        told = {}
        for rule in rules:
            is_there = any(each["name"] == rule["name"] for each in self.alerts.values())
            told[rule["name"]] = self.bad_alerts.get(rule["name"], "AlertRule already exists" if is_there else "")
            if not told[rule["name"]]:
                self._row(self.alerts, rule, group_id=int(group))
        return told

    def _do(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table of URLs
        match [method, *path.strip("/").split("/")]:
            case ["GET", "busi-groups"]:
                return [{"id": 1, "name": "Default Busi Group"}, {"id": 2, "name": "network"}]
            case ["GET", "board", ident]:
                found = [each for each in self.boards.values() if each["ident"] == ident]
                if not found:
                    raise NoSuchThing("No such dashboard")
                return found[0]
            case ["POST", "busi-group", group, "boards"]:
                assert isinstance(body["configs"], str)
                for key in ("ident", "name"):
                    if any(body[key] == each[key] for each in self.boards.values()):
                        raise LookupError(f"{key.capitalize()} duplicate")
                number = len(self.boards) + 1
                self.boards[number] = {"id": number, "group_id": int(group), "create_by": "root", **body}
                return self.boards[number]
            case ["PUT", "board", number, "configs"]:
                assert isinstance(body["configs"], str)
                self.boards[int(number)]["configs"] = body["configs"]
                return self.boards[int(number)]
            case ["PUT", "board", number]:
                self.boards[int(number)] |= {key: body[key] for key in ("name", "ident", "tags", "note")}
                return self.boards[int(number)]
            case ["GET", "busi-group", _, "alert-rules"]:
                return list(self.alerts.values())
            case ["POST", "busi-group", group, "alert-rules", "import"]:
                return self._import(group, body)
            case ["PUT", "busi-group", _, "alert-rule", number]:
                return self._put(self.alerts, number, body)
            case ["GET", "busi-group", _, "recording-rules"]:
                return list(self.records.values())
            case ["POST", "busi-group", group, "recording-rules"]:
                for rule in body:
                    self._row(self.records, rule, group_id=int(group))
                return {rule["name"]: "" for rule in body}
            case ["PUT", "busi-group", _, "recording-rule", number]:
                return self._put(self.records, number, body)
            case ["GET", "builtin-metrics"]:
                assert query["p"] == ["1"]
                found = [each for each in self.metrics.values() if each["collector"] == query["collector"][0]]
                return {"list": [] if self.lags else found, "total": len(found)}
            case ["POST", "builtin-metrics"]:
                told = {}
                for entry in body:
                    if any(entry["expression"] == each["expression"] for each in self.metrics.values()):
                        told[entry["name"]] = "builtin metric already exists"
                    else:
                        self._row(self.metrics, entry)
                return told
            case ["PUT", "builtin-metrics"]:
                self.metrics[body["id"]] = {key: value for key, value in body.items() if key not in self.lacks}
                return None
        raise LookupError(f"no such page: {method} {path}")


class NoSuchThing(LookupError):
    """Answered 404, in plain text."""
