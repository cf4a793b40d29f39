"""What `kpwatch publish` writes, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.publish.catalogue import Wishes, documents_for
from kpwatch.publish.files import write_documents

if TYPE_CHECKING:
    from pathlib import Path

RUNBOOKS = "https://runbooks.example"


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with rules/ and tests/."""
    folder = tmp_path_factory.mktemp("published")
    list(write_documents(folder, documents_for("prometheus", Wishes(runbooks=RUNBOOKS))))
    return folder / "prometheus"
