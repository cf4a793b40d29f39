"""A full disk under the spool: scraping goes on, scrapes wait in memory, and go to the disk when it has room again."""

from __future__ import annotations

import random
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.fault.spool_scene import AgentProcess, Counter, Setting, latest, numbers
from tests.parts import require
from tests.receivers import OK, Receiver
from tests.servers import response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAY = "/api/v1/write"


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "kpwatch-test", path], check=False, capture_output=True
    )
    require(path if mounted.returncode == 0 else None, "the right to mount a small tmpfs (root)")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_no_room_for_the_spool(tmp_path: Path) -> None:
    """Really no room, and the receiver down too. When there is room the spool is on disk again, and nothing is lost."""
    chance = random.Random(1)

    def filler() -> bytes:
        return b"".join(b'filler{at="%d"} %.17g\n' % (number, chance.random()) for number in range(300))

    is_up = False

    def answer() -> bytes:
        return OK if is_up else response(b"not now", 503)

    counter = Counter(filler)
    with (
        small_disk(tmp_path / "disk") as disk,
        counter.server() as server,
        Receiver(*[answer] * 100_000) as receiver,
    ):
        ballast = disk / "ballast"
        ballast.write_bytes(bytes((2 << 20) - (64 << 10)))
        setting = Setting(tmp_path / "agent", server.url(), [receiver.url(WAY)], disk / "spool")
        with AgentProcess(setting) as agent:
            full = setting.wait_for_metrics(lambda found: found.get("spool_unwritten", 0) >= 10, "a full disk")
            assert (full["spool_on_disk"], full["spool_failures_total"] > 0) == (0, True)
            scraped = counter.count
            server.wait_for_requests(scraped + 10)
            ballast.unlink()
            again = setting.wait_for_metrics(lambda found: found["spool_unwritten"] == 0, "room")
            assert again["spool_on_disk"] == 1
            setting.wait_for_metrics(lambda _: "the disk takes what waits again" in agent.said(), "the good news")
            assert agent.said().count("what waits is kept in memory until the disk takes it again") == 1
            agent.kill()  # what was in memory a moment ago survives a kill now
        written = counter.count
        with AgentProcess(setting) as agent:
            is_up = True
            receiver.wait_for_samples(lambda taken: latest(taken) > written, "everything")
            assert setting.metrics()["samples_lost_total"] == 0
            agent.stop()
    found = numbers(receiver.taken)
    assert set(range(1, max(found) + 1)) - set(found) <= {written}, "only the scrape that the kill interrupted"
