"""`consul`: services of a Consul catalog, asked every `query_interval`.

Queries go out one after the other on one connection. Only when all of them were answered do targets appear and go; a
Consul that does not answer leaves everything as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.errors import BadInput, ConfigError
from kpwatch.base.http import Answer, Failure, format_request, parse_url
from kpwatch.base.urls import redacted
from kpwatch.scrape.discovery.catalog import catalog_path, found_in, parse_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop, Timer
    from kpwatch.scrape.discovery.options import ConsulOptions, ConsulQuery
    from kpwatch.scrape.discovery.target_files import Found

KIND = "consul"
ANSWER_TIMEOUT_SECONDS = 10.0
ANSWER_LIMIT_BYTES = 16 << 20


class ConsulDiscovery:
    """Asks for the services of one instance; `found` gets all targets of a round, `failed` what went wrong."""

    def __init__(
        self,
        options: ConsulOptions,
        loop: Loop,
        *,
        found: Callable[[list[Found] | None], None],
        failed: Callable[[str], None],
    ) -> None:
        self._options = options
        self._loop = loop
        self._found = found
        self._failed = failed
        self._shown_url = redacted(options.agent_url)
        self._base = options.agent_url.rstrip("/")
        self._connection = Connection(loop, parse_url(self._base), dial_timeout_seconds=ANSWER_TIMEOUT_SECONDS)
        self._timer: Timer | None = None
        self._round: list[Found] = []

    def start(self) -> None:
        """Ask now, then every `query_seconds`."""
        self._timer = self._loop.call_later(self._options.query_seconds, self.start)
        if not self._connection.busy:  # else the round before is not over, and its answers are as good
            self._round = []
            self._ask(list(self._options.queries))

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

    def _ask(self, queries: list[ConsulQuery]) -> None:
        if not queries:
            self._found(self._round)
            return
        headers = {"Accept": "application/json", "User-Agent": f"kpwatch/{__version__}"}
        if self._options.token:
            headers["X-Consul-Token"] = self._options.token
        self._connection.ask(
            format_request("GET", parse_url(self._base + catalog_path(queries[0])), headers),
            lambda outcome: self._answered(outcome, queries),
            timeout_seconds=ANSWER_TIMEOUT_SECONDS,
            body_limit_bytes=ANSWER_LIMIT_BYTES,
        )

    def _answered(self, outcome: Answer | Failure, queries: list[ConsulQuery]) -> None:
        try:
            self._round += self._read(outcome, queries[0])
        except BadInput as error:
            self._failed(f"consul {self._shown_url}, service {queries[0].name}: {error}; targets stay as they are")
            self._found(None)
            return
        self._ask(queries[1:])

    def _read(self, outcome: Answer | Failure, query: ConsulQuery) -> list[Found]:
        if isinstance(outcome, Failure):
            raise BadInput(f"{outcome.reason}: {outcome.detail}")
        if outcome.status != 200:
            raise BadInput(f"status code: {outcome.status}")
        found = []
        for entry in parse_catalog(outcome.body):
            try:
                found.append(found_in(query, entry))
            except ConfigError as error:
                self._failed(f"consul service {query.name}, entry {entry['ServiceID'] or entry['Node']}: {error}")
        return found
