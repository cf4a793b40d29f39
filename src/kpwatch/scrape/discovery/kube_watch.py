"""One resource of a Kubernetes API server, listed and then watched for as long as the agent runs.

The list comes in pages; when its last page is there it replaces what was known, at once. Then a watch goes on from the
list's version; bookmarks keep that version young. A watch that ends (the server was asked to end it) is begun again
where it stopped; 410 Gone, in whatever shape, and a list older than `resync_seconds` mean a new list. Whatever fails is
said and tried again, later each time and never by the clock of others (jitter); what is known stays meanwhile. The
token is read for every request, because it is replaced every hour; a CA is read again when TLS fails.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.errors import BadInput
from kpwatch.base.http import Answer, Failure, format_request, parse_url
from kpwatch.scrape.discovery.kube_objects import (
    BOOKMARK,
    CHANGES,
    DELETED,
    EXPIRED_STATUS,
    Entry,
    entry_of,
    is_ours,
    key_of,
    list_path,
    parse_event,
    parse_page,
    said_in,
    watch_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.scrape.discovery.kube_objects import Event, Resource
    from kpwatch.scrape.discovery.options import KubernetesOptions

ANSWER_TIMEOUT_SECONDS = 60.0
LATE_SECONDS = 30.0
"""How long after its time a watch that the server did not end is given up."""
LONGEST_WISH_SECONDS = 300.0
"""Of a Retry-After."""

Reason = Literal["expired", "resync", "failed"]

_FORBIDDEN = "; its service account needs the verbs list and watch on {} (deploy/kubernetes/rights/rbac.yaml)"
_HINTS = {401: "; the token is not accepted", 403: _FORBIDDEN}


class ResourceWatch:
    """Knows all objects of one resource that are this agent's; `changed` is told when they are others than before."""

    def __init__(
        self,
        resource: Resource,
        options: KubernetesOptions,
        loop: Loop,
        registry: Registry,
        *,
        changed: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.entries: dict[str, Entry] | None = None
        """By key; None before the first list is complete."""
        self._resource = resource
        self._options = options
        self._loop = loop
        self._registry = registry
        self._changed = changed
        self._failed = failed
        self._base = options.api_url.rstrip("/")
        self._connection = self._new_connection()
        self._timer: Timer | None = None
        self._failures = 0
        """In a row."""
        self._listing: dict[str, Entry] = {}
        self._left_out = 0
        self._version = ""
        self._listed_seconds = 0.0
        self._began_seconds = 0.0
        self._line = bytearray()
        """Of the watch, as far as it has come."""
        self._told_expired = False
        self._heard = False
        """Whether the watch has said anything."""

    def start(self) -> None:
        """List now."""
        self._list("")

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

    def _new_connection(self) -> Connection:
        return Connection(
            self._loop,
            parse_url(self._base),
            tls=self._options.tls,
            dial_timeout_seconds=ANSWER_TIMEOUT_SECONDS / 4,
        )

    def _ask(
        self,
        path: str,
        done: Callable[[Answer | Failure], None],
        timeout_seconds: float,
        stream: Callable[[bytes], Failure | None] | None = None,
    ) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"kpwatch/{__version__}"}
        if stream is None:
            headers["Accept-Encoding"] = "gzip"
        try:
            token = self._token()
        except (OSError, UnicodeDecodeError) as error:
            self._try_again(f"the token file {self._options.token_file} cannot be read: {error}")
            return
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._connection.ask(
            format_request("GET", parse_url(self._base + path), headers),
            done,
            timeout_seconds=timeout_seconds,
            body_limit_bytes=self._options.answer_limit_bytes,
            stream=stream,
        )

    def _token(self) -> str:
        if not self._options.token_file:
            return self._options.token
        return "".join(Path(self._options.token_file).read_text(encoding="utf-8").split())

    # The list.

    def _relist(self, reason: Reason) -> None:
        self._count("kpwatch_agent_kubernetes_relists_total", "Lists made anew, by reason.", reason=reason)
        self._list("")

    def _list(self, next_page: str) -> None:
        if not next_page:
            self._listing, self._left_out = {}, 0
        path = list_path(self._resource, self._options.page_objects, next_page)
        self._ask(path, self._answered, ANSWER_TIMEOUT_SECONDS)

    def _answered(self, outcome: Answer | Failure) -> None:
        try:
            page = parse_page(_good(outcome, self._resource.name))
        except BadInput as error:
            self._try_again(str(error), outcome)
            return
        for subject in page.objects:
            self._take(self._listing, key_of(subject), entry_of(self._resource, subject, self._options))
        if page.next_page:
            self._list(page.next_page)
            return
        if self._left_out:
            limit = self._options.target_limit
            self._failed(f"{self._shown}: {self._left_out} more than target_limit = {limit}; they are left out")
        self._version, self._listed_seconds = page.version, self._loop.clock.monotonic_seconds()
        before, self.entries, self._listing = self.entries, self._listing, {}
        if self.entries != before:
            self._changed()
        self._watch()

    def _take(self, entries: dict[str, Entry], key: str, entry: Entry) -> None:
        if not is_ours(entry, self._options):
            entries.pop(key, None)
        elif key in entries or len(entries) < self._options.target_limit:
            entries[key] = entry
        else:
            self._left_out += 1

    # The watch.

    def _watch(self) -> None:
        seconds = round(self._options.watch_seconds * random.uniform(1.0, 1.25))  # noqa: S311 - no secret
        self._line.clear()
        self._told_expired = self._heard = False
        self._began_seconds = self._loop.clock.monotonic_seconds()
        self._ask(
            watch_path(self._resource, self._version, max(seconds, 1)),
            self._watch_ended,
            max(seconds, 1) + LATE_SECONDS,
            self._received,
        )

    def _received(self, piece: bytes) -> Failure | None:
        self._line += piece
        *lines, self._line = self._line.split(b"\n")
        try:
            for line in lines:
                if line.strip():
                    self._happened(parse_event(bytes(line)))
        except BadInput as error:
            return Failure("cut", str(error))
        if self._told_expired:
            return Failure("cut", "the version asked from is forgotten")
        if len(self._line) > self._options.answer_limit_bytes:
            return Failure("too_large", f"a line of the watch exceeds {self._options.answer_limit_bytes} bytes")
        return None

    def _happened(self, event: Event) -> None:
        if event.expired:
            self._told_expired = True
            return
        if event.kind not in CHANGES and event.kind != BOOKMARK:
            raise BadInput(f"{event.kind}: {event.subject.get('message') or event.subject}"[:300])
        self._count(
            "kpwatch_agent_kubernetes_events_total", "What watches told, by the type of event.", type=event.kind.lower()
        )
        self._heard = True
        self._version = event.version or self._version
        if event.kind == BOOKMARK:
            return
        assert self.entries is not None
        key, before = event.key, self.entries.get(event.key)
        if event.kind == DELETED:
            self.entries.pop(key, None)
        else:
            self._take(self.entries, key, entry_of(self._resource, event.subject, self._options))
        if self.entries.get(key) != before:
            self._changed()

    def _watch_ended(self, outcome: Answer | Failure) -> None:
        lived_seconds = self._loop.clock.monotonic_seconds() - self._began_seconds
        if self._heard or lived_seconds >= self._options.retry_min_seconds:
            self._failures = 0
        if self._told_expired or (isinstance(outcome, Answer) and outcome.status == EXPIRED_STATUS):
            self._version = ""
            self._later(lambda: self._relist("expired"), at_once=True)
            return
        try:
            _good(outcome, self._resource.name)
        except BadInput as error:
            self._try_again(str(error), outcome)
            return
        self._later(self._go_on, at_once=True)

    def _go_on(self) -> None:
        """Begin the next watch, or a list where the last one is old or never was."""
        if self.entries is None or not self._version:
            self._relist("failed")
        elif self._loop.clock.monotonic_seconds() - self._listed_seconds >= self._options.resync_seconds:
            self._relist("resync")
        else:
            self._watch()

    # What goes wrong.

    def _try_again(self, why: str, outcome: Answer | Failure | None = None) -> None:
        self._failed(f"{self._shown}: {why}; what is known stays as it is")
        if isinstance(outcome, Failure) and outcome.reason == "tls":
            self._connection = self._new_connection()  # its CA may have been replaced
        at_least = _wished_seconds(outcome.headers.get("retry-after", "")) if isinstance(outcome, Answer) else 0.0
        self._later(self._go_on, at_least_seconds=at_least)

    def _later(self, act: Callable[[], None], *, at_once: bool = False, at_least_seconds: float = 0.0) -> None:
        """`at_once`: without a pause the first time in a row."""
        pause_seconds = 0.0
        if self._failures or not at_once:
            doubled = self._options.retry_min_seconds * 2 ** min(max(self._failures - at_once, 0), 16)
            pause_seconds = min(doubled, self._options.retry_max_seconds) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._failures += 1
        self._timer = self._loop.call_later(max(pause_seconds, at_least_seconds), act)

    @property
    def _shown(self) -> str:
        return f"kubernetes {self._resource.name}"

    def _count(self, name: str, help_text: str, **labels: str) -> None:
        self._registry.counter(name, help_text, resource=self._resource.name, **labels).add()


def _good(outcome: Answer | Failure, resource: str) -> bytes:
    """The body of a good answer; raises BadInput with what is wrong, in the API server's words where it has any."""
    if isinstance(outcome, Failure):
        raise BadInput(f"{outcome.reason}: {outcome.detail}")
    if outcome.status == 200:
        return outcome.body
    said = said_in(outcome.body)
    words = f"status code {outcome.status}" + (f": {said}" if said else "")
    raise BadInput(words + _HINTS.get(outcome.status, "").format(resource))


def _wished_seconds(retry_after: str) -> float:
    """Retry-After in seconds, the form API servers use; 0 where it is none."""
    return min(float(retry_after), LONGEST_WISH_SECONDS) if retry_after.isascii() and retry_after.isdigit() else 0.0
