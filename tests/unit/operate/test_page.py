"""The page about the agent names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kpwatch.base.logs import LOG_FORMATS, Logger
from kpwatch.base.loop import Loop
from kpwatch.base.process import show_process
from kpwatch.base.server import DROPPED
from kpwatch.base.telemetry import Registry
from kpwatch.cli.agent import FLAGS
from kpwatch.config.root_keys import KPWATCH
from kpwatch.operate.endpoint import Endpoint

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (REPOSITORY / "docs/reference/agent.md").read_text()
SOURCE = REPOSITORY / "src/kpwatch"


def test_every_metric() -> None:
    """Of the source on the page, of the page in the source."""
    registry = Registry()
    show_process(registry)
    process = {name for name, _, _ in registry.samples()}
    ours = {name for path in SOURCE.rglob("*.py") for name in re.findall(r'"(kpwatch_agent_\w+)"', path.read_text())}
    shown = set(re.findall(r"`(kpwatch_agent_\w+|process_\w+)[`{]", PAGE))
    assert shown == (ours | process) - {"kpwatch_agent_"}


def test_every_url() -> None:
    """That is served."""
    loop = Loop(pytest.fail)
    endpoint = Endpoint(None, loop=loop, log=Logger(lambda _: None), registry=Registry())
    loop.close()
    assert [path for path in endpoint._routes if f"| `{path}` |" not in PAGE] == []
    assert len(endpoint._routes) == 4


def test_every_word() -> None:
    """Keys that the page names exist; every reason and form is on it."""
    keys = {key.name for key in KPWATCH.keys}
    named = set(re.findall(r"`\[kpwatch\] (\w+)", PAGE))
    assert named <= keys
    assert named >= {"reload_interval", "drain_timeout", "http_address", "http_max_connections", "ready_max_lag"}
    assert [reason for reason in DROPPED if f"`{reason}`" not in PAGE] == []
    (flag,) = (flag for flag in FLAGS if flag.name == "log-format")
    assert flag.choices == tuple(LOG_FORMATS)
