"""A thousand targets in one process: every one is scraped every interval, whatever some of them do."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING, Self

from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver
from tests.servers import response

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGETS = 1_000
HANGING = 100
INTERVAL_SECONDS = 3.0
ROUNDS = 3
PATIENCE_SECONDS = 120
"""How long this waits on a busy machine; nothing is fast or slow by this number."""


class Crowd:
    """All targets on one port and one thread: a path is a target; those that begin with /hang never answer."""

    def __init__(self, expected: Sequence[str]) -> None:
        self.asked: dict[str, int] = {}
        self.done = threading.Event()
        """Every expected path was asked for ROUNDS times."""
        self._left = set(expected)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=TARGETS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._ending, self._end = socket.socketpair()
        self._selector.register(self._ending, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.send(b"\0")
        self._thread.join(PATIENCE_SECONDS)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._end.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        self._selector.register(sock, selectors.EVENT_READ, self._answer)

    def _answer(self, sock: socket.socket) -> None:
        try:
            request = sock.recv(65536)  # a scrape's request is one segment
        except ConnectionError:
            request = b""
        if not request:
            self._selector.unregister(sock)
            sock.close()
            return
        path = request.split(b" ", 2)[1].decode()
        self.asked[path] = self.asked.get(path, 0) + 1
        if path.startswith("/hang"):
            return
        sock.sendall(response(b"asked %d\n" % self.asked[path]))
        if self.asked[path] == ROUNDS:
            self._left.discard(path)
            if not self._left:
                self.done.set()


def test_a_thousand_targets() -> None:
    """A tenth of them hang until they time out; all others give a sample each interval and none is left out."""
    hanging = [f"/hang/{number}" for number in range(HANGING)]
    good = [f"/good/{number}" for number in range(TARGETS - HANGING)]
    with Crowd(good) as crowd, Receiver() as receiver:
        targets = [
            target(crowd.url + name, name, interval_seconds=INTERVAL_SECONDS, timeout_seconds=timeout_seconds)
            for names, timeout_seconds in ((hanging, 1.0), (good, PATIENCE_SECONDS))
            for name in names
        ]
        with RunningAgent(targets, [writer(receiver.url(), protocol="1.0")]) as agent:
            assert crowd.done.wait(PATIENCE_SECONDS), f"{crowd.asked}"
        scrapes = dict.fromkeys(hanging + good, 0)
        up: dict[str, set[float]] = {name: set() for name in scrapes}
        for sample in receiver.taken:
            if sample.name == "up":
                scrapes[sample.labels["instance"]] += 1
                up[sample.labels["instance"]].add(sample.value)
        assert all(scrapes[name] >= ROUNDS - 1 for name in good)
        assert {value for name in good for value in up[name]} == {1.0}
        assert {value for name in hanging for value in up[name]} == {0.0}
        assert agent.counted("scrapes_failed") == agent.counted("scrapes_failed", reason="timeout")
        assert agent.counted("samples_lost") == 0
