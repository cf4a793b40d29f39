"""Sends the heartbeat: a small POST every interval on the agent's own loop.

A heartbeat that fails is said and counted, and the next one comes in its turn: it carries no history, so nothing is
kept. Nightingale may answer that there is a newer version; that is said once a version and never followed, because
nobody signs what would be downloaded.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.base.connection import Connection
from kpwatch.base.http import Answer, Failure, basic_auth, excerpt, format_request, parse_proxy, parse_url, redact_url
from kpwatch.heartbeat.machine import Machine
from kpwatch.heartbeat.options import MIN_INTERVAL_SECONDS
from kpwatch.heartbeat.report import cpu_percent, heartbeat, memory_percent

if TYPE_CHECKING:
    from kpwatch.base.logs import Logger
    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.telemetry import Registry
    from kpwatch.heartbeat.options import HeartbeatOptions

FIRST_SECONDS = 3.0
"""Before the first one: long enough to know how busy the processors are."""
REREAD_SECONDS = 300.0
"""How often what hardly ever changes is read."""
ANSWER_LIMIT_BYTES = 64 << 10

_GZIP = 31


class Heartbeat:
    """Tells one Nightingale of this machine, from `start` to `stop`."""

    def __init__(self, options: HeartbeatOptions, loop: Loop, log: Logger, registry: Registry) -> None:
        self._options = options
        self._loop = loop
        self._log = log
        self._url = parse_url(options.url)
        self._shown_url = redact_url(options.url)
        self._proxy = parse_proxy(options.proxy_url) if options.proxy_url else None
        self._connection = Connection(
            loop, self._url, tls=options.tls, proxy=self._proxy, dial_timeout_seconds=options.dial_timeout_seconds
        )
        self._machine = Machine(options.proc_dir, options.sys_dir)
        self._cpu = self._machine.cpu_times()
        self._extend_info: dict[str, Any] = {}
        self._reread_at_seconds = 0.0
        self._timer: Timer | None = None
        self._sent = registry.counter("kpwatch_agent_heartbeats_total", "Heartbeats that Nightingale took.")
        self._failed = registry.counter("kpwatch_agent_heartbeats_failed_total", "Heartbeats that it did not.")

    def start(self) -> None:
        """The first one soon, then every interval."""
        self._timer = self._loop.call_later(FIRST_SECONDS, self._beat)

    def stop(self) -> None:
        """None any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

    def _beat(self) -> None:
        interval_seconds = max(self._options.interval_seconds, MIN_INTERVAL_SECONDS)
        self._timer = self._loop.call_later(interval_seconds, self._beat)
        if self._connection.busy:
            self._fail(f"no answer within {interval_seconds:g} s")
            return
        self._connection.ask(
            format_request("POST", self._url, self._headers(), _gzipped(self._body()), proxy=self._proxy),
            self._answered,
            timeout_seconds=self._options.timeout_seconds,
            dial_apart=True,
            body_limit_bytes=ANSWER_LIMIT_BYTES,
        )

    def _body(self) -> dict[str, Any]:
        now_seconds = self._loop.clock.monotonic_seconds()
        if not self._extend_info or now_seconds >= self._reread_at_seconds:
            self._extend_info = self._machine.extend_info()
            self._reread_at_seconds = now_seconds + REREAD_SECONDS
        before, self._cpu = self._cpu, self._machine.cpu_times()
        return heartbeat(
            self._options,
            version=f"v{__version__}",
            machine=os.uname().machine,
            processors=self._machine.processors(),
            cpu_util=cpu_percent(before, self._cpu),
            mem_util=memory_percent(self._machine.memory()),
            unix_ms=self._loop.clock.unix_ms(),
            extend_info=self._extend_info,
        )

    def _headers(self) -> dict[str, str]:
        options = self._options
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": f"kpwatch/{__version__}",
        }
        if options.basic_auth_pass:
            headers["Authorization"] = basic_auth(f"{options.basic_auth_user}:{options.basic_auth_pass}")
        headers.update(options.headers)
        return headers

    def _answered(self, outcome: Answer | Failure) -> None:
        if isinstance(outcome, Failure):
            self._fail(f"{outcome.reason}: {outcome.detail}")
            return
        words = excerpt(outcome.body)
        answer = _read(outcome.body)
        if outcome.status // 100 != 2 or answer.get("err"):
            self._fail(f"status code: {outcome.status}, response body: {words}")
            return
        self._sent.add()
        wanted = answer.get("dat")
        if isinstance(wanted, dict) and wanted.get("new_version"):
            self._log.warning(
                f"heartbeat to {self._shown_url}: it asks for version {wanted['new_version']!r}; this agent never "
                "replaces itself: change the image or the package",
                about=f"version {wanted['new_version']}",
            )

    def _fail(self, reason: str) -> None:
        self._failed.add()
        self._log.error(f"heartbeat to {self._shown_url} failed: {reason}", about=f"heartbeat {self._shown_url}")


def _read(body: bytes) -> dict[str, Any]:
    """Nightingale's answer; {} for one that is none of its own."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _gzipped(document: dict[str, Any]) -> bytes:
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(json.dumps(document).encode()) + packer.flush()
