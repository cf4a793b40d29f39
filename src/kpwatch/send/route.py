"""How a request gets to its receiver: the connection, and redirects.

307 and 308 keep the method (RFC 9110, 15.4) and are followed on the same host only, never from https to http, a few
steps at most: what we send goes with credentials, and another host is another receiver. After 308 the new URL is asked
at once, until it fails. A redirect that is not followed comes back as the answer, with the reason in the place of its
body.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kpwatch.base.connection import Connection
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure, Url, format_request, parse_proxy, parse_url, redact_url
from kpwatch.base.named import NamedTuple
from kpwatch.send.answers import Fate, fate_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop
    from kpwatch.send.options import WriterOptions

ANSWER_LIMIT_BYTES = 64 << 10
REDIRECTS = 3
_PERMANENT = 308


class _Step(NamedTuple):
    """A request, and where it has been led. No closures: they would know each other and wait for the collector."""

    url: Url
    hops: int
    headers: dict[str, str]
    body: bytes
    done: Callable[[Answer | Failure], None]


class Route:
    """One writer's way to its receiver."""

    def __init__(self, options: WriterOptions, loop: Loop) -> None:
        """Raises ConfigError for a URL that cannot be one."""
        self._options = options
        self._loop = loop
        self._home = self._url = parse_url(options.url)
        self._proxy = parse_proxy(options.proxy_url) if options.proxy_url else None
        self._connection = self._connect(self._home)
        self.busy = False

    def post(self, headers: dict[str, str], body: bytes, done: Callable[[Answer | Failure], None]) -> None:
        """Send one request, and once more wherever a redirect leads; call `done` once."""
        self.busy = True
        self._ask(_Step(self._url, 0, headers, body, done))

    def close(self) -> None:
        """Drop the connection; a request under way is never answered."""
        self._connection.close()
        self.busy = False

    def _ask(self, step: _Step) -> None:
        self._use(step.url)
        self._connection.ask(
            format_request("POST", step.url, step.headers, step.body, proxy=self._proxy),
            partial(self._answered, step),
            timeout_seconds=self._options.timeout_seconds,
            dial_apart=True,
            body_limit_bytes=ANSWER_LIMIT_BYTES,
        )

    def _answered(self, step: _Step, outcome: Answer | Failure) -> None:
        if not isinstance(outcome, Answer) or outcome.status // 100 != 3:
            self._finish(step, outcome)
            return
        target = _next_url(step.url, outcome, step.hops)
        if isinstance(target, str):
            self._finish(step, outcome._replace(body=target.encode()))
            return
        if outcome.status == _PERMANENT and self._url == step.url:
            self._url = target
        self._ask(step._replace(url=target, hops=step.hops + 1))

    def _finish(self, step: _Step, outcome: Answer | Failure) -> None:
        self.busy = False
        if fate_of(outcome) is not Fate.DELIVERED:
            self._url = self._home
        step.done(outcome)

    def _connect(self, url: Url) -> Connection:
        options = self._options
        return Connection(
            self._loop,
            url,
            tls=options.tls,
            proxy=self._proxy,
            dial_timeout_seconds=options.dial_timeout_seconds,
        )

    def _use(self, url: Url) -> None:
        """Have a connection to where `url` is."""
        if url[:3] != self._connection.url[:3]:
            self._connection.close()
            self._connection = self._connect(url)


def _next_url(url: Url, answer: Answer, hops: int) -> Url | str:
    """Where a redirect leads, or why it is not followed."""
    location = answer.headers.get("location", "")
    to = f"redirected to {redact_url(location) if '://' in location else location.partition('?')[0]!r}"
    if fate_of(answer) is not Fate.ELSEWHERE:
        return f"{to}, where a POST must not follow; set url to where samples belong"
    if hops == REDIRECTS:
        return f"{to}, after {REDIRECTS} other redirects"
    if location.startswith("/") and not location.startswith("//"):
        location = f"{url.scheme}://{url.authority}{location}"
    try:
        target = parse_url(location)
    except ConfigError:
        return f"{to}, which is no URL"
    if target.host.lower() != url.host.lower():
        return f"{to}, another host, where credentials do not go; set url to where samples belong"
    if (url.scheme, target.scheme) == ("https", "http"):
        return f"{to}, where samples and credentials would go in clear"
    return target
