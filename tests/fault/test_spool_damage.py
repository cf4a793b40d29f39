"""A spool that was broken while its agent was dead: what is whole arrives in order, what is not is said and counted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kpwatch.base.recordlog import MAGIC, open_segments
from kpwatch.spool.log import CURSORS, SCRAPE, read_scrape_head
from tests.fault.spool_scene import AgentProcess, Counter, Setting, latest, number_in, numbers
from tests.receivers import Receiver
from tests.servers import response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpwatch.base.recordlog import Record

SCRAPES = 12
HEADER_BYTES = 24
WAY = "/api/v1/write"
NOT_NOW = response(b"not now", 503)


class Killed(NamedTuple):
    """The spool of an agent that was killed while its receiver was down, and what it had scraped."""

    spool: Path
    receiver_port: int
    scraped: int


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    counter = Counter()
    with counter.server() as server, Receiver(*[NOT_NOW] * 10_000) as receiver:
        setting = Setting(folder, server.url(), [receiver.url(WAY)], folder / "spool")
        with AgentProcess(setting) as agent:
            server.wait_for_requests(SCRAPES)
            setting.wait_for_metrics(lambda found: found.get("spool_bytes", 0) > 0, "the spool")
            agent.kill()
        return Killed(setting.spool, receiver.port, counter.count)


class Broken:
    """A copy of that spool, for one test to break."""

    def __init__(self, killed: Killed, folder: Path) -> None:
        self.killed = killed
        self.folder = folder
        self.spool = folder / "spool"
        shutil.copytree(killed.spool, self.spool)
        (self.segment,) = self.spool.glob("*.log")

    def records(self) -> list[Record]:
        (segment,) = open_segments(self.spool)
        return list(segment.records())

    def scrapes(self) -> list[Record]:
        """Of the target; the agent's own metrics wait among them."""
        return [record for record in self.records() if record.kind == SCRAPE and number_in(record.payload)]

    def on_disk(self) -> list[int]:
        """Numbers of the scrapes that the killed agent had written: the first ones, none missing."""
        return list(range(1, len(self.scrapes()) + 1))

    def flip(self, offset: int) -> None:
        content = bytearray(self.segment.read_bytes())
        content[offset] ^= 0x40
        self.segment.write_bytes(content)

    def restart(self, old: list[int], words: str = "") -> dict[str, float]:
        """Run an agent on it with a receiver that is up: `old` scrapes arrive, then new ones; its metrics then."""
        counter = Counter()
        counter.count = 1000
        with counter.server() as server, Receiver(port=self.killed.receiver_port) as receiver:
            setting = Setting(self.folder / "agent", server.url(), [receiver.url(WAY)], self.spool)
            with AgentProcess(setting) as agent:
                receiver.wait_for_samples(lambda taken: latest(taken) >= 1003, "new scrapes")
                metrics = setting.metrics()
                said = agent.stop()
        found = numbers(receiver.taken)
        assert [number for number in found if number <= 1000] == old
        assert [number for number in found if number > 1000] == list(range(1001, 1001 + len(found) - len(old)))
        assert words in said
        return metrics


@pytest.fixture
def broken(killed: Killed, tmp_path: Path) -> Broken:
    return Broken(killed, tmp_path)


def test_a_whole_spool_is_sent_whole(broken: Broken) -> None:
    """The kill itself costs at most the scrape that was under way."""
    assert broken.killed.scraped - 1 <= len(broken.on_disk()) <= broken.killed.scraped
    assert broken.restart(broken.on_disk())["samples_lost_total"] == 0


TEARS = [
    # where the last scrape's record is cut: an offset from its begin, or from its end where negative
    ("in its sync mark", 2),
    ("in its checksum", 6),
    ("in its length", 10),
    ("in its sequence", 20),
    ("behind its header", HEADER_BYTES),
    ("in its own head", HEADER_BYTES + 5),
    ("in its block", HEADER_BYTES + 60),
    ("at its last byte", -1),
]


@pytest.mark.parametrize("offset", [offset for _, offset in TEARS], ids=[what for what, _ in TEARS])
def test_a_torn_last_record(offset: int, broken: Broken) -> None:
    """The tear is cut off and said; every scrape before it arrives."""
    last = broken.scrapes()[-1]
    begin = last.end - HEADER_BYTES - len(last.payload)
    with broken.segment.open("r+b") as file:
        file.truncate(last.end + offset if offset < 0 else begin + offset)
    broken.restart(broken.on_disk(), "bytes of a record cut by a crash were removed")


