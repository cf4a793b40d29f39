"""Which pages of other origins may read Prometheus' API (Grafana in "browser" mode, Prometheus' own page elsewhere).

As Prometheus has it: any, unless `--cors-origin` says which. `*` never goes with credentials, so a page elsewhere
cannot use what a browser keeps; a hub with an auth file tells such a page nothing. What changes data is not shared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from kpwatch.base.errors import UsageError

if TYPE_CHECKING:
    from kpwatch.base.asgi import Answer, Head

ANY = ".*"
_PREFIXES = ("/api/v1/", "/prometheus/api/v1/")
_HEADERS = (
    ("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin"),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-expose-headers", "Date"),
    ("vary", "Origin"),
)


def shares(path: str) -> bool:
    """Whether other origins' pages may ask for `path` at all."""
    return path.startswith(_PREFIXES) and "/admin/" not in path and not path.endswith("/write")


class Cors:
    """Adds the headers that let a page read an answer."""

    def __init__(self, origin: str = ANY) -> None:
        """`origin`: a regular expression for whole origins; raises UsageError where it is none."""
        try:
            self._origin = re.compile(origin)
        except re.error as error:
            raise UsageError(f"--cors-origin {origin!r}: {error}: expected a regular expression") from error

    def shared(self, request: Head, answer: Answer) -> Answer:
        """The answer as the page that asked may see it."""
        origin = request.header(b"origin")
        if not origin or not shares(request.path):
            return answer
        if self._origin.pattern == ANY:
            allowed: tuple[tuple[str, str], ...] = (("access-control-allow-origin", "*"),)
        else:
            allowed = (("access-control-allow-origin", origin),) if self._origin.fullmatch(origin) else ()
        return replace(answer, headers=(*answer.headers, *_HEADERS, *allowed))
