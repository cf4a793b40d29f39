"""A full disk: appends say so, queries go on, and when there is room again writing resumes by itself.

Two disks: a small tmpfs where this user may mount one, and a limit on the size of files, which everybody may set.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.errors import StoreFull
from tests.parts import require
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.store.database import Store

WIDE = layout(*range(300))
REPOSITORY = Path(__file__).parents[2]


def fill(store: Store, model: dict, first: int) -> int:
    """Append until StoreFull; the number of the append that was refused."""
    rng = np.random.default_rng(first)
    for number in range(first, first + 10_000):
        frames = [frame(number % 4, WIDE, T0 + number, rng.random(300))]
        try:
            store.append(frames).result(60)
        except StoreFull as error:
            assert "make room" in str(error)  # noqa: PT017 - which append it is depends on the disk
            return number
        remember(model, frames)
    raise AssertionError("the disk never became full")


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "kpwatch-test", path], check=False, capture_output=True
    )
    require(path if mounted.returncode == 0 else None, "the right to mount a small tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_no_room_on_the_disk(tmp_path: Path) -> None:
    """Really no room: ballast fills what the store does not; then it is taken away. Nothing acknowledged is lost."""
    with small_disk(tmp_path / "disk") as disk:
        model: dict = {}
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        with opened(disk / "data", free_bytes_min=0) as store:
            refused = fill(store, model, 0)
            assert everything(store) == model, "queries go on"
            ballast.unlink()
            assert fill(store, model, refused) > refused, "writing resumes by itself"
            assert everything(store) == model
        with opened(disk / "data", free_bytes_min=0) as store:
            assert everything(store) == model
            assert store.status()["quarantine"]["count"] == 0  # type: ignore[index]


def test_room_is_kept_for_deleting_and_sealing(tmp_path: Path) -> None:
    """free_bytes_min: appends stop before the disk is full."""
    with opened(tmp_path, free_bytes_min=1 << 60) as store, pytest.raises(StoreFull, match="free_bytes_min"):
        store.append([frame(1, WIDE, T0, range(300))]).result(60)


def limited(directory: str) -> None:
    """As a program: fill a store under a limit on the size of files, lift the limit, go on; tell what happened."""
    model: dict = {}
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    with opened(Path(directory)) as store:
        refused = fill(store, model, 0)
        read_while_full = everything(store) == model
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        frames = [frame(9, WIDE, T0 + refused, range(300))]
        store.append(frames).result(60)
        remember(model, frames)
        read_after = everything(store) == model
    with opened(Path(directory)) as store:
        print(json.dumps([refused > 10, read_while_full, read_after, everything(store) == model]))


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """EFBIG, as a quota gives EDQUOT: SQLite calls it an I/O error, we call it no room."""
    command = [sys.executable, "-m", "tests.fault.test_store_full_disk", str(tmp_path)]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=120).stdout
    assert json.loads(told) == [True, True, True, True]


if __name__ == "__main__":
    limited(sys.argv[1])
