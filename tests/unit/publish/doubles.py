"""Doubles of Nightingale's and Grafana's HTTP API, as far as `kpwatch publish --push` uses it.

Made after the programs' own rules: Nightingale answers 200 also for errors, keeps `configs` as the string that came,
adds fields of its own to rules, and says for each imported rule whether it went in; Grafana adds id and version.
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
        body = json.dumps(document).encode()
        peer.send(
            f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )

    def _answer(self, request: Request) -> tuple[int, Any]:
        if not self.allowed(request):
            return 401, {"message": "unauthorized"}
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
        if method == "GET":
            known = self.folders if "/folders/" in path else self.boards
            return (200, known[last]) if last in known else (404, {"message": "not found"})
        if path == "/api/folders":
            self.folders[body["uid"]] = body
            return 200, body
        assert path == "/api/dashboards/db"
        board = body["dashboard"]
        before = self.boards.get(board["uid"], {"dashboard": {"version": 0, "id": len(self.boards) + 1}})["dashboard"]
        stored = {**board, "id": before["id"], "version": before["version"] + 1}
        self.boards[board["uid"]] = {"meta": {"folderUid": body["folderUid"]}, "dashboard": stored}
        return 200, {"uid": board["uid"], "status": "success"}


class Nightingale(Double):
    def __init__(self) -> None:
        self.boards: dict[int, dict[str, Any]] = {}
        self.alerts: dict[str, dict[str, Any]] = {}
        self.records: dict[int, dict[str, Any]] = {}
        self.metrics: dict[int, dict[str, Any]] = {}
        self.bad_alerts: dict[str, str] = {}
        super().__init__()

    def allowed(self, request: Request) -> bool:
        return request.headers.get("x-user-token") == TOKEN

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        try:
            return 200, {"dat": self._do(method, path.removeprefix("/api/n9e"), query, body), "err": ""}
        except LookupError as error:
            return 200, {"dat": None, "err": str(error)}

    def _do(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table of URLs
        match [method, *path.strip("/").split("/")]:
            case ["GET", "busi-groups"]:
                return [{"id": 1, "name": "Default Busi Group"}, {"id": 2, "name": "network"}]
            case ["GET", "board", ident]:
                found = [each for each in self.boards.values() if each["ident"] == ident]
                if not found:
                    raise LookupError("No such dashboard")
                return found[0]
            case ["POST", "busi-group", group, "boards"]:
                assert isinstance(body["configs"], str)
                number = len(self.boards) + 1
                self.boards[number] = {"id": number, "group_id": int(group), "create_by": "root", **body}
                return self.boards[number]
            case ["PUT", "board", number, "configs"]:
                assert isinstance(body["configs"], str)
                self.boards[int(number)]["configs"] = body["configs"]
                return "ok"
            case ["PUT", "board", number]:
                self.boards[int(number)] |= body
                return None
            case ["GET", "busi-group", _, "alert-rules"]:
                return list(self.alerts.values())
            case ["POST", "busi-group", _, "alert-rules", "import"]:
                assert query == {"force": ["true"]}
                told = {}
                for rule in body:
                    told[rule["name"]] = self.bad_alerts.get(rule["name"], "")
                    if not told[rule["name"]]:
                        self.alerts[rule["name"]] = {"id": len(self.alerts) + 1, "create_at": 1, "cluster": "", **rule}
                return told
            case ["GET", "busi-group", _, "recording-rules"]:
                return list(self.records.values())
            case ["POST", "busi-group", _, "recording-rules"]:
                for rule in body:
                    self.records[len(self.records) + 1] = {"id": len(self.records) + 1, **rule}
                return {rule["name"]: "" for rule in body}
            case ["PUT", "busi-group", _, "recording-rule", number]:
                self.records[int(number)] = body
                return None
            case ["GET", "builtin-metrics"]:
                found = [each for each in self.metrics.values() if each["collector"] == query["collector"][0]]
                return {"list": found, "total": len(found)}
            case ["POST", "builtin-metrics"]:
                for entry in body:
                    number = len(self.metrics) + 1
                    self.metrics[number] = {**entry, "id": number, "created_by": "root"}
                return {entry["expression"]: "" for entry in body}
            case ["PUT", "builtin-metrics"]:
                self.metrics[body["id"]] = body
                return None
        raise LookupError(f"no such page: {method} {path}")
