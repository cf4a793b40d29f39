"""kube-proxy's health pages beside its metrics, in the simplest form: does :10256/healthz say 200, which mode is it?

A page that does not answer is itself the news (`kpwatch_healthz_up` 0), so nothing here fails a scrape. The pages are
asked in parallel with the metrics, each on a connection of its own, and never delay them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.http import Answer, Failure, format_request, parse_url
from kpwatch.scrape.encoder import OwnSample

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.loop import Loop
    from kpwatch.scrape.options import TargetOptions

PAGE_LIMIT_BYTES = 64 << 10
PROXY_MODES = ("iptables", "ipvs", "nftables", "kernelspace", "userspace")


def read_healthz(outcome: Answer | Failure) -> list[OwnSample]:
    """`kpwatch_healthz_up` (an HTTP answer came) and its status code."""
    if isinstance(outcome, Failure):
        return [OwnSample("kpwatch_healthz_up", (), 0)]
    return [
        OwnSample("kpwatch_healthz_up", (), 1),
        OwnSample("kpwatch_healthz_status_code", (), outcome.status),
    ]


def read_proxy_mode(outcome: Answer | Failure) -> list[OwnSample]:
    """`kpwatch_proxy_mode_info{mode}`, where the answer is one of the modes there are."""
    if isinstance(outcome, Failure) or outcome.status != 200:
        return []
    mode = outcome.body.decode(errors="replace").strip()
    return [OwnSample("kpwatch_proxy_mode_info", (("mode", mode),), 1)] if mode in PROXY_MODES else []


class HealthPages:
    """Asks one target's health pages; `samples` is what the latest answers said."""

    def __init__(self, options: TargetOptions, loop: Loop) -> None:
        metrics_url = parse_url(options.url)
        metrics_base = f"{metrics_url.scheme}://{metrics_url.authority}"
        pages: list[tuple[str, Callable[[Answer | Failure], list[OwnSample]]]] = [
            (options.health_url.rstrip("/") + "/healthz", read_healthz),
            (metrics_base + "/proxyMode", read_proxy_mode),
        ]
        self._timeout_seconds = options.timeout_seconds
        self._pages = [_Page(loop, url, read, options) for url, read in pages]

    @property
    def busy(self) -> bool:
        """Whether a page asked before has not answered yet."""
        return any(page.connection.busy for page in self._pages)

    def ask(self, done: Callable[[list[OwnSample]], None]) -> None:
        """Ask every page; `done` is called once, with what all of them said."""
        waiting = len(self._pages)

        def one_done(_: list[OwnSample]) -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                done([sample for page in self._pages for sample in page.samples])

        for page in self._pages:
            page.ask(one_done, self._timeout_seconds)

    def close(self) -> None:
        """Drop the connections."""
        for page in self._pages:
            page.connection.close()


class _Page:
    def __init__(
        self,
        loop: Loop,
        url: str,
        read: Callable[[Answer | Failure], list[OwnSample]],
        options: TargetOptions,
    ) -> None:
        parsed = parse_url(url)
        self.samples: list[OwnSample] = []
        self.connection = Connection(loop, parsed, tls=options.tls, dial_timeout_seconds=options.timeout_seconds)
        self._request = format_request("GET", parsed, {"User-Agent": f"kpwatch/{__version__}"})
        self._read = read

    def ask(self, done: Callable[[list[OwnSample]], None], timeout_seconds: float) -> None:
        def answered(outcome: Answer | Failure) -> None:
            self.samples = self._read(outcome)
            done(self.samples)

        self.connection.ask(self._request, answered, timeout_seconds=timeout_seconds, body_limit_bytes=PAGE_LIMIT_BYTES)
