"""Asks kube-proxies, all at once: every document of every node, twice or more, with a span between.

Each request has a connection of its own, so a page that hangs delays nobody; nothing takes longer than the timeout.
The health port is found beside the metrics port: 10256 beside 10249. Beside another port it is looked for, and what
does not answer there is held against the node only where its metrics port does not answer either.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.errors import UsageError
from kpwatch.base.http import Answer, Failure, Url, basic_auth, format_request, parse_url, redact_url
from kpwatch.base.loop import Loop
from kpwatch.doctor.documents import PATHS, Node, Reply, Scrape
from kpwatch.exposition.formats import accept_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

METRICS_PORT = 10249
HEALTH_PORT = 10256
LOCAL = f"http://127.0.0.1:{METRICS_PORT}"
LARGEST_BODY_BYTES = 64 << 20

_GUESSED_BESIDE = (1, HEALTH_PORT - METRICS_PORT)
"""Where the health port may be beside a metrics port that is not kube-proxy's own, relative to it.

The next one first: where many nodes have ports in a row, the other is a health port too, of another node.
"""
_MEANWHILE_SECONDS = 1.5
"""So long something else may take before the second look."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Target(NamedTuple):
    """A kube-proxy to ask."""

    ident: str
    metrics: Url
    health: tuple[Url, ...]
    """The first that answers counts."""
    guessed: bool
    """Whether `health` was said, or is where kube-proxy has it."""
    authorization: str = ""


def targets_of(texts: Sequence[str], health: str = "") -> list[Target]:
    """Targets from URLs, none = this machine's; raises UsageError, ConfigError."""
    if health and len(texts) > 1:
        raise UsageError("--health names one node's port; with several targets it is found beside each")
    targets = [_target(text, health) for text in texts or [LOCAL]]
    seen: dict[str, int] = {}
    for place, target in enumerate(targets):
        seen[target.ident] = seen.get(target.ident, 0) + 1
        if seen[target.ident] > 1:
            targets[place] = target._replace(ident=target.metrics.authority)
    return [target._replace(health=_not_anothers(target, targets)) for target in targets]


def _not_anothers(target: Target, targets: Sequence[Target]) -> tuple[Url, ...]:
    """The places guessed without those that lie right beside another target."""
    nearer = {each.health[0] for each in targets if each.guessed and each is not target}
    return target.health[:1] + tuple(url for url in target.health[1:] if url not in nearer)


def _target(text: str, health: str) -> Target:
    url = parse_url(text)
    name = socket.gethostname() if url.host in _LOOPBACK and url.port == METRICS_PORT else url.host
    ident = name if url.port == METRICS_PORT else url.authority
    authorization = _authorization(text)
    if health:
        return Target(ident, url, (parse_url(health),), guessed=False, authorization=authorization)
    if url.port == METRICS_PORT:
        beside = (url._replace(scheme="http", port=HEALTH_PORT),)
        return Target(ident, url, beside, guessed=False, authorization=authorization)
    ports = [url.port + step for step in _GUESSED_BESIDE if url.port + step < 65536]
    guesses = tuple(url._replace(scheme="http", port=port) for port in ports)
    return Target(ident, url, guesses, guessed=True, authorization=authorization)


def _authorization(text: str) -> str:
    user, at, _ = text.partition("://")[2].partition("/")[0].rpartition("@")
    if not at:
        return ""
    return basic_auth(unquote(user))


def examine(
    targets: Sequence[Target],
    *,
    for_seconds: float,
    timeout_seconds: float,
    progress: Callable[[str], None] = lambda _: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Node]:
    """Ask every target now and once more `for_seconds` later (0 = only now).

    `meanwhile` is called where nobody is waited for, and there is time for it before the second look.
    """
    errors: list[Exception] = []

    def failed(error: Exception) -> None:
        errors.append(error)
        loop.stop()

    loop = Loop(failed)
    again_at = loop.clock.monotonic_seconds() + for_seconds

    def use_the_time() -> None:
        if again_at - loop.clock.monotonic_seconds() > _MEANWHILE_SECONDS:
            meanwhile()

    try:
        rounds = [_Round(loop, targets, timeout_seconds)]
        progress(f"asking {len(targets)} kube-prox{'ies' if len(targets) > 1 else 'y'}")
        rounds[0].start(loop.stop if for_seconds <= 0 else use_the_time)
        if for_seconds > 0:
            rounds.append(_Round(loop, targets, timeout_seconds))
            loop.call_later(for_seconds, lambda: rounds[1].start(_all_done(rounds, loop)))
            _count_down(loop, for_seconds, progress)
        loop.run()
    finally:
        loop.close()
    if errors:
        raise errors[0]
    return [Node(target.ident, tuple(each.scrape(place) for each in rounds)) for place, target in enumerate(targets)]


