"""An agent killed at any instant, its receiver up half of the time: what was scraped arrives, in order, once."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.receivers import OK, Receiver
from tests.servers import Server, response

if TYPE_CHECKING:
    from tests.servers import Peer

IS_LONG = bool(os.environ.get("KPWATCH_LONG"))
ROUNDS = 50 if IS_LONG else 10
PROMISE_SECONDS = 1.0
"""What was scraped so long before a kill is never lost."""
RESTART_SECONDS = 1.0
"""How soon after a start scraping goes on."""
PHASE_SECONDS = 1.7
DRAIN_SECONDS = 60


class TimedCounter:
    """A target that counts its scrapes and remembers when each was answered, and the last one of each connection.

    A request may lie in the socket when the process that sent it is killed: it is counted, and nobody hears the answer.
    """

    def __init__(self) -> None:
        self.answered_at: list[float] = []
        self.last_of_connections: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        number = 0
        try:
            while True:
                peer.request()
                with self._lock:
                    self.answered_at.append(time.monotonic())
                    number = len(self.answered_at)
                peer.send(response(b"n %d\n" % number))
        finally:
            self.last_of_connections.add(number)


def down_half_of_the_time() -> bytes:
    """204 in even phases, 503 in odd ones."""
    return OK if int(time.monotonic() / PHASE_SECONDS) % 2 == 0 else response(b"not now", 503)


def configure(directory: Path, target_url: str, receiver_url: str) -> None:
    """An agent that scrapes ten times a second and spools beside its configuration."""
    (directory / "input.prometheus").mkdir(parents=True)
    (directory / "config.toml").write_text(
        f'[global]\nhostname = "node-a"\n[writer_opt]\nbatch = 20\n[[writers]]\nurl = "{receiver_url}"\n'
        f'retry_min = "50ms"\nretry_max = "300ms"\n[kpwatch]\nspool_dir = "{directory / "spool"}"\n'
    )
    (directory / "input.prometheus" / "prometheus.toml").write_text(
        f'interval = "100ms"\n[[instances]]\nurls = ["{target_url}"]\n'
    )


def start_agent(directory: Path) -> subprocess.Popen[bytes]:
    """One agent process."""
    kpwatch = str(Path(sys.executable).with_name("kpwatch"))
    return subprocess.Popen([kpwatch, "agent", "--configs", str(directory)], stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_kill_9(tmp_path: Path) -> None:
    """Killed again and again: nothing scraped a second before is missing, no sample is late, none is invented."""
    counter = TimedCounter()
    chance = random.Random(9)
    kills: list[float] = []
    pauses: list[float] = []
    with Server(counter) as server, Receiver(*[down_half_of_the_time] * 100_000) as receiver:
        configure(tmp_path, server.url(), receiver.url("/api/v1/write"))
        for _ in range(ROUNDS):
            started = time.monotonic()
            agent = start_agent(tmp_path)
            asked = len(counter.answered_at)
            server.wait_for(lambda asked=asked: len(counter.answered_at) > asked, "the first scrape of a process")
            pauses.append(counter.answered_at[asked] - started)
            time.sleep(chance.uniform(0.1, 2.5))  # the instant of the kill is what is random here
            agent.send_signal(signal.SIGKILL)
            kills.append(time.monotonic())
            agent.wait()
        agent = start_agent(tmp_path)
        last = len(counter.answered_at)
        receiver.wait_for_samples(
            lambda taken: any(one.value > last for one in taken if one.name == "n"), "the backlog"
        )
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(DRAIN_SECONDS) == 0
        taken = [one for one in receiver.taken if one.name == "n"]
    arrived: dict[float, int] = {}
    order = []
    for one in taken:
        if one.value in arrived:
            assert arrived[one.value] == one.timestamp_ms, "a sample that comes twice is the same sample"
        else:
            arrived[one.value] = one.timestamp_ms
            order.append(one.value)
    assert order == sorted(order), "a sample arrived after a later one"
    assert list(arrived.values()) == sorted(arrived.values())
    excused = {
        number
        for number, at in enumerate(counter.answered_at, start=1)
        if any(0 <= kill - at < PROMISE_SECONDS for kill in kills) or number > last
    } | counter.last_of_connections
    assert set(range(1, len(counter.answered_at) + 1)) - arrived.keys() <= excused
    missing = len(counter.answered_at) - len(arrived)
    print(f"{ROUNDS} kills: {len(counter.answered_at)} scrapes, {missing} lost, {len(taken) - len(order)} came twice")
    print(f"from a start to its first scrape: {statistics.median(pauses):.2f} s (median), {max(pauses):.2f} s at most")
    if IS_LONG:  # only where the machine is the test's own
        assert statistics.median(pauses) <= RESTART_SECONDS
