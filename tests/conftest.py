"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.parts import require

REPOSITORY = Path(__file__).resolve().parent.parent

# The same examples in every run; `pytest --hypothesis-profile=explore` looks further.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("repeatable")


REAL_PROCESSES = ("e2e", "fault", "real")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI a test of real processes that fails runs once more: machines there stall. The summary names each."""
    if os.environ.get("CI") == "true":
        for item in items:
            if item.path.relative_to(REPOSITORY / "tests").parts[0] in REAL_PROCESSES:
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs under test keep their state in a folder of this run's own, never in the machine's."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["STATE_DIRECTORY"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with captures, PromQL scripts and the article; developers and CI have it, users need not."""
    folder = Path(os.environ.get("KPWATCH_SHARED", REPOSITORY.parent / "shared"))
    return require(folder if folder.is_dir() else None, f"the shared test data ({folder}; set KPWATCH_SHARED)")


@pytest.fixture(scope="session")
def captures(shared_dir: Path) -> list[Path]:
    """Bodies of real kube-proxies' /metrics."""
    folder = shared_dir / "captures"
    return sorted(path for path in folder.glob("real-*.txt") if not path.name.endswith(".endpoints.txt"))
