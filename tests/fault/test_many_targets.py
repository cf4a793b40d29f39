"""A thousand targets in one process: every one is scraped every interval, whatever some of them do."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver
from tests.servers import Server, response

if TYPE_CHECKING:
    from tests.servers import Peer

TARGETS = 1_000
HANGING = 100
INTERVAL_SECONDS = 4.0
ROUNDS = 3


class Crowd:
    """Answers every path; those that begin with /hang never."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            path = peer.request().target
            self.asked[path] = self.asked.get(path, 0) + 1
            if path.startswith("/hang"):
                peer.wait_until_gone()
            peer.send(response(b"asked %d\n" % self.asked[path]))


def test_a_thousand_targets() -> None:
    """A tenth of them hang until they time out; all others give a sample each interval and none is left out."""
    crowd = Crowd()
    with Server(crowd) as server, Receiver() as receiver:
        names = [f"/hang/{number}" for number in range(HANGING)]
        names += [f"/good/{number}" for number in range(TARGETS - HANGING)]
        targets = [
            target(server.url(name), name, interval_seconds=INTERVAL_SECONDS, timeout_seconds=1.0) for name in names
        ]
        with RunningAgent(targets, [writer(receiver.url())]) as agent:
            good = names[HANGING:]
            server.wait_for(lambda: all(crowd.asked.get(name, 0) >= ROUNDS for name in good), f"{ROUNDS} rounds")
        counted = dict.fromkeys(names, 0)
        up = dict.fromkeys(names, 0.0)
        for sample in receiver.taken:
            if sample.name == "up":
                counted[sample.labels["instance"]] += 1
                up[sample.labels["instance"]] = max(up[sample.labels["instance"]], sample.value)
        assert all(counted[name] >= ROUNDS - 1 for name in good)
        assert {up[name] for name in good} == {1.0}
        assert {up[name] for name in names[:HANGING]} == {0.0}
        assert agent.counted("scrapes_failed") == agent.counted("scrapes_failed", reason="timeout")
        assert agent.counted("samples_lost") == 0
