"""Files to take along: boards, rules and runbooks for other programs, and the agent's manifest with this hub's address.

What is in them is the room `publish`'s business, which stands above this one: the hub hands it in (`Shelf`).
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.api.answers import success
from kpwatch.api.encoding import accepted_coding, encoded, unless_known
from kpwatch.api.params import Form
from kpwatch.api.routes import WRITE_PATHS
from kpwatch.base.asgi import Answer
from kpwatch.base.errors import BadQuery, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Request

AGENT = "agent"
RUNBOOKS = "runbooks"
ADDRESS_LENGTH_MAX = 2000
_ADDRESS = re.compile(r"https?://[^\s\"'\\<>`]+")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,299}")
_ZIP = "application/zip"
_TYPES = {"json": "application/json", "yml": "application/yaml", "yaml": "application/yaml", "md": "text/markdown"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip can name: the same files are the same bytes


class Shelf(NamedTuple):
    """What there is to take."""

    targets: Sequence[str]
    """Programs that files are made for."""
    files: Callable[[str, str], Iterable[tuple[str, str]]]
    """(path, text) of every file for a target; the second argument is where its alerts find runbooks."""
    manifest: Callable[[str, str], str]
    """The agent as YAML: from where it writes to, and its image ("" = the usual)."""


class DownloadsApi:
    """Handlers of /downloads."""

    def __init__(self, shelf: Callable[[], Shelf], workers: Workers, scheme: str) -> None:
        """`shelf` is called for each request, so that nothing is loaded before; `scheme`: http or https."""
        self._shelf = shelf
        self._workers = workers
        self._scheme = scheme

    async def listed(self, request: Request) -> Answer:
        """GET /downloads: names, and the files in each."""
        coding = accepted_coding(request)

        def work() -> Answer:
            shelf = self._shelf()
            found: list[dict[str, Any]] = [{"name": AGENT, "files": []}]
            for target in shelf.targets:
                files = [{"path": path, "bytes": len(text.encode())} for path, text in shelf.files(target, RUNBOOKS)]
                found.append({"name": target, "files": files})
            return encoded(unless_known(request, success({"downloads": found})), coding)

        return await self._workers.run(work)

    async def one(self, request: Request) -> Answer:
        """GET /downloads/{name}: a zip of all files, `file` of them, or the agent's manifest."""
        form = Form(request.query)
        coding = accepted_coding(request)

        def work() -> Answer:
            shelf = self._shelf()
            is_agent = request.captured == AGENT
            found = self._agent(shelf, request, form) if is_agent else _packed(shelf, request.captured, form)
            answer = unless_known(request, found)
            return answer if answer.content_type == _ZIP else encoded(answer, coding)

        return await self._workers.run(work)

    def _agent(self, shelf: Shelf, request: Request, form: Form) -> Answer:
        image = form.text("image")
        if image and not _IMAGE.fullmatch(image):
            raise BadQuery(f'invalid parameter "image": {image[:100]!r} names no image')
        scheme = request.header(b"x-forwarded-proto") or self._scheme
        address = form.text("url") or f"{scheme}://{request.header(b'host')}{WRITE_PATHS[0]}"
        if len(address) > ADDRESS_LENGTH_MAX or not _ADDRESS.fullmatch(address):
            raise BadQuery(f'invalid parameter "url": expected http:// or https:// and a host, got {address[:100]!r}')
        return _file("kpwatch-agent.yaml", shelf.manifest(address, image).encode())


def _packed(shelf: Shelf, name: str, form: Form) -> Answer:
    if name not in shelf.targets:
        raise NotFound(f"there is no download {name[:100]!r}; there are {', '.join((AGENT, *shelf.targets))}")
    files = list(shelf.files(name, form.text("runbooks") or RUNBOOKS))
    wanted = form.text("file")
    if not wanted:
        return _file(f"kpwatch-{name}.zip", _zipped(files))
    text = dict(files).get(wanted)
    if text is None:
        raise NotFound(f"{name} has no file {wanted[:200]!r}; GET /api/kpwatch/v1/downloads lists them")
    return _file(wanted.replace("/", "-"), text.encode())


def _zipped(files: Iterable[tuple[str, str]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files:
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _file(name: str, body: bytes) -> Answer:
    kind = name.rpartition(".")[2]
    content_type = _ZIP if kind == "zip" else f"{_TYPES.get(kind, 'text/plain')}; charset=utf-8"
    return Answer(200, body, content_type, (("content-disposition", f'attachment; filename="{name}"'),))
