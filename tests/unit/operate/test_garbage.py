"""What a scrape and a request need is free again when they are over."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRAPES = 20


@pytest.fixture
def garbage() -> Iterator[list[object]]:
    """What only the collector finds, kept when `gc.collect` is called; it is called by nobody else."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def test_nothing_waits_for_the_collector(garbage: list[object]) -> None:
    """Objects that know each other would: an agent's memory grew by a megabyte until they were collected."""
    with (
        Server(serves(lambda _: response(b"m 1\n"))) as page,
        Receiver() as receiver,
        RunningAgent([target(page.url())], [writer(receiver.url("/api/v1/write"))]),
    ):
        receiver.wait_for_samples(lambda taken: sum(one.name == "m" for one in taken) >= SCRAPES, f"{SCRAPES} scrapes")
        gc.collect()
        kinds = [f"{getattr(one, '__module__', '')}.{getattr(one, '__qualname__', type(one))}" for one in garbage]
        ours = sorted(kind for kind in kinds if kind.startswith("kpwatch."))
        assert len(ours) < SCRAPES, ours
