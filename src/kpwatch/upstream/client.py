"""The edge: requests to the server, bounded in number, time and size, and their answers, piece by piece.

What goes wrong on the way becomes one of three errors: it cannot be reached (502), it takes too long (504), too many
requests wait for it (503). What the server itself answers is passed back as it is: its status, its JSON, its bytes in
the coding the client asked for. Three things are not: a redirect, a refusal of our credentials (the client has others),
and an error page that is no JSON; they become sentences.

httpx2 is loaded when the first request comes (110 ms), or by `warm_up` on a thread, whichever is first.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kpwatch import __version__
from kpwatch.base.errors import ConfigError, TooBusy, UpstreamDown, UpstreamSlow
from kpwatch.base.http import basic_auth, redact_url
from kpwatch.base.looks import look_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import httpx2

    from kpwatch.base.clock import Clock
    from kpwatch.base.looks import Look
    from kpwatch.base.telemetry import Registry
    from kpwatch.upstream.options import UpstreamOptions

ERROR_BYTES = 64 << 10
"""Of an answer that is read to be told, not passed on."""
_SHOWN_CHARACTERS = 200
_WRITES = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}


class Secret:
    """A file with one line, read again when it changes."""

    def __init__(self, option: str, path: Path) -> None:
        """Raises ConfigError where it cannot be read."""
        self._option = option
        self._path = path
        self._look: Look | None = None
        self._text = self._read()

    @property
    def text(self) -> str:
        """What the file says now; where it cannot be read any more, what it said."""
        if look_at(str(self._path)) not in (None, self._look):
            self._text = self._read()
        return self._text

    def _read(self) -> str:
        self._look = look_at(str(self._path))
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._option} {self._path}: cannot be read: {error}") from error


class Turns:
    """So many at once, so many waiting."""

    def __init__(self, concurrency: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._most = waiting
        self.waiting = 0
        self.running = 0

    def show(self, telemetry: Registry, kind: str) -> None:
        """Gauges of both numbers."""
        telemetry.gauge(
            "kpwatch_hub_engine_requests_running", "Requests that are with the engine.", lambda: self.running, kind=kind
        )
        telemetry.gauge(
            "kpwatch_hub_engine_requests_waiting", "Requests that wait for their turn.", lambda: self.waiting, kind=kind
        )

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it; raises TooBusy."""
        if self.waiting >= self._most:
            raise TooBusy(f"{self.waiting} requests wait for the engine already, which is the limit; try again shortly")
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()


class Passed:
    """An answer on its way: status and headers are known, `chunks` gives its body as it was sent."""

    def __init__(self, response: httpx2.Response, chunks: AsyncIterator[bytes]) -> None:
        self.status: int = response.status_code
        self.chunks = chunks
        self._headers = response.headers

    def header(self, name: str) -> str:
        """Value of a header, or ""."""
        return str(self._headers.get(name, ""))

    def headers_like(self, prefix: str) -> dict[str, str]:
        """All headers whose names begin so."""
        return {name: value for name, value in self._headers.items() if name.lower().startswith(prefix)}

    async def whole(self) -> bytes:
        """The body, if it is not long; else its beginning."""
        parts, held = [], 0
        async for chunk in self.chunks:
            parts.append(chunk)
            held += len(chunk)
            if held > ERROR_BYTES:
                break
        return b"".join(parts)[:ERROR_BYTES]


