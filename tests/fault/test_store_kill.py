"""kill -9 at random instants: what was acknowledged is there, exactly once, and no append is there in half.

Run as a program it is the one that gets killed: two threads append to one store as fast as they can and print what was
acknowledged.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kpwatch.base.telemetry import Registry
from kpwatch.model.labels import label_value
from kpwatch.model.matchers import Matcher
from kpwatch.store.database import Store, StoreOptions
from tests.unit.store.samples import FOREVER, T0, bits_of, frame, layout, opened, told

ROUNDS = 100 if os.environ.get("KPWATCH_LONG") == "1" else 10
SENDERS = (1, 2)
SHAPES = (layout(0, 1, 2), layout(0, 1, 2, 3), layout(3, 1))
SEED = 20261122


def send(store: Store, sender: int, first: int) -> None:
    """Append for ever: append n holds one frame of each of two targets, all values n."""
    for number in range(first, sys.maxsize):
        shape = SHAPES[number % len(SHAPES)]
        values = [float(number)] * len(shape.columns)
        frames = [frame(10 * sender + place, shape, T0 + number, values) for place in (0, 1)]
        store.append(frames).result()
        os.write(1, f"{sender} {number}\n".encode())


def child(directory: str, *firsts: str) -> None:
    options = StoreOptions(Path(directory), retention_seconds=0, commit_wait_seconds=0, seal_rows=4)
    store = Store.open(options, Registry())
    threads = [
        threading.Thread(target=send, args=(store, sender, int(first)))
        for sender, first in zip(SENDERS, firsts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_round(directory: Path, firsts: list[int], acknowledgements: int) -> list[int]:
    """Start the child, kill it after so many acknowledgements; the highest acknowledged number per sender."""
    command = [sys.executable, "-m", "tests.fault.test_store_kill", str(directory), *map(str, firsts)]
    highest = [first - 1 for first in firsts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            if count == acknowledgements:
                process.kill()  # what it printed before it died still counts: go on reading
            sender, number = map(int, line.split())
            highest[SENDERS.index(sender)] = number
    return highest


def numbers_of(store: Store, sender: int, place: int) -> set[int]:
    """The appends of which this target has all samples, and no others."""
    found = told(store.select([Matcher("ident", "=", f"node-{10 * sender + place}")], *FOREVER))
    by_number: dict[int, set[str]] = {}
    for (labels, at), bits in found.items():
        assert bits == bits_of(float(at - T0))
        by_number.setdefault(at - T0, set()).add(label_value(labels, "le"))
    for number, columns in by_number.items():
        assert columns == {label_value(column, "le") for column in SHAPES[number % len(SHAPES)].columns}
    return set(by_number)


@pytest.mark.slow
def test_acknowledged_is_there_exactly_once(tmp_path: Path) -> None:
    """Ten rounds on one directory (KPWATCH_LONG=1: a hundred), each after another number of acknowledgements."""
    chance = random.Random(SEED)
    acknowledged = [-1, -1]
    for round_number in range(ROUNDS):
        firsts = [number + 1 for number in acknowledged]
        acknowledged = one_round(tmp_path, firsts, chance.randrange(1, 150))
        with opened(tmp_path, seal_rows=4) as store:
            for index, sender in enumerate(SENDERS):
                first, second = numbers_of(store, sender, 0), numbers_of(store, sender, 1)
                assert first == second, "an append is there whole or not at all"
                there = acknowledged[index] + 1
                assert first in (set(range(there)), set(range(there + 1))), f"round {round_number}, seed {SEED}"
                acknowledged[index] = max(first, default=-1)
            assert store.status()["quarantine"]["count"] == 0  # type: ignore[index]


if __name__ == "__main__":
    child(*sys.argv[1:])
