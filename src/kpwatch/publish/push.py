"""Boards and rules into a running Nightingale or Grafana, by its HTTP API. Edge.

Each thing is looked at first and only written where it differs, so the same again changes nothing. A thing that is
refused is told and the next one tried; a server that does not answer ends it, and what was not reached is told.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kpwatch import __version__
from kpwatch.base.errors import KpwatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ANSWER_LIMIT_BYTES = 64 << 20
TIMEOUT_SECONDS = 30.0


class Refused(KpwatchError):
    """The server answers, and does not do it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NoAnswer(KpwatchError):
    """Nobody answers; there is no use in asking on."""


class Outcome(NamedTuple):
    """What became of one thing."""

    what: str
    """created, updated, unchanged, refused or "not reached"."""
    name: str
    why: str = ""


class Step(NamedTuple):
    """One thing to be pushed; `push` says created, updated or unchanged."""

    name: str
    push: Callable[[], str]


class Pusher(Protocol):
    """How a kind of server is fed."""

    def steps(self) -> Iterable[Step]:
        """Everything there is to push; asks the server where it must; raises Refused, NoAnswer."""
        ...


def pushed(steps: Iterable[Step]) -> Iterator[Outcome]:
    """What becomes of each step, in order."""
    gone = ""
    coming = iter(steps)
    while True:
        try:
            step = next(coming, None)
        except (Refused, NoAnswer) as error:
            yield Outcome("not reached", "all that is left", gone or str(error))
            return
        if step is None:
            return
        if gone:
            yield Outcome("not reached", step.name, gone)
            continue
        try:
            yield Outcome(step.push(), step.name)
        except Refused as error:
            yield Outcome("refused", step.name, str(error))
        except NoAnswer as error:
            gone = str(error)
            yield Outcome("not reached", step.name, gone)


class _NoRedirects(HTTPRedirectHandler):
    """A token goes to the server it was given for, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Remote:
    """Asks one server; JSON both ways."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """`url` without user and slash at its end; `headers` say who we are."""
        self._url = url
        self._headers = {"User-Agent": f"kpwatch/{__version__}", "Accept": "application/json", **headers}
        self._timeout_seconds = timeout_seconds
        self._opener = build_opener(_NoRedirects)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; raises Refused with its status and reason, NoAnswer."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        request = Request(self._url + path, data, headers, method=method)  # noqa: S310 - the URL was checked
        place = f"{method} {self._url}{path.partition('?')[0]}"
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as answer:
                text = answer.read(ANSWER_LIMIT_BYTES)
        except HTTPError as error:
            with error:
                reason = error.read(1 << 16).decode("utf-8", "replace").strip()
            raise Refused(
                f"{place}: {error.code} {_reason(reason) or error.reason}{_hint(error.code)}", error.code
            ) from error
        except (URLError, OSError) as error:
            reason = str(getattr(error, "reason", error))
            raise NoAnswer(f"{self._url} does not answer: {reason}; is it running there? (--push)") from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise Refused(f"{place}: no JSON: {text[:80]!r}; is this the right server? (--push)", 200) from error


def _hint(status: int) -> str:
    return {401: "; is this its token? (--token-file)", 403: "; the token's user may not do this"}.get(status, "")


def _reason(text: str) -> str:
    try:
        told = json.loads(text)
        return str(told.get("message") or told.get("err") or told.get("error"))[:300]
    except (ValueError, AttributeError):
        return text[:300]


def holds(theirs: Any, ours: Any) -> bool:
    """Whether a server's document says what ours does; it may say more, and null for what is empty."""
    if theirs is None and ours in ([], {}):
        return True
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(key in theirs and holds(theirs[key], ours[key]) for key in ours)
    if isinstance(ours, list):
        same = isinstance(theirs, list) and len(theirs) == len(ours)
        return same and all(holds(one, other) for one, other in zip(theirs, ours, strict=True))
    return bool(theirs == ours)


def escaped(part: str) -> str:
    """For a URL's path or query."""
    return quote(part, safe="")