def test_cut_between_two_records(broken: Broken) -> None:
    """A shorter log, and nothing to say."""
    last = broken.scrapes()[-1]
    with broken.segment.open("r+b") as file:
        file.truncate(last.end - HEADER_BYTES - len(last.payload))
    broken.restart(broken.on_disk())


@pytest.mark.parametrize("tail", [bytes(4096), b"\xa5KPR", b"\xff" * 100], ids=["zeros", "a sync mark", "ones"])
def test_what_a_crash_left_behind_the_last_record(tail: bytes, broken: Broken) -> None:
    """Blocks that a file system gave and nobody wrote are cut off."""
    old = broken.on_disk()
    with broken.segment.open("ab") as file:
        file.write(tail)
    broken.restart(old, f"{len(tail)} bytes of a record cut by a crash were removed")


@pytest.mark.parametrize("left", [0, 3, len(MAGIC)])
def test_a_segment_of_a_few_bytes(left: int, broken: Broken) -> None:
    """The first bytes of a segment, or none: the agent goes on with what is scraped from now on."""
    with broken.segment.open("r+b") as file:
        file.truncate(left)
    broken.restart([])


FLIPS: list[tuple[str, Callable[[int, int], int]]] = [
    # what is hit in the fifth scrape's record, by its begin and end
    ("its sync mark", lambda begin, _: begin + 1),
    ("its checksum", lambda begin, _: begin + 5),
    ("its length", lambda begin, _: begin + 9),
    ("its upper length", lambda begin, _: begin + 11),
    ("its kind", lambda begin, _: begin + 12),
    ("its sequence", lambda begin, _: begin + 17),
    ("its total", lambda begin, _: begin + HEADER_BYTES + 17),
    ("its block", lambda _, end: end - 9),
]


@pytest.mark.parametrize("place", [place for _, place in FLIPS], ids=[what for what, _ in FLIPS])
def test_a_flipped_byte_in_the_middle(place: Callable[[int, int], int], broken: Broken) -> None:
    """It costs the record it is in; all others arrive, and the loss is counted in samples and in bytes."""
    old, hit = broken.on_disk(), broken.scrapes()[4]
    broken.flip(place(hit.end - HEADER_BYTES - len(hit.payload), hit.end))
    metrics = broken.restart([number for number in old if number != 5])
    assert metrics["samples_lost_total"] == read_scrape_head(hit.payload).samples
    assert metrics["spool_damaged_bytes_total"] >= HEADER_BYTES + len(hit.payload)


def test_every_cursor_is_lost(broken: Broken) -> None:
    """Sent again from the beginning rather than never: nothing is missing."""
    old = broken.on_disk()
    for record in [record for record in broken.records() if record.kind == CURSORS]:
        broken.flip(record.end - 1)
    assert broken.restart(old)["samples_lost_total"] == 0


def test_cursors_lost_after_deliveries(tmp_path: Path) -> None:
    """What was delivered comes again, byte for byte the same; what was not is not missing."""
    counter = Counter()
    with counter.server() as server, Receiver() as receiver:
        setting = Setting(tmp_path, server.url(), [receiver.url(WAY)], tmp_path / "spool")
        with AgentProcess(setting) as agent:
            receiver.wait_for_samples(lambda taken: latest(taken) >= 5, "five scrapes")
            agent.kill()
        (path,) = setting.spool.glob("*.log")
        content = bytearray(path.read_bytes())
        (segment,) = open_segments(setting.spool)
        scrapes = 0
        for record in segment.records():
            scrapes += record.kind == SCRAPE and number_in(record.payload) is not None
            if record.kind == CURSORS:
                content[record.end - 1] ^= 1
        path.write_bytes(content)
        before, first = len(receiver.taken), counter.count
        with AgentProcess(setting) as agent:
            receiver.wait_for_samples(lambda taken: latest(taken) > first, "the first new scrape")
            agent.stop()
    again = [int(one.value) for one in receiver.taken[before:] if one.name == "n"]
    assert again[:scrapes] == list(range(1, scrapes + 1))
    assert numbers(receiver.taken) == sorted(numbers(receiver.taken))
