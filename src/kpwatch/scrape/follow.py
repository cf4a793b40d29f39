"""A target's answer, wherever redirects lead: as Go's client follows them for Categraf, ten at most.

Credentials and headers of the configuration go to the host they are meant for and to no other; a redirect that leads
from https to http is followed without them too. The time and the limits are those of the whole scrape. Where a target
redirects, every scrape begins with the URL as it is configured.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from kpwatch.base.connection import Connection
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, Url, parse_url
from kpwatch.base.named import NamedTuple
from kpwatch.scrape.fetch import UNMAKEABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop
    from kpwatch.scrape.options import TargetOptions

REDIRECTS = 10
_FOLLOWED = (301, 302, 303, 307, 308)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class _Step(NamedTuple):
    """A request, and where it has been led. No closures: they would know each other and wait for the collector."""

    url: Url
    hops: int
    request_to: Callable[[Url, bool], bytes]
    done: Callable[[Answer | Failure], None]
    until_seconds: float


class Follower:
    """Asks one target; one request at a time."""

    def __init__(self, options: TargetOptions, url: Url, loop: Loop) -> None:
        self._options = options
        self._url = url
        self._loop = loop
        self._connection = self._connect(url)
        self._elsewhere: Connection | None = None
        """Where a redirect leads to another server; kept for one scrape."""

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._connection.busy or (self._elsewhere is not None and self._elsewhere.busy)

    def ask(self, request_to: Callable[[Url, bool], bytes], done: Callable[[Answer | Failure], None]) -> None:
        """Ask; `request_to` makes the bytes for a URL, with what only the target may see or without. `done` once.

        Raises what `request_to` raises for the target itself.
        """
        until_seconds = self._loop.clock.monotonic_seconds() + self._options.timeout_seconds
        self._ask(_Step(self._url, 0, request_to, done, until_seconds), request_to(self._url, True))

    def close(self) -> None:
        """Drop the connections; a request under way is never answered."""
        self._connection.close()
        self._leave()

    def _ask(self, step: _Step, request: bytes) -> None:
        seconds = self._options.timeout_seconds
        if step.hops:
            seconds = max(step.until_seconds - self._loop.clock.monotonic_seconds(), 0.0)
        self._connection_to(step.url).ask(
            request,
            partial(self._answered, step),
            timeout_seconds=seconds,
            body_limit_bytes=self._options.body_limit_bytes,
        )

    def _answered(self, step: _Step, outcome: Answer | Failure) -> None:
        target = _next_url(step.url, outcome)
        if target is None:
            self._finish(step, outcome)
            return
        if step.hops == REDIRECTS:
            failure = Failure("redirects", f"more than {REDIRECTS} redirects, the last one to {target.target}")
            self._finish(step, failure)
            return
        try:
            request = step.request_to(target, self._is_ours(target))
        except UNMAKEABLE as error:
            self._finish(step, Failure("auth", str(error)))
            return
        self._ask(step._replace(url=target, hops=step.hops + 1), request)

    def _finish(self, step: _Step, outcome: Answer | Failure) -> None:
        self._leave()
        step.done(outcome)

    def _is_ours(self, url: Url) -> bool:
        """Whether a URL is of the target's host, and not in clear where the target is not."""
        return url.host.lower() == self._url.host.lower() and (self._url.scheme, url.scheme) != ("https", "http")

    def _connect(self, url: Url) -> Connection:
        options = self._options
        return Connection(self._loop, url, tls=options.tls, dial_timeout_seconds=options.timeout_seconds)

    def _connection_to(self, url: Url) -> Connection:
        if url[:3] == self._connection.url[:3]:
            return self._connection
        if self._elsewhere is None or url[:3] != self._elsewhere.url[:3]:
            self._leave()
            self._elsewhere = self._connect(url)
        return self._elsewhere

    def _leave(self) -> None:
        if self._elsewhere is not None:
            self._elsewhere.close()
            self._elsewhere = None


def _next_url(url: Url, outcome: Answer | Failure) -> Url | None:
    """Where an answer sends whoever asked for `url`; None where it is the answer itself."""
    if isinstance(outcome, Failure) or outcome.status not in _FOLLOWED:
        return None
    location = outcome.headers.get("location", "")
    try:
        return parse_url(_absolute(url, location)) if location else None
    except ConfigError:
        return None


def _absolute(url: Url, reference: str) -> str:
    """A reference in an answer of `url` as a whole URL (RFC 3986, 5.2; dots in paths are the server's affair)."""
    path = url.target.partition("?")[0]
    if _SCHEME.match(reference):
        return reference
    if reference.startswith("//"):
        return f"{url.scheme}:{reference}"
    folder = path.rpartition("/")[0]
    rest = (
        reference
        if reference.startswith("/")
        else path + reference
        if reference[0] in "?#"
        else f"{folder}/{reference}"
    )
    return f"{url.scheme}://{url.authority}{rest}"
