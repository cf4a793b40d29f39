"""SIGTERM: what was written is in blocks, the log is empty, free pages are back; the directory is small."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.e2e.test_hub_command import run

if TYPE_CHECKING:
    from pathlib import Path

BEGAN_MS = now_ms() // 1000 * 1000 - 3_600_000
COLUMNS = 200
NODES = 5


def scrape(number: int, nodes: range) -> bytes:
    at = BEGAN_MS + number * 15_000
    return b"".join(
        series({"__name__": f"m{place}", "ident": f"n{node}"}, (at, number * 1.5 + place))
        for node in nodes
        for place in range(COLUMNS)
    )


def test_a_clean_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    """No log, no rows of the journal that are worth a block, no free page; du says no more than the pages."""
    users = tmp_path / "users"
    users.write_text("admin:x\n")
    data = tmp_path / "data"
    headers = {"Authorization": "Bearer x"}
    with HubProcess(data, "--auth-file", str(users), "--enable-admin-api") as hub, hub.client() as client:
        for number in range(50):
            assert client.write(scrape(number, range(NODES)), **headers).status == 204
        path = "/api/v1/admin/tsdb/delete_series?match[]={ident='n1'}"
        assert client.request("POST", path, headers=headers).status == 204
        before = sum(path.stat().st_size for path in data.iterdir())
        assert "were deleted" in hub.stop()
    assert sorted(path.name for path in data.iterdir()) == ["lock", "samples.db"]
    with closing(sqlite3.connect(data / "samples.db")) as connection:
        ((free,),) = connection.execute("PRAGMA freelist_count")
        ((pages,),) = connection.execute("PRAGMA page_count")
        ((frames,),) = connection.execute("SELECT count(*) FROM journal")
        ((samples,),) = connection.execute("SELECT sum(sample_count) FROM blocks")
    assert (free, frames, samples) == (0, 0, 50 * COLUMNS * (NODES - 1))
    used = int(subprocess.run(["du", "-s", "-B1", data], capture_output=True, text=True, check=True).stdout.split()[0])
    assert used <= pages * 4096 + 16384
    assert used < before
    assert run("hub", "--check", str(data)).returncode == 0
