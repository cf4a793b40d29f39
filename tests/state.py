"""Where programs under test keep their state: a folder of the test run's own, never the machine's."""

from __future__ import annotations

import os
import tempfile

_FOLDER = tempfile.TemporaryDirectory(prefix="kpwatch-tests-")


def use_own_state_directory() -> None:
    """Children of this process find STATE_DIRECTORY in their environment."""
    os.environ["STATE_DIRECTORY"] = _FOLDER.name
