"""204 means on disk: the hub is killed right after one, again and again, and nothing acknowledged is ever missing."""

from __future__ import annotations

import http.client
import os
import threading
from typing import TYPE_CHECKING

import pytest

from kpwatch.remote_write import v1
from tests.e2e.hub_scene import Client, HubProcess, now_ms

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 100 if os.environ.get("KPWATCH_LONG") == "1" else 10
WRITERS = 3
COLUMNS = 24  # enough for the path of known runs


def scrape(writer: int, number: int, at_ms: int) -> bytes:
    """Scrape `number` of a writer: every series has the number as its value."""
    tail = v1.timestamp_tail(at_ms)
    own = [("ident", f"w{writer}"), ("job", "kill")]
    heads = (v1.series_head(v1.encode_labels(sorted([("__name__", f"m{column}"), *own]))) for column in range(COLUMNS))
    return b"".join(head + v1.pack_value(number) + tail for head in heads)


class Writer:
    """Sends scrapes one after the other and remembers which were acknowledged."""

    def __init__(self, number: int, began_ms: int) -> None:
        self._number = number
        self._began_ms = began_ms
        self.sent = 0
        self.acknowledged: set[int] = set()

    def run(self, port: int, enough: threading.Semaphore) -> None:
        """Until the hub is gone; `enough` is released after every 204."""
        with Client(port) as client:
            while True:
                number = self.sent
                self.sent += 1
                try:
                    answer = client.write(scrape(self._number, number, self._began_ms + number * 1000))
                except (OSError, http.client.HTTPException):
                    return
                assert answer.status == 204, answer.body
                self.acknowledged.add(number)
                enough.release()


def stored(client: Client, began_ms: int, column: int) -> dict[int, dict[int, str]]:
    """Writer -> number of the scrape by its timestamp -> value."""
    data = client.get("/api/v1/query", query=f"m{column}[10d]", time=began_ms / 1000 + 5 * 86400).json()["data"]
    return {
        int(one["metric"]["ident"][1:]): {
            round(seconds * 1000 - began_ms) // 1000: value for seconds, value in one["values"]
        }
        for one in data["result"]
    }


@pytest.mark.slow
def test_nothing_acknowledged_is_missing_after_many_kills(tmp_path: Path) -> None:
    """Killed with -9 at a 204, three writers at once: what was acknowledged is there, nothing is invented."""
    began_ms = now_ms() // 1000 * 1000 - 2 * 86_400_000
    writers = [Writer(number, began_ms) for number in range(WRITERS)]
    for round_ in range(ROUNDS):
        with HubProcess(tmp_path) as hub:
            enough = threading.Semaphore(0)
            threads = [threading.Thread(target=writer.run, args=(hub.port, enough)) for writer in writers]
            for thread in threads:
                thread.start()
            for _ in range(1 + round_ * 3 % 60):
                assert enough.acquire(timeout=60)
            hub.kill()
            for thread in threads:
                thread.join(60)
    with HubProcess(tmp_path) as hub, hub.client() as client:
        for column in range(COLUMNS):
            found = stored(client, began_ms, column)
            for number, writer in enumerate(writers):
                missing = writer.acknowledged - found[number].keys()
                assert not missing, f"writer {number}, column {column}: acknowledged and gone: {sorted(missing)}"
                assert found[number].keys() <= set(range(writer.sent))
                assert all(value == str(at) for at, value in found[number].items())
    assert sum(len(writer.acknowledged) for writer in writers) >= sum(1 + 3 * round_ % 60 for round_ in range(ROUNDS))
