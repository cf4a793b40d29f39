"""The doctor on servers that are not ours: the same verdicts as on a hub."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_doctor_hub import EXPECTED, FAULTS, ask_doctor, failed_queries, judged_by_fault
from tests.past import Series, past_of, write
from tests.real.prometheus import running_prometheus
from tests.real.victoria_metrics import running_victoria_metrics, show_everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


@contextmanager
def prometheus(folder: Path, past: Series) -> Iterator[str]:
    with running_prometheus(folder) as server:
        write(server.url, past)
        yield server.url


@contextmanager
def victoria_metrics(folder: Path, past: Series) -> Iterator[str]:
    with running_victoria_metrics(folder) as url:
        write(url, past)
        show_everything(url)
        yield url


@pytest.mark.parametrize("server", [prometheus, victoria_metrics])
def test_another_server_gives_the_same_verdicts(
    server: Callable[[Path, Series], AbstractContextManager[str]], tmp_path: Path
) -> None:
    """No query is refused, and silence, restarts and rates mean the same."""
    past, idents = past_of(FAULTS, healthy=2, seconds=1080, gone_seconds=420)
    with server(tmp_path, past) as url:
        code, document = ask_doctor(url)
    assert judged_by_fault(document, idents) == EXPECTED | {"": {}}
    assert failed_queries(document) == set()
    assert code == 2
