#!/usr/bin/env python3
"""How long a write waits while the hub seals, merges, deletes and evicts, at a rate the hub has no trouble with.

    bench/write_stall.py [--targets 40] [--seconds 100] [--every 1.0] [--out FILE]

Each target has 960 scrapes already, sent as fast as they are taken; the hub is killed and started on them, with a
retention size of what its blocks hold. Then each target sends one scrape after the other, each at its own instant of
the interval. Within 64 of them every target is sealed and its blocks, of 1,024 rows then, are merged; DELETE_AT of the
way somebody deletes a metric of all targets, which rewrites all blocks; and every minute the oldest blocks go.

An answer's time runs from when the request was due. The hub writes down when it was at what (lib/steps.py), so that
of each answer it is known how long the store was busy with something else than commits meanwhile: no write waited
longer for background work. The rest is commits (a sync of the disk), the request itself and the machine: beside it a
process that does nothing but sleep says how late the machine wakes somebody up.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.lib import page, process, programs, steps
from bench.lib.bodies import OwnBodies
from bench.lib.movement import Fleet
from bench.lib.sender import Sender
from bench.lib.steps import COMMIT, COPYING
from bench.lib.stores import STORES, Running
from kpwatch.remote_write import snappy
from kpwatch.store.state import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.sharedctypes import Synchronized

    from bench.lib.steps import Step

BEFORE, AT_ONCE, PREPARED = 960, 48, 16
INTERVAL_MS = 15_000
SLEEP_SECONDS = 0.005
LATE_MS = 50.0
SHARES = (50, 90, 99, 99.9, 100)
SLOWEST = 5
DELETED, DELETE_AT = "go_goroutines", 0.4
ADMIN = "admin:of-a-bench"
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "Authorization": f"Basic {base64.b64encode(ADMIN.encode()).decode()}",
}


class Answer(NamedTuple):
    """Of one request; times as steps have them."""

    due: float
    ended: float


def watch_the_machine(longest: Synchronized[float], late: Synchronized[int], until: float) -> None:
    """How late a sleeper is woken at most, and how often by more than LATE_MS."""
    while time.monotonic() < until:
        began = time.monotonic()
        time.sleep(SLEEP_SECONDS)
        late_ms = 1000 * (time.monotonic() - began - SLEEP_SECONDS)
        longest.value = max(longest.value, late_ms)
        late.value += late_ms > LATE_MS


class Node(threading.Thread):
    """One target, its connection and its times."""

    def __init__(self, port: int, requests: Sequence[bytes], due: float, every: float) -> None:
        super().__init__(daemon=True)
        self._port, self._requests, self._due, self._every = port, requests, due, every
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Send what there is, each at its instant."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.connect()
        for number, body in enumerate(self._requests):
            due = self._due + number * self._every
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("POST", "/api/v1/write", body, HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise process.BenchError(f"answered {answer.status}")
            self.answers.append(Answer(due, time.monotonic()))
        connection.close()


class Admin(threading.Thread):
    """Deletes a metric, once."""

    def __init__(self, port: int, at: float) -> None:
        super().__init__(daemon=True)
        self._port, self._at = port, at
        self.said = "nothing was deleted"

    def run(self) -> None:
        """Wait until it is time, ask, and note what came of it."""
        time.sleep(max(0.0, self._at - time.monotonic()))
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        began = time.monotonic()
        connection.request("POST", f"/api/v1/admin/tsdb/delete_series?match[]={DELETED}", headers=HEADERS)
        answer = connection.getresponse()
        answer.read()
        self.said = (
            f"deleting {DELETED} was answered {answer.status} after {time.monotonic() - began:.1f} s:"
            f" {answer.headers['X-Kpwatch-Deleted-Samples']} samples"
        )
        connection.close()


class Load:
    """What the targets say, from the first scrape on."""

    def __init__(self, targets: int, scrapes: int) -> None:
        self._fleet = Fleet(targets)
        self._bodies = [OwnBodies(number) for number in range(targets)]
        self._next_ms = int(time.time()) * 1000 - scrapes * INTERVAL_MS
        self.samples = self._bodies[0].samples

    def scrapes(self, count: int) -> list[list[bytes]]:
        """The next of each target."""
        made: list[list[bytes]] = [[] for _ in self._bodies]
        for _ in range(count):
            values = self._fleet.advance()
            for number, body in enumerate(self._bodies):
                made[number].append(body.request(self._next_ms, values[number]))
            self._next_ms += INTERVAL_MS
        return made


def fill(path: str, folder: Path, load: Load) -> int:
    """Send what is there before, kill the hub; bytes of its blocks."""
    with Running(STORES[0], path, folder) as hub:
        sender = Sender(hub.port, "/api/v1/write", 4)
        for _ in range(0, BEFORE, AT_ONCE):
            scrapes = load.scrapes(AT_ONCE)
            for begin in range(0, AT_ONCE, PREPARED):
                joined = [snappy.join_blocks(one[begin : begin + PREPARED]) for one in scrapes]
                sender.send([(number, sender.frame(body)) for number, body in enumerate(joined)])
        sender.close()
        hub.idle_cpu_seconds()
        status = json.loads(hub.get("/api/v1/status/tsdb") or b"{}")
        return int(status["data"]["store"]["blocks"]["bytes"])


def command(out: Path, auth: Path, blocks_bytes: int) -> list[str]:
    """A hub that writes its steps down, keeps no more than it has, and lets an admin delete."""
    script = Path(steps.__file__).resolve()
    options = ["--auth-file", str(auth), "--enable-admin-api", "--retention-size", f"{blocks_bytes}B"]
    return [sys.executable, str(script), str(out), "hub", *options]


def main() -> int:
    """Fill, pace, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between a target's scrapes")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = programs.kpwatch()
    scrapes = int(arguments.seconds / arguments.every)
    load = Load(arguments.targets, BEFORE + scrapes)
    with tempfile.TemporaryDirectory(prefix="kpwatch-bench-") as name:
        folder = Path(name)
        auth, noted = folder / "auth", folder / "steps"
        auth.write_text(f"{ADMIN}\n")
        begin = command(noted, auth, fill(found.path, folder, load))
        requests = load.scrapes(scrapes)
        ours = STORES[0]._replace(
            command=lambda _, port, data: [*begin, "--listen", f"127.0.0.1:{port}", "--data", str(data)]
        )
        with Running(ours, found.path, folder) as hub:
            hub.idle_cpu_seconds()
            began = time.monotonic() + 2
            longest, late = multiprocessing.Value("d", 0.0), multiprocessing.Value("i", 0)
            watcher = multiprocessing.Process(target=watch_the_machine, args=(longest, late, began + arguments.seconds))
            watcher.start()
            nodes = [
                Node(hub.port, one, began + arguments.every * number / len(requests), arguments.every)
                for number, one in enumerate(requests)
            ]
            admin = Admin(hub.port, began + DELETE_AT * arguments.seconds)
            cpu_seconds = hub.program.cpu_seconds()
            for thread in (*nodes, admin):
                thread.start()
            for thread in (*nodes, admin):
                thread.join()
            cpu_seconds = hub.program.cpu_seconds() - cpu_seconds
            watcher.join()
            hub.program.end(120)
        done = [step for step in steps.read(noted) if began <= step.ended and step.began <= began + arguments.seconds]
    answers = [answer for node in nodes for answer in node.answers]
    words = (
        f"{arguments.targets} targets, each a scrape of {load.samples} samples every {arguments.every:g} s for "
        f"{arguments.seconds:g} s, {BEFORE} before; the hub used {page.number(100 * cpu_seconds / arguments.seconds)} %"
        f" of a core; {admin.said}. The sleeper was woken {page.number(longest.value)} ms late at most, {late.value}"
        f" times by more than {LATE_MS:g} ms.\n"
    )
    text = [page.head("How long a write waits", {"kpwatch hub": found}), words, *tables(answers, done)]
    page.publish("\n".join(text), arguments.out)
    return 0


