"""uvicorn on a thread: listens before it returns, stops within a bound.

The socket is bound by us, so that a port in use is an error with a name and not a line in a server's log. Requests'
heads are bounded by `protocol.py` because httptools bounds nothing; bodies are bounded by who reads them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvloop
from uvicorn.config import Config
from uvicorn.server import Server

from kpwatch.api.protocol import HubProtocol
from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.api.certificate import LiveCertificate, TlsFiles
    from kpwatch.api.router import Router
    from kpwatch.base.logs import Logger

KEEP_ALIVE_SECONDS = 75
"""Longer than any agent's interval, so that a connection serves more than one request."""
LOOK_SECONDS = 5
"""How often the certificate's and other files are looked at."""
_BACKLOG = 1024
_STOP_SECONDS = 5


class HttpServer:
    """One application on one address."""

    def __init__(
        self,
        app: Router,
        host: str,
        port: int,
        max_connections: int,
        log: Logger,
        tls: TlsFiles | None = None,
        looks: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`looks` are called on the server's loop every `LOOK_SECONDS`: each may look whether its file has changed."""
        self._app = app
        self._tls = tls
        self._host = host
        self._port = port
        self._log = log
        self._max_connections = max_connections
        self._looks = list(looks)
        self._server: _AnnouncingServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        """The port that is listened on; known after `start`."""

    @property
    def url(self) -> str:
        """Where a client on this machine finds it; no slash at the end."""
        return self._url({"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host))

    @property
    def outside_url(self) -> str:
        """Where people find it: by this machine's name where it listens at all addresses."""
        return self._url(self._host if self._host not in ("", "0.0.0.0", "::") else os.uname().nodename)

    def _url(self, host: str) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def start(self) -> None:
        """Listen; raises ConfigError where the address cannot be had or a certificate cannot be used."""
        certificate = self._certificate()
        listening = self._bind()
        self.port = listening.getsockname()[1]
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.handlers[:] = [_Forward(self._log)]
        uvicorn_log.propagate = False
        config = Config(
            self._app,
            http=cast("type[asyncio.Protocol]", partial(HubProtocol, self._app)),
            proxy_headers=False,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=self._max_connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        )
        looks = [*self._looks, certificate.look] if certificate else self._looks
        self._server = _AnnouncingServer(config, looks)
        self._thread = threading.Thread(target=self._run, args=(self._server, listening), name="http", daemon=True)
        self._thread.start()
        self._server.up.wait()

    def _certificate(self) -> LiveCertificate | None:
        if self._tls is None:
            return None
        from kpwatch.api.certificate import LiveCertificate  # noqa: PLC0415 - `ssl` is loaded where it is used

        return LiveCertificate(self._tls, self._log)

    def stop(self) -> None:
        """Answer what is being answered (for a bounded time), accept nothing more; may be called twice."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS * 2)

    def _bind(self) -> socket.socket:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"--listen {self._host}:{self._port}: {error}") from error
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            raise ConfigError(
                f"--listen {self._host}:{self._port}: {error.strerror or error}; "
                "another program may use this port: choose another one or port 0"
            ) from error
        return listening

    @staticmethod
    def _run(server: _AnnouncingServer, listening: socket.socket) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(sockets=[listening]))
        finally:
            server.up.set()


class _AnnouncingServer(Server):
    """Says when it is up."""

    def __init__(self, config: Config, looks: Sequence[Callable[[], None]]) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._looks = looks

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's ten times a second."""
        if counter % (LOOK_SECONDS * 10) == 0:
            for look in self._looks:
                look()
        return await super().on_tick(counter)


class _Forward(logging.Handler):
    """uvicorn's lines in our log."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += ": " + logging.Formatter().formatException(record.exc_info)
        self._log.warning(text, at="uvicorn", about=str(record.msg))


def loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        found: list[Any] = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"--listen {host!r}: {error}") from error
    return all(address[0].startswith("127.") or address[0] == "::1" for *_, address in found)