class Upstream:
    """One server; asked by its URLs below `/api/v1` and by its write URL. Event loop only, but for `ask`."""

    def __init__(self, options: UpstreamOptions, telemetry: Registry, clock: Clock) -> None:
        """Raises ConfigError where a file of the options cannot be used."""
        self.options = options
        self._clock = clock
        self._telemetry = telemetry
        self._basic = _secret("--engine-basic-auth-file", options.basic_auth_file)
        self._bearer = _secret("--engine-bearer-token-file", options.bearer_token_file)
        if self._basic and ":" not in self._basic.text:
            raise ConfigError(f"--engine-basic-auth-file {options.basic_auth_file}: expected one line user:password")
        is_https = any(url.startswith("https:") for url in (options.url, options.write_url))
        self._tls = _context(options) if is_https else None
        self._async: httpx2.AsyncClient | None = None
        self._sync: httpx2.Client | None = None
        self._turns = {kind: Turns(options.concurrency, options.waiting) for kind in ("query", "write")}
        for kind, turns in self._turns.items():
            turns.show(telemetry, kind)

    def warm_up(self) -> None:
        """Load the HTTP client; from any thread."""
        import httpx2  # noqa: F401, PLC0415 - see the module

    @asynccontextmanager
    async def request(
        self, kind: str, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> AsyncIterator[Passed]:
        """One request; `kind`: query or write. Raises UpstreamDown, UpstreamSlow, TooBusy."""
        began_at = self._clock.monotonic_seconds()
        status = "gone"
        try:
            async with self._turns[kind].turn(), self._sent(method, url, body, headers or {}) as passed:
                status = str(passed.status)
                yield passed
        except (UpstreamDown, UpstreamSlow, TooBusy) as error:
            status = {UpstreamDown: "down", UpstreamSlow: "slow", TooBusy: "busy"}[type(error)]
            raise
        finally:
            self._count(kind, status, self._clock.monotonic_seconds() - began_at)

    @asynccontextmanager
    async def _sent(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> AsyncIterator[Passed]:
        import httpx2  # noqa: PLC0415 - see the module

        client = self._async = self._async or httpx2.AsyncClient(**self._client_options(httpx2))
        deadline = asyncio.get_running_loop().time() + self.options.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                asked = client.build_request(method, url, content=body or None, headers={**headers, **self._who()})
                response = await client.send(asked, stream=True)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise self._slow(url, error) from error
        except (httpx2.TransportError, OSError) as error:
            raise UpstreamDown(f"the engine at {redact_url(url)} cannot be reached: {_said(error)}") from error
        try:
            yield Passed(response, self._chunks(response, url, deadline))
        finally:
            await response.aclose()

    async def _chunks(self, response: httpx2.Response, url: str, deadline: float) -> AsyncIterator[bytes]:
        """The body as it was sent; raises UpstreamDown where it ends early or is too long, UpstreamSlow."""
        import httpx2  # noqa: PLC0415 - see the module

        taken = 0
        chunks = response.aiter_raw()
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, b"")
            except (TimeoutError, httpx2.TimeoutException) as error:
                raise self._slow(url, error) from error
            except (httpx2.TransportError, httpx2.StreamError, OSError) as error:
                raise UpstreamDown(
                    f"the answer of the engine at {redact_url(url)} ended early: {_said(error)}"
                ) from error
            if not chunk:
                return
            taken += len(chunk)
            self._check_length(taken, url)
            yield chunk

    def ask(self, path: str, form: dict[str, str], timeout_seconds: float) -> tuple[int, bytes]:
        """One question of the hub's own, from any thread: status and body. Raises UpstreamDown, UpstreamSlow."""
        timeout = min(timeout_seconds, self.options.timeout_seconds)
        return self._post(f"{self.options.url}/api/v1{path}", {}, timeout, data=form)

    def push(self, body: bytes) -> None:
        """Samples of the hub's own, as Remote Write 1.0, from any thread; raises UpstreamDown, UpstreamSlow."""
        url = self.options.write_url
        status, answer = self._post(url, _WRITES, self.options.timeout_seconds, content=body)
        if status >= 300:
            said = answer[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
            raise UpstreamDown(f"the engine at {redact_url(url)} takes no samples: {status} {said}")

    def _post(self, url: str, headers: dict[str, str], timeout_seconds: float, **body: Any) -> tuple[int, bytes]:
        import httpx2  # noqa: PLC0415 - see the module

        if self._sync is None:
            self._sync = httpx2.Client(**self._client_options(httpx2))
        timeout = httpx2.Timeout(timeout_seconds, connect=self.options.connect_seconds)
        began_at = self._clock.monotonic_seconds()
        status, parts, taken = "down", [], 0
        try:
            with self._sync.stream("POST", url, headers=headers | self._who(), timeout=timeout, **body) as response:
                for part in response.iter_bytes():
                    parts.append(part)
                    taken += len(part)
                    self._check_length(taken, url)
            status = str(response.status_code)
        except httpx2.TimeoutException as error:
            status = "slow"
            raise self._slow(url, error) from error
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            raise UpstreamDown(f"the engine at {redact_url(url)} cannot be reached: {_said(error)}") from error
        finally:
            self._count("own", status, self._clock.monotonic_seconds() - began_at)
        return response.status_code, b"".join(parts)

    def close(self) -> None:
        """End the connections of `ask`."""
        if self._sync is not None:
            self._sync.close()

    def _check_length(self, taken: int, url: str) -> None:
        most = self.options.answer_bytes
        if taken > most:
            raise UpstreamDown(
                f"the answer of the engine at {redact_url(url)} is longer than {most} bytes (--engine-max-answer);"
                " ask for less"
            )

    def _who(self) -> dict[str, str]:
        """Headers of every request."""
        headers = {
            "user-agent": f"kpwatch-hub/{__version__}",
            **{name.lower(): it for name, it in self.options.headers},
        }
        if self.options.tenant:
            headers["x-scope-orgid"] = self.options.tenant
        if self._bearer:
            headers["authorization"] = f"Bearer {self._bearer.text}"
        elif self._basic:
            headers["authorization"] = basic_auth(self._basic.text)
        return headers

    def _client_options(self, httpx2: Any) -> dict[str, Any]:
        most = self.options.concurrency * 2
        return {
            "verify": self._tls or False,
            "timeout": httpx2.Timeout(self.options.timeout_seconds, connect=self.options.connect_seconds),
            "limits": httpx2.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=30.0),
            "trust_env": False,  # proxies and .netrc are nobody's wish here
        }

    def _slow(self, url: str, error: Exception) -> UpstreamSlow:
        what = "takes no connections" if type(error).__name__ == "ConnectTimeout" else "did not answer"
        seconds = self.options.connect_seconds if what.startswith("takes") else self.options.timeout_seconds
        return UpstreamSlow(f"the engine at {redact_url(url)} {what} within {seconds:g} s")

    def _count(self, kind: str, status: str, seconds: float) -> None:
        self._telemetry.counter(
            "kpwatch_hub_engine_requests_total",
            "Requests to the engine, by their status or by what kept them from one.",
            kind=kind, status=status,
        ).add()  # fmt: skip
        self._telemetry.counter(
            "kpwatch_hub_engine_seconds_total", "Time of requests to the engine, waiting included.", kind=kind
        ).add(seconds)


def _secret(option: str, path: Path | None) -> Secret | None:
    return Secret(option, path) if path is not None else None


def _context(options: UpstreamOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
        if options.tls_cert is not None:
            context.load_cert_chain(options.tls_cert, options.tls_key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"--engine-tls-ca {options.tls_ca or ''}, --engine-tls-cert {options.tls_cert or ''}: {error};"
            " expected PEM files, keys without a passphrase"
        ) from error
    if options.tls_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _said(error: BaseException) -> str:
    """What went wrong, from the first cause that has words."""
    return next((str(one)[:_SHOWN_CHARACTERS] for one in _causes(error) if str(one)), type(error).__name__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
