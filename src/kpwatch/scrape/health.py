"""kube-proxy's other pages beside its metrics: asked with every scrape, never in its way.

`health_documents` says which there are and reads them.

A target's two ports have a connection each, on which their pages are asked in turn; both ports at the same time, and
neither delays the metrics. A port that does not answer one page is not asked for its others: they get the same failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.http import Answer, Failure, Url, format_request, parse_url
from kpwatch.base.named import NamedTuple
from kpwatch.scrape.fetch import UNMAKEABLE, scrape_request
from kpwatch.scrape.health_documents import PAGES, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop
    from kpwatch.scrape.about import OwnSample
    from kpwatch.scrape.options import TargetOptions

PAGE_LIMIT_BYTES = 64 << 10


class HealthAnswer(NamedTuple):
    """What all pages of a target said."""

    samples: list[OwnSample]
    not_understood: list[str]
    """Paths of pages that answered with something else."""


class HealthPages:
    """Asks one target's pages."""

    def __init__(self, options: TargetOptions, loop: Loop) -> None:
        metrics_url = parse_url(options.url)
        metrics_base = f"{metrics_url.scheme}://{metrics_url.authority}"
        ports: tuple[tuple[str, str, Callable[[Url], bytes]], ...] = (
            ("health", options.health_url.rstrip("/"), _plain_request),
            ("metrics", metrics_base, lambda url: scrape_request(options, url)),
        )
        self._ports = [
            _Port(loop, base, [(path, read) for port, path, read in PAGES if port == name], make_request, options)
            for name, base, make_request in ports
        ]

    @property
    def busy(self) -> bool:
        """Whether a page asked before has not answered yet."""
        return any(port.busy for port in self._ports)

    def ask(self, done: Callable[[HealthAnswer], None]) -> None:
        """Ask every page; `done` is called once, with what all of them said."""
        waiting = len(self._ports)

        def one_done() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                readings = [(path, reading) for port in self._ports for path, reading in port.readings]
                done(
                    HealthAnswer(
                        [sample for _, reading in readings for sample in reading.samples],
                        [path for path, reading in readings if not reading.understood],
                    )
                )

        for port in self._ports:
            port.ask(one_done)

    def close(self) -> None:
        """Drop the connections."""
        for port in self._ports:
            port.close()


def _plain_request(url: Url) -> bytes:
    """The health port knows no authentication, so it is shown no secret."""
    return format_request("GET", url, {"User-Agent": f"kpwatch/{__version__}"})


class _Port:
    """One port and the pages it has."""

    def __init__(
        self,
        loop: Loop,
        base_url: str,
        pages: list[tuple[str, Callable[[Answer | Failure, float], Reading]]],
        make_request: Callable[[Url], bytes],
        options: TargetOptions,
    ) -> None:
        parsed = parse_url(base_url)
        self.busy = False
        self.readings: list[tuple[str, Reading]] = []
        self._clock = loop.clock
        self._timeout_seconds = options.timeout_seconds
        self._connection = Connection(loop, parsed, tls=options.tls, dial_timeout_seconds=options.timeout_seconds)
        self._pages = [(path, read, parse_url(base_url + path)) for path, read in pages]
        self._make_request = make_request

    def ask(self, done: Callable[[], None]) -> None:
        """Ask for every page; `readings` is what they said when `done` is called."""
        self.busy = True
        self._ask_page(0, [], done)

    def close(self) -> None:
        """Drop the connection."""
        self.busy = False
        self._connection.close()

    def _ask_page(self, number: int, readings: list[tuple[str, Reading]], done: Callable[[], None]) -> None:
        if number == len(self._pages):
            self.busy, self.readings = False, readings
            done()
            return
        path, read, url = self._pages[number]
        asked_seconds = self._clock.unix_seconds()

        def answered(outcome: Answer | Failure) -> None:
            readings.append((path, read(outcome, (asked_seconds + self._clock.unix_seconds()) / 2)))
            if isinstance(outcome, Failure):
                readings.extend((path, read(outcome, asked_seconds)) for path, read, _ in self._pages[number + 1 :])
                self._ask_page(len(self._pages), readings, done)
            else:
                self._ask_page(number + 1, readings, done)

        try:
            request = self._make_request(url)
        except UNMAKEABLE as error:
            answered(Failure("auth", str(error)))
            return
        self._connection.ask(
            request, answered, timeout_seconds=self._timeout_seconds, body_limit_bytes=PAGE_LIMIT_BYTES
        )