def tables(answers: Sequence[Answer], done: Sequence[Step]) -> Iterator[str]:
    """How long answers took, what the store was at meanwhile, and what its steps were."""
    kinds = {
        "background steps": [step for step in done if step.stage not in {COMMIT, COPYING}],
        "commits": [step for step in done if step.stage == COMMIT],
        "the checkpoint's own thread, beside": [step for step in done if step.stage == COPYING],
    }
    answers = sorted(answers, key=lambda answer: answer.due - answer.ended)
    waited_ms = np.array([1000 * (answer.ended - answer.due) for answer in answers])
    meanwhile_ms = {
        kind: np.array([1000 * steps.within(some, *answer) for answer in answers]) for kind, some in kinds.items()
    }
    rows = [("a write's answer", *_shares(waited_ms))]
    rows += [(f"in its time: {kind}", *_shares(within_ms)) for kind, within_ms in meanwhile_ms.items()]
    shares = [f"p{share:g}" if share < 100 else "longest" for share in SHARES]
    yield page.table([f"ms, {len(answers)} writes", *shares, f"more than {LATE_MS:g}"], rows)
    yield ""
    slowest = [
        (page.number(float(waited_ms[place])), *(page.number(float(some[place])) for some in meanwhile_ms.values()))
        for place in range(min(SLOWEST, len(answers)))
    ]
    yield page.table(["the slowest answers, ms", *meanwhile_ms], slowest)
    yield ""
    by_stage = {stage: [step for step in done if step.stage == stage] for stage in (*STAGES, COPYING)}
    yield page.table(
        ["stage", "steps", "ms a step", "longest, ms", "CPU a step, ms", "most CPU, ms"],
        [
            (
                stage,
                str(len(some)),
                *_mean_and_most([step.ended - step.began for step in some]),
                *_mean_and_most([step.cpu_seconds for step in some]),
            )
            for stage, some in by_stage.items()
            if some
        ],
    )


def _mean_and_most(seconds: Sequence[float]) -> tuple[str, str]:
    return page.number(1000 * sum(seconds) / len(seconds)), page.number(1000 * max(seconds))


def _shares(values: np.ndarray) -> list[str]:
    """Values that so many per cent do not pass, and how many are beyond LATE_MS."""
    shares = [page.number(float(np.percentile(values, share))) for share in SHARES]
    return [*shares, str(int((values > LATE_MS).sum()))]


if __name__ == "__main__":
    sys.exit(process.run(main))