def _all_done(rounds: Sequence[_Round], loop: Loop) -> Callable[[], None]:
    def done() -> None:
        if all(each.open == 0 for each in rounds):
            loop.stop()

    rounds[0].done = done
    return done


def _count_down(loop: Loop, seconds: float, progress: Callable[[str], None]) -> None:
    def tell(left: float) -> None:
        progress(f"asking again in {left:.0f} s, to see what moves")
        if left > 1:
            loop.call_later(1.0, lambda: tell(left - 1))

    loop.call_later(min(1.0, seconds / 2), lambda: tell(max(seconds - 1, 0)))


class _Round:
    """One scrape of every target."""

    def __init__(self, loop: Loop, targets: Sequence[Target], timeout_seconds: float) -> None:
        self._loop = loop
        self._targets = targets
        self._timeout_seconds = timeout_seconds
        self._at_seconds = 0.0
        self._replies: list[dict[str, list[Reply | None]]] = []
        self.open = 0
        self.done: Callable[[], None] = lambda: None

    def start(self, done: Callable[[], None]) -> None:
        self.done = done
        self._at_seconds = self._loop.clock.unix_seconds()
        for target in self._targets:
            mine: dict[str, list[Reply | None]] = {}
            self._replies.append(mine)
            for document, (port, path) in PATHS.items():
                bases = (target.metrics,) if port == "metrics" else target.health
                mine[document] = [None] * len(bases)
                for choice, base in enumerate(bases):
                    self._ask(target, base._replace(target=path), mine[document], choice)

    def _ask(self, target: Target, url: Url, into: list[Reply | None], choice: int) -> None:
        headers = {"User-Agent": f"kpwatch-doctor/{__version__}", "Accept": _ACCEPT, "Connection": "close"}
        if target.authorization:
            headers["Authorization"] = target.authorization
        asked_seconds = self._loop.clock.unix_seconds()
        began = self._loop.clock.monotonic_seconds()
        connection = Connection(self._loop, url, dial_timeout_seconds=self._timeout_seconds)
        self.open += 1

        def answered(outcome: Answer | Failure) -> None:
            took = self._loop.clock.monotonic_seconds() - began
            into[choice] = Reply(
                redact_url(f"{url.scheme}://{url.authority}{url.target}"), outcome, asked_seconds, took
            )
            connection.close()
            self.open -= 1
            if self.open == 0:
                self.done()

        connection.ask(
            format_request("GET", url, headers),
            answered,
            timeout_seconds=self._timeout_seconds,
            body_limit_bytes=LARGEST_BODY_BYTES,
        )

    def scrape(self, place: int) -> Scrape:
        """What one target answered."""
        target, mine = self._targets[place], self._replies[place]
        return Scrape(self._at_seconds, dict(_chosen(target, mine)))


def _chosen(target: Target, mine: dict[str, list[Reply | None]]) -> Iterator[tuple[str, Reply]]:
    answers = {document: [reply for reply in replies if reply is not None] for document, replies in mine.items()}
    port = _speaking(answers["healthz"])
    metrics_failed = isinstance(answers["metrics"][0].outcome, Failure)
    for document, replies in answers.items():
        if PATHS[document][0] == "metrics":
            yield document, replies[0]
        elif port is not None or not target.guessed or metrics_failed:
            yield document, replies[port or 0]


def _speaking(replies: Iterable[Reply]) -> int | None:
    """Which of the places asked answers as a health port does."""
    for place, reply in enumerate(replies):
        if isinstance(reply.outcome, Answer) and b"lastUpdated" in reply.outcome.body:
            return place
    return None


_ACCEPT = accept_header(("PrometheusText0.0.4",))
