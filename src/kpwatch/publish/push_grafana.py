"""Grafana's HTTP API: a folder and the boards in it. Edge."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.panels import panels
from kpwatch.publish.grafana import board_documents
from kpwatch.publish.push import Refused, Remote, Step, holds

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FOLDERS = 1000
FOLDER = {"uid": "kpwatch", "title": "kube-proxy"}


class GrafanaPusher:
    """See push.Pusher."""

    def __init__(self, url: str, token: str, language: str) -> None:
        self._remote = Remote(url, {"Authorization": f"Bearer {token}"})
        self._language = language
        self._folder_uid = FOLDER["uid"]

    def steps(self) -> Iterator[Step]:
        """The folder, then a board each."""
        yield Step(f"folder {FOLDER['title']}", self._folder)
        for board in board_documents(panels(), self._language):
            yield Step(f"board {board['uid']}", partial(self._board, board))

    def _folder(self) -> str:
        """Ours, or one of that name that somebody made: most versions take no second one."""
        if self._find(f"/api/folders/{FOLDER['uid']}") is not None:
            return "unchanged"
        for folder in self._remote.ask("GET", f"/api/folders?limit={_MOST_FOLDERS}") or ():
            if folder.get("title") == FOLDER["title"]:
                self._folder_uid = folder["uid"]
                return "unchanged"
        self._remote.ask("POST", "/api/folders", FOLDER)
        return "created"

    def _board(self, board: dict[str, Any]) -> str:
        known = self._find(f"/api/dashboards/uid/{board['uid']}")
        if known is not None and holds(known.get("dashboard"), board):
            return "unchanged"
        body = {
            "dashboard": {**board, "id": None},
            "folderUid": self._folder_uid,
            "overwrite": True,
            "message": "kpwatch",
        }
        self._remote.ask("POST", "/api/dashboards/db", body)
        return "created" if known is None else "updated"

    def _find(self, path: str) -> Any:
        """None where there is no such thing."""
        try:
            return self._remote.ask("GET", path)
        except Refused as error:
            if error.status == 404:
                return None
            raise
